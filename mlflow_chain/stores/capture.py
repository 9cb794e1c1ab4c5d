"""What a call wrote, read off MLflow's own objects inside its own transaction.

Some values exist only there: an id or a time that the store mints and the call does not return.
Only columns already loaded are read, so capturing sends no SQL.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from chain_client.events import Json

Row: TypeAlias = "list[Json]"
"""``[kind, {column: value}]``."""

_COLUMNS: dict[str, tuple[str, tuple[str, ...]]] = {
    "SqlExperiment": (
        "experiment",
        ("experiment_id", "artifact_location", "creation_time", "last_update_time"),
    ),
    "SqlRun": (
        "run",
        ("run_uuid", "name", "artifact_uri", "status", "start_time", "user_id", "experiment_id"),
    ),
    "SqlTag": ("tag", ("key", "value")),
    "SqlLoggedModel": (
        "logged_model",
        (
            "model_id",
            "name",
            "artifact_location",
            "creation_timestamp_ms",
            "last_updated_timestamp_ms",
        ),
    ),
    "SqlRegisteredModelAlias": ("alias", ("alias", "version")),
    "SqlRegisteredModel": ("registered_model", ("creation_time", "last_updated_time")),
    "SqlModelVersion": (
        "model_version",
        (
            "version",
            "creation_time",
            "last_updated_time",
            "current_stage",
            "source",
            "storage_location",
            "run_id",
            "status",
        ),
    ),
}


def kind_of(item: Any) -> str | None:
    """The kind of one of MLflow's objects; None if it is of no interest."""
    found = _COLUMNS.get(type(item).__name__)
    return None if found is None else found[0]


def capture(objects: Iterable[Any]) -> list[Row]:
    """The rows of MLflow's objects, in the order they were touched."""
    rows: list[Row] = []
    for item in objects:
        kind, columns = _COLUMNS[type(item).__name__]
        loaded = item.__dict__
        rows.append([kind, {name: _plain(loaded.get(name)) for name in columns}])
    return rows


def find_row(rows: Iterable[Row], kind: str) -> dict[str, Any] | None:
    """The first captured row of a kind."""
    for found, columns in rows:
        if found == kind and isinstance(columns, dict):
            return columns
    return None


def _plain(value: Any) -> Json:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
