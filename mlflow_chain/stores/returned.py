"""What a call over a server's API minted: from what it returned to its event's result. Pure.

Named as in `stores.results`, and giving a part of the same: what the answer does not show is
left out, and verification then accepts what the server filled in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from chain_client.events import Json
from mlflow_chain.stores.results import NOTHING, Minted

ReturnMapping: TypeAlias = Callable[[Any, dict[str, Json]], Minted]
"""From (what the store's method returned, payload of the intent) to what was minted."""


def nothing(value: Any, payload: dict[str, Json]) -> Minted:
    """For calls whose answer shows nothing new."""
    return NOTHING


def experiment(experiment_id: Any, payload: dict[str, Json]) -> Minted:
    return Minted(str(experiment_id))


def run(created: Any, payload: dict[str, Json]) -> Minted:
    info = created.info
    return Minted(
        info.run_id,
        {
            "name": info.run_name,
            "artifact_uri": info.artifact_uri,
            "status": info.status,
            "start_time": info.start_time,
            "user_id": info.user_id,
            "experiment_id": str(info.experiment_id),
        },
    )


def logged_model(model: Any, payload: dict[str, Json]) -> Minted:
    return Minted(
        model.model_id,
        {
            "name": model.name,
            "artifact_location": model.artifact_location,
            "creation_timestamp": model.creation_timestamp,
            "last_updated_timestamp": model.last_updated_timestamp,
        },
    )


def logged_model_update(model: Any, payload: dict[str, Json]) -> Minted:
    return Minted(None, {"last_updated_timestamp": model.last_updated_timestamp})


def registered_model(model: Any, payload: dict[str, Json]) -> Minted:
    return Minted(
        None,
        {
            "creation_timestamp": model.creation_timestamp,
            "last_updated_timestamp": model.last_updated_timestamp,
        },
    )


def registered_model_update(model: Any, payload: dict[str, Json]) -> Minted:
    return Minted(None, {"last_updated_timestamp": model.last_updated_timestamp})


def model_version(version: Any, payload: dict[str, Json]) -> Minted:
    number = int(version.version)
    return Minted(
        f"{payload['name']}/{number}",
        {
            "version": number,
            "creation_timestamp": version.creation_timestamp,
            "last_updated_timestamp": version.last_updated_timestamp,
            "current_stage": version.current_stage,
            "source": version.source,
            "run_id": version.run_id,
            "status": version.status,
        },
    )


def model_version_update(version: Any, payload: dict[str, Json]) -> Minted:
    touched: list[Json] = [
        int(version.version),
        version.current_stage,
        version.last_updated_timestamp,
    ]
    return Minted(None, {"versions": [touched]})


def model_version_transition(version: Any, payload: dict[str, Json]) -> Minted:
    """One that archives others shows only the version that took their place."""
    return NOTHING if payload.get("archive") else model_version_update(version, payload)
