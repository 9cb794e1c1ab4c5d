"""Aliases and stages: which version has them, or had them.

Calls go by name, so what a name stands for is followed as they tell it, in the order of their
claimed times.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from chain_client.events import Event, Subject
from chain_client.traces import (
    MODEL_VERSION,
    TARGET,
    Fact,
    Gap,
    Link,
    Logged,
    LoggedEvent,
    Node,
    Traced,
)
from mlflow_chain.tracing.naming import Naming
from mlflow_chain.tracing.said import applied, unreadable, who
from mlflow_chain.verifying.registry_order import RENAMED, WORKSPACE_DELETED, name_of, new_name_of

_MODEL_TYPES: Final = (
    "registered_model.created",
    "registered_model.baseline",
    "registered_model.deleted",
    "registered_model.alias_set",
    "registered_model.alias_deleted",
    RENAMED,
)
_VERSION_TYPES: Final = (
    "model_version.baseline",
    "model_version.stage_set",
    "model_version.deleted",
)
_STAGES: Final = frozenset({"Staging", "Production", "Archived"})


@dataclass(slots=True)
class _Held:
    """A target that a version got."""

    name: str
    version: int
    evidence: LoggedEvent
    is_over: bool = False


@dataclass(slots=True)
class _Models:
    """Who has what, by name of the model and target; `ended` is what was so once."""

    held: dict[str, dict[str, list[_Held]]] = field(default_factory=dict)
    ended: dict[tuple[str, str], list[_Held]] = field(default_factory=dict)

    def end(self, name: str, target: str, version: int | None = None) -> None:
        stays = []
        for one in self.held.get(name, {}).get(target, []):
            if version in (None, one.version):
                one.is_over = True
                self.ended.setdefault((name, target), []).append(one)
            else:
                stays.append(one)
        self.held.setdefault(name, {})[target] = stays

    def give(self, name: str, target: str, version: int, found: LoggedEvent) -> None:
        self.held.setdefault(name, {}).setdefault(target, []).append(_Held(name, version, found))


def origins(node: Node, naming: Naming, logged: Logged) -> Iterator[Traced]:
    """The version that a target points to."""
    model, _, target = node.id.rpartition("/")
    subject = Subject(node.store, "registered_model", model)
    models = _follow(naming, model, logged)
    held = models.held.get(model, {}).get(target, [])
    for one in held:
        yield from _links(node, model, one)
    yield from unreadable(node, subject, logged)
    if not held:
        was = models.ended.get((model, target))
        text = "the log knows no version that ever had it"
        if was:
            text = f"no version has it now; version {was[-1].version} had it last"
        for link in naming.later(model, [f"{model}/1"]):
            text += f"; the model is named {link.later.id.rpartition('/')[0]} since"
        yield Gap(node, text)


def results(nodes: Collection[Node], naming: Naming, logged: Logged) -> Iterator[Traced]:
    """The targets that versions have, or had, and what they are called since."""
    by_model: dict[str, set[str]] = {}
    for node in nodes:
        by_model.setdefault(node.id.rpartition("/")[0], set()).add(node.id)
    for model, version_ids in sorted(by_model.items()):
        models = _follow(naming, model, logged)
        rows = [
            (target, one)
            for target, all_held in models.held.get(model, {}).items()
            for one in all_held
        ]
        rows += [
            (target, one)
            for (name, target), was in models.ended.items()
            if name == model
            for one in was
        ]
        for target, one in rows:
            if f"{model}/{one.version}" in version_ids:
                yield from _links(Node(TARGET, naming.store, f"{model}/{target}"), model, one)
        yield from naming.later(model, version_ids)


def _links(node: Node, model: str, one: _Held) -> Iterator[Traced]:
    version = Node(MODEL_VERSION, node.store, f"{model}/{one.version}")
    note = "" if one.name == model else f"given when the model was named {one.name}"
    yield Link(node, version, "points to", one.evidence, is_over=one.is_over, note=note)
    if one.evidence.event is not None and not one.is_over:
        yield Fact(node, {"set_by": who(one.evidence.event)}, one.evidence)


def _follow(naming: Naming, model: str, logged: Logged) -> _Models:
    store, calls = naming.store, list[tuple[LoggedEvent, Event]]()
    for name in sorted(naming.all_of(model)):
        calls += applied(Subject(store, "registered_model", name), logged, _MODEL_TYPES)
        versions = Subject(store, MODEL_VERSION, f"{name}/")
        calls += applied(versions, logged, _VERSION_TYPES, below=True)
    calls += [call for call in naming.calls if call[1].type == WORKSPACE_DELETED]
    models = _Models()
    for found, event in sorted(calls, key=lambda call: (call[1].time_us, call[1].sequence)):
        _apply(models, found, event)
    return models


def _apply(models: _Models, found: LoggedEvent, event: Event) -> None:
    parts: Any = event.payload
    name = name_of(event)
    match event.type:
        case "registered_model.created":
            models.held[name] = {}
        case "registered_model.baseline":
            models.held[name] = {}
            for alias, version in dict(parts.get("aliases") or {}).items():
                models.give(name, f"alias:{alias}", int(version), found)
        case "registered_model.deleted":
            for target in list(models.held.get(name, {})):
                models.end(name, target)
        case "registered_model.renamed":
            _move(models, name, new_name_of(event))
        case "workspace.deleted":
            prefix = f"{event.subject.id}/"
            for held in [name for name in models.held if name.startswith(prefix)]:
                _move(models, held, held.removeprefix(prefix))
        case "registered_model.alias_set":
            models.end(name, f"alias:{parts['alias']}")
            models.give(name, f"alias:{parts['alias']}", int(parts["version"]), found)
        case "registered_model.alias_deleted":
            models.end(name, f"alias:{parts['alias']}")
        case "model_version.deleted":
            for target in list(models.held.get(name, {})):
                models.end(name, target, _number(event))
        case "model_version.baseline":
            _to_stage(models, name, _number(event), parts["fields"].get("current_stage"), found)
        case "model_version.stage_set":
            result: Any = event.result or {}
            moved = result.get("versions") or [[_number(event), parts["stage"], None]]
            for number, stage, _ in moved:
                _to_stage(models, name, int(number), stage, found)


def _move(models: _Models, name: str, new_name: str) -> None:
    moved = models.held.pop(name, {})
    for target, held in moved.items():
        was = models.ended.setdefault((name, target), [])
        was += [_Held(one.name, one.version, one.evidence, is_over=True) for one in held]
    models.held[new_name] = moved


def _to_stage(models: _Models, name: str, version: int, stage: object, found: LoggedEvent) -> None:
    for target in [t for t in models.held.get(name, {}) if t.startswith("stage:")]:
        models.end(name, target, version)
    if stage in _STAGES:
        models.give(name, f"stage:{stage}", version, found)


def _number(event: Event) -> int:
    return int(event.subject.id.rpartition("/")[2])
