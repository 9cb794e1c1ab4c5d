"""Read Airflow's metadata database and write JSON lines; see `airflow_chain.reading.database`.

Writes nothing to the database, and makes none: an SQLite file that is not there is an error.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, TextIO

from airflow_chain.rules import Policy, parse_policy
from chain_client.errors import ConfigurationError


def main() -> int:
    """Write every line, the last one ``["end", …]``, and give the exit code."""
    words = argparse.ArgumentParser()
    words.add_argument("--dag")
    words.add_argument("--since-us", type=int)
    options = words.parse_args()
    # Airflow and what it loads may print: that must not stand among the lines.
    lines = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        _write_all(lines, options.dag, options.since_us)
    except BrokenPipeError:
        return 0  # who asked has heard enough
    except Exception as exc:
        # Only the class: the text of a database's error may hold its address with a password.
        _write(lines, ["failed", type(exc).__name__])
        lines.flush()
        return 1
    return 0


def _write_all(lines: TextIO, dag_id: str | None, since_us: int | None) -> None:
    import airflow
    from airflow import settings

    from airflow_chain import config
    from airflow_chain.reading.rows import read_lines

    _write(lines, ["airflow", {"name": config.name(), "version": airflow.__version__}])
    lines.flush()
    engine: Any = settings.engine
    _see_that_it_is_there(engine.url)
    count = 0
    with engine.connect() as connection:
        for line in read_lines(connection, _read_policy(), dag_id=dag_id, since_us=since_us):
            _write(lines, line)
            count += 1
    _write(lines, ["end", count])
    lines.flush()


def _read_policy() -> Policy:
    """What the listener would leave out now; everything is recorded where nobody can tell."""
    from airflow_chain import config

    path = config.policy()
    try:
        if path is None or not path.is_file():
            return Policy()
        return parse_policy(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, ConfigurationError):
        return Policy()


def _see_that_it_is_there(url: Any) -> None:
    if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).is_file():
        raise FileNotFoundError


def _write(lines: TextIO, line: Any) -> None:
    lines.write(json.dumps(line, separators=(",", ":")))
    lines.write("\n")


if __name__ == "__main__":
    sys.exit(main())
