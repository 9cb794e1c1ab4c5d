"""What one call does to a registered model and its versions. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chain_client.events import Event
from mlflow_chain.stores.recording import UNMAPPED
from mlflow_chain.verifying.event_parts import texts
from mlflow_chain.verifying.order import ABSENT, UNKNOWN, Stamp, precedes
from mlflow_chain.verifying.state import RegisteredModelState, VersionState


def begin_model(model: RegisteredModelState, event: Event, stamp: Stamp) -> None:
    """A model is created, or was there when the database was adopted."""
    parts: Any = event.payload
    result: Any = event.result or {}
    model.exists.register.write(stamp, True)
    if event.type == "registered_model.baseline":
        model.fields.write_all(stamp, parts["fields"])
        model.tags.write_all(stamp, parts["tags"])
        model.aliases.write_all(stamp, parts["aliases"])
        return
    model.fields.write_all(
        stamp,
        {
            "description": parts.get("description"),
            "creation_timestamp": result.get("creation_timestamp", UNKNOWN),
            "last_updated_timestamp": result.get("last_updated_timestamp", UNKNOWN),
        },
    )
    model.tags.write_all(stamp, texts(parts.get("tags")))


def apply_to_model(model: RegisteredModelState, event: Event, stamp: Stamp) -> None:
    """Apply a call that leaves the model its name."""
    if event.subject.kind == "model_version":
        _apply_to_version(model, int(event.subject.id.rpartition("/")[2]), event, stamp)
        return
    parts: Any = event.payload
    result: Any = event.result or {}
    if UNMAPPED in parts or event.type == "registered_model.baseline_unreadable":
        model.wild = True
    elif event.type == "registered_model.updated":
        updated = result.get("last_updated_timestamp", UNKNOWN)
        model.fields["last_updated_timestamp"].write(stamp, updated)
        model.fields["description"].write(stamp, parts["description"])
    elif event.type in ("registered_model.tag_set", "registered_model.tag_deleted"):
        _write_tags(model.tags, parts, stamp)
    elif event.type == "registered_model.alias_set":
        _set_alias(model, parts["alias"], parts["version"], stamp)
    elif event.type == "registered_model.alias_deleted":
        model.aliases[parts["alias"]].write(stamp, ABSENT)


def touch_versions(model: RegisteredModelState, updated: object, stamp: Stamp) -> None:
    """A renamed model gets a new time, and so do its versions."""
    model.fields["last_updated_timestamp"].write(stamp, updated)
    model.touches.append((stamp, updated))


def _set_alias(model: RegisteredModelState, alias: str, version: int, stamp: Stamp) -> None:
    model.aliases[alias].write(stamp, version)
    for deleted, number in model.deleted_versions:
        if number == version and not precedes(deleted, stamp):
            model.aliases[alias].write(deleted, ABSENT)


def _apply_to_version(model: RegisteredModelState, number: int, event: Event, stamp: Stamp) -> None:
    parts: Any = event.payload
    result: Any = event.result or {}
    version = model.versions[number]
    if UNMAPPED in parts:
        version.wild = True
    elif event.type == "model_version.baseline":
        version.before = True
        version.exists.register.write(stamp, True)
        version.fields.write_all(stamp, parts["fields"])
        version.tags.write_all(stamp, parts["tags"])
        _write_touches(model, version)
    elif event.type == "model_version.created":
        _create_version(model, version, parts, result, stamp)
    elif event.type == "model_version.updated":
        version.fields["description"].write(stamp, parts["description"])
        _write_touched(model, number, result, stamp, with_stage=False)
    elif event.type == "model_version.stage_set":
        _set_stage(model, version, parts, result, stamp)
        _write_touched(model, number, result, stamp, with_stage=True)
        _write_model_time(model, result, stamp)
    elif event.type == "model_version.deleted":
        version.exists.register.write(stamp, ABSENT)
        _drop_aliases(model, number, result.get("aliases"), stamp)
        _write_model_time(model, result, stamp)
    elif event.type in ("model_version.tag_set", "model_version.tag_deleted"):
        _write_tags(version.tags, parts, stamp)


def _drop_aliases(
    model: RegisteredModelState, number: int, dropped: list[str] | None, stamp: Stamp
) -> None:
    for alias in dropped or ():
        model.aliases[alias].write(stamp, ABSENT)
    if dropped is None:
        # Nobody saw which: MLflow 3.12 keeps the aliases of a version given as text.
        perhaps = replace(stamp, sure=False)
        model.deleted_versions.append((perhaps, number))
        model.drop_aliases(number, perhaps)


def _create_version(
    model: RegisteredModelState, version: VersionState, parts: Any, result: Any, stamp: Stamp
) -> None:
    version.before = False
    version.exists.register.write(stamp, True)
    names = ("creation_timestamp", "last_updated_timestamp", "source", "storage_location", "run_id")
    version.fields.write_all(
        stamp,
        {
            "description": parts["description"],
            "run_link": parts["run_link"],
            "user_id": None,
            "status_message": None,
            "current_stage": result.get("current_stage", "None"),
            "status": result.get("status", "READY"),
            **{name: result.get(name, UNKNOWN) for name in names},
        },
    )
    # A database put back from a backup gives a number a second time: that version had no tags yet.
    for register in version.tags.values():
        register.write(stamp, ABSENT)
    version.tags.write_all(stamp, texts(parts.get("tags")))
    _write_touches(model, version)
    model.fields["last_updated_timestamp"].write(stamp, result.get("creation_timestamp", UNKNOWN))


def _write_touches(model: RegisteredModelState, version: VersionState) -> None:
    for stamp, updated in model.touches:
        version.fields["last_updated_timestamp"].write(stamp, updated)


def _set_stage(
    model: RegisteredModelState, version: VersionState, parts: Any, result: Any, stamp: Stamp
) -> None:
    version.fields["current_stage"].write(stamp, parts["stage"])
    if result.get("versions") or not parts["archive"]:
        return
    for other in model.versions.values():
        if other is not version and parts["stage"] in other.fields["current_stage"].values():
            other.fields["current_stage"].write(stamp, UNKNOWN)
            other.fields["last_updated_timestamp"].write(stamp, UNKNOWN)


def _write_touched(
    model: RegisteredModelState, number: int, result: Any, stamp: Stamp, *, with_stage: bool
) -> None:
    touched = result.get("versions")
    if not touched:
        model.versions[number].fields["last_updated_timestamp"].write(stamp, UNKNOWN)
    for found, stage, updated in touched or ():
        fields = model.versions[found].fields
        fields["last_updated_timestamp"].write(stamp, updated)
        if with_stage:
            fields["current_stage"].write(stamp, stage)


def _write_model_time(model: RegisteredModelState, result: Any, stamp: Stamp) -> None:
    updated = result.get("model_last_updated_timestamp", UNKNOWN)
    model.fields["last_updated_timestamp"].write(stamp, updated)


def _write_tags(tags: Any, parts: Any, stamp: Stamp) -> None:
    if "key" in parts:
        tags[parts["key"]].write(stamp, ABSENT)
    tags.write_all(stamp, texts(parts.get("tags")))
