"""Airflow's section ``[mlops_chain]``: one function for each key. Nothing is read on import.

Each key also as ``AIRFLOW__MLOPS_CHAIN__<KEY>``. Everything else is configured in the home.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chain_client.config import Settings

SECTION = "mlops_chain"
DEFAULT_NAME = "airflow"
DEFAULT_CONN_ID = "mlops_chain_default"
DEFAULT_SHIP_TIMEOUT_S = 5.0

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def home() -> Path | None:
    """The home in which the listener records; None: it records nowhere."""
    found = _text("home") or os.environ.get("MLOPS_CHAIN_HOME", "")
    return Path(found).expanduser().absolute() if found else None


def listener() -> bool:
    """Whether the listener is on, if there is a home."""
    return bool(_conf().getboolean(SECTION, "listener", fallback=True))


def name() -> str:
    """What this Airflow is called in the log: the `store` of its subjects.

    Raises:
        ConfigurationError: it can't be the name of a file.
    """
    found = _text("name") or DEFAULT_NAME
    if not _NAME.fullmatch(found):
        from chain_client.errors import ConfigurationError

        raise ConfigurationError(
            f"[{SECTION}] name: expected at most 64 letters, digits, dots, dashes and "
            f"underscores, beginning with a letter or digit, got {found!r}"
        )
    return found


def policy() -> Path | None:
    """The TOML file that says what is recorded; None: identifiers and hashes of everything."""
    found = _text("policy")
    return Path(found).expanduser().absolute() if found else None


def default_conn_id() -> str:
    """Connection of an operator that names none."""
    return _text("default_conn_id") or DEFAULT_CONN_ID


def ship_to() -> str:
    """Where the spool of a task is handed over before its process stops; empty: it stays."""
    return _text("ship_to")


def ship_timeout_s() -> float:
    """Longest time in seconds for handing it over."""
    found: float = _conf().getfloat(SECTION, "ship_timeout_s", fallback=DEFAULT_SHIP_TIMEOUT_S)
    return found


def is_listening() -> bool:
    """Whether the listener has anything to do."""
    return home() is not None and listener()


def airflow_home() -> Path:
    """The folder of this Airflow."""
    from airflow.configuration import AIRFLOW_HOME

    return Path(AIRFLOW_HOME)


def settings(home: Path) -> Settings:
    """The home's settings for a process of Airflow, in which no relay is ever started.

    Raises:
        ConfigurationError: a setting is wrong.
    """
    from dataclasses import replace

    from chain_client.config import Settings

    return replace(Settings.from_environment(os.environ, home, home=home), relay_autostart=False)


def _text(key: str) -> str:
    found: str | None = _conf().get(SECTION, key, fallback="")
    return (found or "").strip()


def _conf() -> Any:
    from airflow.configuration import conf

    return conf
