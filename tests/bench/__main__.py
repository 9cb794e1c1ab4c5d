"""``make bench``: the targets of the architecture's section 10, and what this machine gives.

Exit code 0 whether targets are met or missed: it reports. 1 if a measurement could not be made.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.bench_home import ROOT, Options, finish, found_template, read_json, start
from tests.bench.figures import Row, time_text
from tests.bench.fsyncs import build_library
from tests.bench.group import GROUPS
from tests.bench.machine import machine_facts

_ALL = [row for rows in GROUPS.values() for row in rows]
_MARKS = {True: "[green]met[/]", False: "[red]missed[/]", None: "not judged"}
_FORMAT = 1


def main() -> int:
    """Measure what was asked for, print it, write it."""
    given = _arguments()
    # A folder below the checkout: the disk that is measured is the one that is worked on.
    given.work.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="bench-", dir=given.work))
    try:
        return _measure(given, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _measure(given: argparse.Namespace, work: Path) -> int:
    _clean_environment()
    began = time.time()
    console = Console(stderr=True)
    facts = machine_facts(work, 100 if given.quick else 1_000)
    options = Options(work, given.quick, frozenset(given.rows), build_library(work))
    facts["fsyncs_counted"] = "of whole processes" if options.library else "of the spool only"
    found_template(work)
    rows: list[Row] = []
    crashed = []
    for name, members in GROUPS.items():
        if options.rows.isdisjoint(members):
            continue
        console.print(f"measuring: {', '.join(m for m in members if m in options.rows)}")
        try:
            rows += _run_group(name, options)
        except RuntimeError:
            crashed.append(name)  # it has written its traceback to standard error
    facts["load_average_after"] = os.getloadavg()[0]
    _print(rows, facts, quick=given.quick)
    document = {
        "format": _FORMAT,
        "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
        "seconds": time.time() - began,
        "quick": given.quick,
        "machine": facts,
        "rows": [row.to_json() for row in rows],
    }
    given.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    for name in crashed:
        console.print(f"[red]the group {name} could not be measured[/]")
    return 1 if crashed else 0


def _run_group(name: str, options: Options) -> list[Row]:
    out = options.work / f"{name}.json"
    arguments: list[object] = [name, "--work", options.work, "--out", out]
    arguments += ["--rows", ",".join(sorted(options.rows))]
    arguments += ["--quick"] if options.quick else []
    arguments += ["--library", options.library] if options.library else []
    finish(start(options, "group", *arguments))
    return [Row(**row) for row in read_json(out)]


def _clean_environment() -> None:
    os.environ["DO_NOT_TRACK"] = "true"  # MLflow reports its use over the network otherwise
    # Users' processes find what Python compiled before; without, an import takes twice as long.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for name in list(os.environ):
        if name.startswith(("MLFLOW_", "MLOPS_CHAIN_", "_MLFLOW_")):
            del os.environ[name]
    # A plain server starts processes for jobs, a chain+ server does not: they would slow it down.
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument("--rows", type=_row_names, default=_ALL, help=f"of: {', '.join(_ALL)}")
    parser.add_argument("--quick", action="store_true", help="small sizes: only to see it run")
    parser.add_argument("--json", type=Path, default=ROOT / "bench-results.json")
    parser.add_argument("--work", type=Path, default=ROOT / "build", help="folder to work in")
    return parser.parse_args()


def _row_names(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in _ALL]
    if unknown:
        known = ", ".join(_ALL)
        raise argparse.ArgumentTypeError(f"no row {', '.join(unknown)}; there are {known}")
    return names


def _print(rows: list[Row], facts: dict[str, Any], *, quick: bool) -> None:
    # Wide enough for the widest row wherever it is printed to.
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(
        f"{facts['cpus_usable']} of {facts['cpus']} cores, {facts['system']} {facts['machine']}, "
        f"Python {facts['python']}, SQLite {facts['sqlite']}; {facts['file_system']}, fsync p50 "
        f"{time_text(facts['fsync_p50_s'])}, p90 {time_text(facts['fsync_p90_s'])}; load "
        f"{facts['load_average']:.1f} before, {facts['load_average_after']:.1f} after; fsyncs "
        f"{facts['fsyncs_counted']} are counted"
    )
    if quick:
        console.print("[yellow]Quick: sizes are too small for the figures to mean anything.[/]")
    table = Table()
    for name in ("", "work", "target", "result", "", "p50", "p90", "spread", "fsyncs"):
        table.add_column(name, overflow="fold")
    for number, row in enumerate(rows, 1):
        cells = (row.work, row.target, row.result, _MARKS[row.met])
        table.add_row(str(number), *cells, row.p50, row.p90, row.spread, row.fsyncs)
    console.print(table)
    for number, row in enumerate(rows, 1):
        for note in row.notes:
            console.print(f"{number:>2}. {note}")


if __name__ == "__main__":
    sys.exit(main())
