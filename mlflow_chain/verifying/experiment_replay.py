"""Replaying calls about experiments. Pure."""

from __future__ import annotations

from chain_client.events import Event
from mlflow_chain.mapping.workspaces import DEFAULT
from mlflow_chain.verifying.event_parts import Apply, Parts, chosen, texts
from mlflow_chain.verifying.order import ABSENT, Stamp
from mlflow_chain.verifying.state import State


def _experiment_created(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    if not event.subject.id:
        return
    experiment = state.experiments[event.subject.id]
    experiment.exists.register.write(stamp, True)
    experiment.incarnations.append(stamp)
    experiment.fields.write_all(
        stamp,
        {
            "name": parts["name"],
            "lifecycle_stage": "active",
            "workspace": parts.get("workspace", DEFAULT),
            **chosen(event, "artifact_location", "creation_time", "last_update_time"),
        },
    )
    experiment.tags.write_all(stamp, texts(parts.get("tags")))


def _experiment_baseline(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    experiment = state.experiments[event.subject.id]
    experiment.exists.register.write(stamp, True)
    # What a baseline leaves out is in the default workspace.
    experiment.fields.write_all(stamp, {"workspace": DEFAULT, **parts["fields"]})
    experiment.tags.write_all(stamp, parts["tags"])


def _experiment_stage(stage: str) -> Apply:
    def apply(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
        experiment = state.experiments[event.subject.id]
        experiment.lifecycle.append((stamp, stage))
        if stage == "removed":
            experiment.exists.register.write(stamp, ABSENT)
            return
        experiment.fields["lifecycle_stage"].write(stamp, stage)
        experiment.fields.write_all(stamp, chosen(event, "last_update_time"))

    return apply


def _experiment_renamed(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    fields = state.experiments[event.subject.id].fields
    fields.write_all(stamp, {"name": parts["name"], **chosen(event, "last_update_time")})


def _experiment_tag(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    tags = state.experiments[event.subject.id].tags
    if "key" in parts:
        tags[parts["key"]].write(stamp, ABSENT)
    tags.write_all(stamp, texts(parts.get("tags")))


EXPERIMENTS: dict[str, Apply] = {
    "experiment.created": _experiment_created,
    "experiment.baseline": _experiment_baseline,
    "experiment.deleted": _experiment_stage("deleted"),
    "experiment.restored": _experiment_stage("active"),
    "experiment.removed": _experiment_stage("removed"),
    "experiment.renamed": _experiment_renamed,
    "experiment.tag_set": _experiment_tag,
    "experiment.tag_deleted": _experiment_tag,
}
"""By type of event."""
