"""Which version got or lost which alias or stage by which recorded call. Pure.

Calls go by name; which model had the name is followed as the calls tell it, in the order of their
claimed times. A rename or move gives what a model has to another incarnation of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from chain_client.events import APPLIED, Event
from chain_client.hosts import TargetEvent
from mlflow_chain.reading.governed import PROMPT_MARK, PROMPT_SOURCES
from mlflow_chain.verifying.event_parts import texts
from mlflow_chain.verifying.registry_order import name_of, new_name_of

_STAGES: Final = frozenset({"Staging", "Production", "Archived"})


@dataclass(slots=True)
class _Model:
    """What the calls so far say of the model with a name."""

    creation_ms: int | None = None
    is_prompt: bool = False
    targets: dict[str, set[int]] = field(default_factory=dict)

    def take(self, target: str, version: int) -> None:
        self.targets.setdefault(target, set()).add(version)

    def drop(self, target: str, version: int) -> None:
        self.targets.get(target, set()).discard(version)

    def stage_of(self, version: int) -> str | None:
        for target, versions in self.targets.items():
            if target.startswith("stage:") and version in versions:
                return target
        return None

    def alias_holder(self, target: str) -> int | None:
        return next(iter(self.targets.get(target, ())), None)


def find_target_events(events: Iterable[Event]) -> Iterator[TargetEvent]:
    """The changes of targets that calls made; those of prompts left out.

    Args:
        events: of registered models, their versions and workspaces, in any order.
    """
    following = _Following()
    for event in sorted(events, key=lambda found: (found.time_us, found.sequence)):
        step = _STEPS.get(event.type)
        if step is not None and event.status in APPLIED:
            yield from step(following, event)


class _Following:
    """The models by their names over all workspaces."""

    def __init__(self) -> None:
        self.models: dict[str, _Model] = {}

    def at(self, name: str) -> _Model:
        return self.models.setdefault(name, _Model())

    def told(
        self, event: Event, name: str, target: str, version: int | None, left: int | None
    ) -> Iterator[TargetEvent]:
        model = self.at(name)
        if model.is_prompt:
            return
        workspace, _, bare = name.rpartition("/")
        actor = event.actor
        yield TargetEvent(
            event.time_us,
            bytes(event.source_id),
            actor.authenticated or actor.claimed or "",
            event.type,
            workspace,
            bare,
            model.creation_ms,
            target,
            version,
            left,
        )

    def created(self, event: Event) -> Iterator[TargetEvent]:
        parts: Any = event.payload
        result: Any = event.result or {}
        is_baseline = event.type.endswith(".baseline")
        created = parts["fields"] if is_baseline else result
        tags = parts.get("tags") if is_baseline else texts(parts.get("tags"))
        model = _Model(created.get("creation_timestamp"), (tags or {}).get(PROMPT_MARK) == "true")
        if is_baseline:
            for alias, version in dict(parts.get("aliases") or {}).items():
                model.take(f"alias:{alias}", int(version))
        self.models[name_of(event)] = model
        yield from ()

    def version_found(self, event: Event) -> Iterator[TargetEvent]:
        parts: Any = event.payload
        stage = parts["fields"].get("current_stage")
        self._see_files(event, parts["fields"].get("source"))
        if stage in _STAGES:
            self.at(name_of(event)).take(f"stage:{stage}", _number(event))
        yield from ()

    def version_created(self, event: Event) -> Iterator[TargetEvent]:
        result: Any = event.result or {}
        self._see_files(event, result.get("source") or event.payload.get("source"))
        yield from ()

    def _see_files(self, event: Event, source: object) -> None:
        """A version with files can be loaded, whatever its model is marked as."""
        if event.subject.id and source not in PROMPT_SOURCES:
            self.at(name_of(event)).is_prompt = False

    def renamed(self, event: Event) -> Iterator[TargetEvent]:
        yield from self._move(event, name_of(event), new_name_of(event))

    def deleted(self, event: Event) -> Iterator[TargetEvent]:
        name = name_of(event)
        for target, versions in self.at(name).targets.items():
            for version in sorted(versions):
                yield from self.told(event, name, target, None, version)
        self.models.pop(name, None)

    def workspace_deleted(self, event: Event) -> Iterator[TargetEvent]:
        prefix = f"{event.subject.id}/"
        for name in [found for found in self.models if found.startswith(prefix)]:
            if event.payload.get("mode") == "SET_DEFAULT":
                yield from self._move(event, name, name.removeprefix(prefix))
            else:
                self.models.pop(name)

    def alias_set(self, event: Event) -> Iterator[TargetEvent]:
        parts: Any = event.payload
        name, target, version = name_of(event), f"alias:{parts['alias']}", int(parts["version"])
        left = self.at(name).alias_holder(target)
        self.at(name).targets[target] = {version}
        yield from self.told(event, name, target, version, left)

    def alias_deleted(self, event: Event) -> Iterator[TargetEvent]:
        parts: Any = event.payload
        name, target = name_of(event), f"alias:{parts['alias']}"
        left = self.at(name).alias_holder(target)
        self.at(name).targets.pop(target, None)
        yield from self.told(event, name, target, None, left)

    def stage_set(self, event: Event) -> Iterator[TargetEvent]:
        parts: Any = event.payload
        result: Any = event.result or {}
        name = name_of(event)
        moved = result.get("versions") or [[_number(event), parts["stage"], None]]
        for number, stage, _ in moved:
            yield from self._to_stage(event, name, int(number), str(stage))

    def version_deleted(self, event: Event) -> Iterator[TargetEvent]:
        name, number = name_of(event), _number(event)
        model = self.at(name)
        for target in [t for t, versions in model.targets.items() if number in versions]:
            model.drop(target, number)
            yield from self.told(event, name, target, None, number)

    def _to_stage(self, event: Event, name: str, number: int, stage: str) -> Iterator[TargetEvent]:
        model, target = self.at(name), f"stage:{stage}"
        before = model.stage_of(number)
        if before == target:
            return
        if before is not None:
            model.drop(before, number)
            yield from self.told(event, name, before, None, number)
        if stage in _STAGES:
            model.take(target, number)
            yield from self.told(event, name, target, number, None)

    def _move(self, event: Event, name: str, new_name: str) -> Iterator[TargetEvent]:
        model = self.at(name)
        self.models.pop(name, None)
        self.models[new_name] = model
        for target, versions in model.targets.items():
            for version in sorted(versions):
                yield from self.told(event, new_name, target, version, None)


def _number(event: Event) -> int:
    return int(event.subject.id.rpartition("/")[2])


_STEPS: Mapping[str, Callable[[_Following, Event], Iterator[TargetEvent]]] = {
    "registered_model.created": _Following.created,
    "registered_model.baseline": _Following.created,
    "registered_model.renamed": _Following.renamed,
    "registered_model.deleted": _Following.deleted,
    "registered_model.alias_set": _Following.alias_set,
    "registered_model.alias_deleted": _Following.alias_deleted,
    "model_version.baseline": _Following.version_found,
    "model_version.created": _Following.version_created,
    "model_version.stage_set": _Following.stage_set,
    "model_version.deleted": _Following.version_deleted,
    "workspace.deleted": _Following.workspace_deleted,
}

KINDS: Final = ("registered_model", "model_version", "workspace")
"""Kinds of the subjects of those events."""
