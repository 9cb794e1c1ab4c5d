"""What a call minted: from the rows captured in its transaction to its event's result. Pure.

The same rows stand in the call's marker, so a recovered call gets the result that the live one
would have had. What a server minted is read off what the call returned: `stores.returned`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from chain_client.events import Json
from mlflow_chain.mapping.workspaces import to_key
from mlflow_chain.stores.capture import Row, find_row


@dataclass(frozen=True, slots=True)
class Minted:
    """What `Recorder.done` and a `Resolution` take.

    Args:
        subject_id: the id that the call minted, if it minted one.
        result: what else the store filled in.
    """

    subject_id: str | None = None
    result: dict[str, Json] | None = None


ResultMapping: TypeAlias = Callable[[Sequence[Row], dict[str, Json]], Minted]
"""From (captured rows, payload of the intent) to what was minted."""

NOTHING = Minted()


def nothing(rows: Sequence[Row], payload: dict[str, Json]) -> Minted:
    """For calls that mint nothing."""
    return NOTHING


def experiment(rows: Sequence[Row], payload: dict[str, Json]) -> Minted:
    row = find_row(rows, "experiment")
    if row is None:
        return NOTHING
    return Minted(
        str(row["experiment_id"]),
        _picked(row, "artifact_location", "creation_time", "last_update_time"),
    )


def experiment_update(rows: Sequence[Row], payload: dict[str, Json]) -> Minted:
    row = find_row(rows, "experiment")
    return NOTHING if row is None else Minted(None, _picked(row, "last_update_time"))


def run(rows: Sequence[Row], payload: dict[str, Json]) -> Minted:
    row = find_row(rows, "run")
    if row is None:
        return NOTHING
    result = _picked(row, "name", "artifact_uri", "status", "start_time", "user_id")
    result["experiment_id"] = str(row["experiment_id"])
    return Minted(row["run_uuid"], result)


def run_tags(rows: Sequence[Row], payload: dict[str, Json]) -> Minted:
    tags: list[Json] = [[row["key"], row["value"]] for kind, row in _of(rows, "tag")]
    return Minted(None, {"tags": tags})


def logged_model(rows: Sequence[Row], payload: dict[str, Json]) -> Minted:
    row = find_row(rows, "logged_model")
    if row is None:
        return NOTHING
    return Minted(
        row["model_id"],
        {
            "name": row["name"],
            "artifact_location": row["artifact_location"],
            "creation_timestamp": row["creation_timestamp_ms"],
            "last_updated_timestamp": row["last_updated_timestamp_ms"],
        },
    )


def logged_model_update(rows: Sequence[Row], payload: dict[str, Json]) -> Minted:
    row = find_row(rows, "logged_model")
    if row is None:
        return NOTHING
    return Minted(None, {"last_updated_timestamp": row["last_updated_timestamp_ms"]})


def registered_model(rows: Sequence[Row], payload: dict[str, Json]) -> Minted:
    row = find_row(rows, "registered_model")
    if row is None:
        return NOTHING
    return Minted(None, _model_times(row))


def registered_model_update(rows: Sequence[Row], payload: dict[str, Json]) -> Minted:
    row = find_row(rows, "registered_model")
    if row is None:
        return NOTHING
    return Minted(None, {"last_updated_timestamp": row["last_updated_time"]})


def model_version(rows: Sequence[Row], payload: dict[str, Json]) -> Minted:
    row = find_row(rows, "model_version")
    if row is None:
        return NOTHING
    result: dict[str, Json] = {
        "version": int(row["version"]),
        "creation_timestamp": row["creation_time"],
        "last_updated_timestamp": row["last_updated_time"],
        **_picked(row, "current_stage", "source", "storage_location", "run_id", "status"),
    }
    name = to_key(payload.get("workspace"), str(payload["name"]))
    return Minted(f"{name}/{result['version']}", result)


def model_version_updates(rows: Sequence[Row], payload: dict[str, Json]) -> Minted:
    """Every version that the call touched: a transition may archive others."""
    versions: list[Json] = [
        [int(row["version"]), row["current_stage"], row["last_updated_time"]]
        for _, row in _of(rows, "model_version")
    ]
    result: dict[str, Json] = {"versions": versions}
    model = find_row(rows, "registered_model")
    if model is not None:
        result["model_last_updated_timestamp"] = model["last_updated_time"]
    return Minted(None, result)


def model_version_deletion(rows: Sequence[Row], payload: dict[str, Json]) -> Minted:
    """The aliases that went with the version: not every MLflow takes them all along."""
    minted = model_version_updates(rows, payload)
    aliases: list[Json] = [row["alias"] for _, row in _of(rows, "alias")]
    return Minted(None, {**(minted.result or {}), "aliases": aliases})


def _model_times(row: dict[str, Any]) -> dict[str, Json]:
    return {
        "creation_timestamp": row["creation_time"],
        "last_updated_timestamp": row["last_updated_time"],
    }


def _of(rows: Sequence[Row], kind: str) -> list[tuple[str, dict[str, Any]]]:
    return [(kind, row) for found, row in rows if found == kind and isinstance(row, dict)]


def _picked(row: dict[str, Any], *names: str) -> dict[str, Json]:
    return {name: row[name] for name in names}
