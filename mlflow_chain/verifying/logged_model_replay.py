"""Replaying calls about logged models. Pure."""

from __future__ import annotations

from chain_client.events import Event
from mlflow_chain.verifying.event_parts import Apply, Parts, chosen, texts
from mlflow_chain.verifying.order import ABSENT, Stamp
from mlflow_chain.verifying.state import State


def _logged_model_created(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    if not event.subject.id:
        return
    model = state.logged_models[event.subject.id]
    model.exists.register.write(stamp, True)
    model.fields.write_all(
        stamp,
        {
            "experiment_id": parts["experiment_id"],
            "model_type": parts["model_type"],
            "source_run_id": parts["source_run_id"],
            "status": "PENDING",
            "status_message": None,
            "lifecycle_stage": "active",
            **chosen(
                event, "name", "artifact_location", "creation_timestamp", "last_updated_timestamp"
            ),
        },
    )
    model.tags.write_all(stamp, texts(parts.get("tags")))
    model.params.write_all(stamp, texts(parts.get("params")))


def _logged_model_baseline(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    model = state.logged_models[event.subject.id]
    model.before = True
    model.exists.register.write(stamp, True)
    for name in ("fields", "tags", "params"):
        getattr(model, name).write_all(stamp, parts[name])
    for key, value, timestamp, step, run_id, dataset, digest in parts["metrics"]:
        model.add_metric([key, value, timestamp, step, dataset, digest], run_id, sure=True)


def _logged_model_unreadable(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    state.logged_models[event.subject.id].wild = True


def _logged_model_changed(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    model = state.logged_models[event.subject.id]
    if event.type == "logged_model.removed":
        model.exists.register.write(stamp, ABSENT)
        return
    if event.type == "logged_model.finalized":
        model.fields.write_all(
            stamp, {"status": parts["status"], **chosen(event, "last_updated_timestamp")}
        )
    if event.type == "logged_model.deleted":
        model.fields.write_all(
            stamp, {"lifecycle_stage": "deleted", **chosen(event, "last_updated_timestamp")}
        )
    if "key" in parts:
        model.tags[parts["key"]].write(stamp, ABSENT)
    model.tags.write_all(stamp, texts(parts.get("tags")))
    model.params.write_all(stamp, texts(parts.get("params")))


LOGGED_MODELS: dict[str, Apply] = {
    "logged_model.created": _logged_model_created,
    "logged_model.baseline": _logged_model_baseline,
    "logged_model.baseline_unreadable": _logged_model_unreadable,
    "logged_model.finalized": _logged_model_changed,
    "logged_model.deleted": _logged_model_changed,
    "logged_model.removed": _logged_model_changed,
    "logged_model.tags_set": _logged_model_changed,
    "logged_model.tag_deleted": _logged_model_changed,
    "logged_model.params_logged": _logged_model_changed,
}
"""By type of event."""
