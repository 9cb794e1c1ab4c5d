"""Replaying calls of the model registry, whose entities go by name and version. Pure."""

from __future__ import annotations

from typing import Any

from chain_client.events import Event, OutcomeStatus
from mlflow_chain.stores.recording import UNMAPPED
from mlflow_chain.verifying.event_parts import texts
from mlflow_chain.verifying.order import ABSENT, UNKNOWN, Stamp
from mlflow_chain.verifying.state import RegisteredModelState, VersionState

Models = dict[str, RegisteredModelState]


def apply_registry_event(models: Models, event: Event, stamp: Stamp) -> None:
    """Apply one event; events come in their likely order."""
    subject = event.subject
    if subject.kind == "registered_model":
        _apply_to_model(models, subject.id, event, stamp)
    elif subject.id:
        name, _, version = subject.id.rpartition("/")
        model = models.setdefault(name, RegisteredModelState())
        _apply_to_version(model, int(version), event, stamp)


def _apply_to_model(models: Models, name: str, event: Event, stamp: Stamp) -> None:
    parts: Any = event.payload
    result: Any = event.result or {}
    if event.type in ("registered_model.created", "registered_model.baseline"):
        known = models.get(name)
        if known is None or stamp.sure:
            known = models[name] = RegisteredModelState()
        known.exists.register.write(stamp, True)
        if event.type == "registered_model.baseline":
            known.fields.write_all(stamp, parts["fields"])
            known.tags.write_all(stamp, parts["tags"])
            known.aliases.write_all(stamp, parts["aliases"])
            return
        created = result.get("creation_timestamp", UNKNOWN)
        updated = result.get("last_updated_timestamp", UNKNOWN)
        known.fields.write_all(
            stamp,
            {
                "description": parts.get("description"),
                "creation_timestamp": created,
                "last_updated_timestamp": updated,
            },
        )
        known.tags.write_all(stamp, texts(parts.get("tags")))
        return
    model = models.setdefault(name, RegisteredModelState())
    if UNMAPPED in parts:
        model.wild = True
        return
    if "last_updated_timestamp" in result:
        model.fields["last_updated_timestamp"].write(stamp, result["last_updated_timestamp"])
    elif event.type in ("registered_model.updated", "registered_model.renamed"):
        model.fields["last_updated_timestamp"].write(stamp, UNKNOWN)
    if event.type == "registered_model.updated":
        model.fields["description"].write(stamp, parts["description"])
    elif event.type == "registered_model.renamed":
        _rename(models, name, model, event, stamp)
    elif event.type == "registered_model.deleted":
        model.exists.register.write(stamp, ABSENT)
    elif event.type in ("registered_model.tag_set", "registered_model.tag_deleted"):
        _write_tags(model.tags, parts, stamp)
    elif event.type == "registered_model.alias_set":
        model.aliases[parts["alias"]].write(stamp, parts["version"])
    elif event.type == "registered_model.alias_deleted":
        model.aliases[parts["alias"]].write(stamp, ABSENT)


def _rename(
    models: Models, name: str, model: RegisteredModelState, event: Event, stamp: Stamp
) -> None:
    new_name = str(event.payload["name"])
    updated = (event.result or {}).get("last_updated_timestamp", UNKNOWN)
    for version in model.versions.values():
        version.fields["last_updated_timestamp"].write(stamp, updated)
    if event.status is OutcomeStatus.UNDETERMINED:
        model.wild = True
        models.setdefault(new_name, RegisteredModelState()).wild = True
        return
    models[new_name] = models.pop(name)
    gone = RegisteredModelState()
    gone.exists.register.write(stamp, ABSENT)
    models[name] = gone


def _apply_to_version(model: RegisteredModelState, number: int, event: Event, stamp: Stamp) -> None:
    parts: Any = event.payload
    result: Any = event.result or {}
    version = model.versions[number]
    if UNMAPPED in parts:
        version.wild = True
    elif event.type == "model_version.baseline":
        version.exists.register.write(stamp, True)
        version.fields.write_all(stamp, parts["fields"])
        version.tags.write_all(stamp, parts["tags"])
    elif event.type == "model_version.created":
        _create_version(model, version, parts, result, stamp)
    elif event.type == "model_version.updated":
        version.fields["description"].write(stamp, parts["description"])
        _write_touched(model, number, result, stamp, with_stage=False)
    elif event.type == "model_version.stage_set":
        version.fields["current_stage"].write(stamp, parts["stage"])
        if not result.get("versions") and parts["archive"]:
            for other in model.versions.values():
                if (
                    other is not version
                    and parts["stage"] in other.fields["current_stage"].values()
                ):
                    other.fields["current_stage"].write(stamp, UNKNOWN)
                    other.fields["last_updated_timestamp"].write(stamp, UNKNOWN)
        _write_touched(model, number, result, stamp, with_stage=True)
        _write_model_time(model, result, stamp)
    elif event.type == "model_version.deleted":
        version.exists.register.write(stamp, ABSENT)
        model.drop_aliases(number, stamp)
        _write_model_time(model, result, stamp)
    elif event.type in ("model_version.tag_set", "model_version.tag_deleted"):
        _write_tags(version.tags, parts, stamp)


def _create_version(
    model: RegisteredModelState, version: VersionState, parts: Any, result: Any, stamp: Stamp
) -> None:
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
    version.tags.write_all(stamp, texts(parts.get("tags")))
    model.fields["last_updated_timestamp"].write(stamp, result.get("creation_timestamp", UNKNOWN))


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
