"""Airflow's section ``[mlops_chain]``: one function for each key. Nothing is read on import.

Each key also as ``AIRFLOW__MLOPS_CHAIN__<KEY>``. Everything else is configured in the home.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

SECTION = "mlops_chain"
DEFAULT_NAME = "airflow"
DEFAULT_CONN_ID = "mlops_chain_default"
DEFAULT_SHIP_TIMEOUT_S = 5.0


def home() -> Path | None:
    """The home in which the listener records; None: it records nowhere."""
    found = _text("home") or os.environ.get("MLOPS_CHAIN_HOME", "")
    return Path(found).expanduser().absolute() if found else None


def listener() -> bool:
    """Whether the listener is on, if there is a home."""
    return bool(_conf().getboolean(SECTION, "listener", fallback=True))


def name() -> str:
    """What this Airflow is called in the log: the `store` of its subjects."""
    return _text("name") or DEFAULT_NAME


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


def _text(key: str) -> str:
    found: str | None = _conf().get(SECTION, key, fallback="")
    return (found or "").strip()


def _conf() -> Any:
    from airflow.configuration import conf

    return conf
