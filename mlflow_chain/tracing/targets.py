"""Aliases and stages: which version has them, or had them, and by which names a model went.

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


@dataclass(frozen=True, slots=True)
class Former:
    """The name that a version's model had before.

    Args:
        node: the version by that name.
        at_us: claimed time of the renaming.
        who: who renamed it.
        evidence: the event.
    """

    node: Node
    at_us: int
    who: str | None
    evidence: LoggedEvent


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


def origins(node: Node, logged: Logged) -> Iterator[Traced]:
    """The version that a target points to."""
    model, _, target = node.id.rpartition("/")
    subject = Subject(node.store, "registered_model", model)
    models = _follow(node.store, _names(node.store, model, logged), logged)
    held = models.held.get(model, {}).get(target, [])
    for one in held:
        yield from _links(node, model, one)
    yield from unreadable(node, subject, logged)
    if not held:
        was = models.ended.get((model, target))
        yield Gap(
            node,
            f"no version has it now; version {was[-1].version} had it last"
            if was
            else "the log knows no version that ever had it",
        )


def results(nodes: Collection[Node], logged: Logged) -> Iterator[Traced]:
    """The targets that versions have, or had, and what they are called since."""
    versions = [node for node in nodes if node.kind == MODEL_VERSION]
    for store, model in sorted({(n.store, n.id.rpartition("/")[0]) for n in versions}):
        numbers = {n.id for n in versions if (n.store, n.id.rpartition("/")[0]) == (store, model)}
        models = _follow(store, _names(store, model, logged), logged)
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
            if f"{model}/{one.version}" in numbers:
                yield from _links(Node(TARGET, store, f"{model}/{target}"), model, one)
        yield from _later_names(store, model, numbers, logged)


def former_name(store: str, version_id: str, logged: Logged) -> Former | None:
    """The name before the last renaming to this one; None if there was none."""
    model, _, number = version_id.rpartition("/")
    latest: Former | None = None
    for found, event in _passings(store, logged):
        for old, new in _moves(event, store, model, logged):
            if new == model and (latest is None or event.time_us > latest.at_us):
                node = Node(MODEL_VERSION, store, f"{old}/{number}")
                latest = Former(node, event.time_us, who(event), found)
    return latest


def _later_names(store: str, model: str, numbers: set[str], logged: Logged) -> Iterator[Link]:
    for found, event in _passings(store, logged):
        if event.type != RENAMED or name_of(event) != model:
            continue
        for version_id in sorted(numbers):
            number = version_id.rpartition("/")[2]
            later = Node(MODEL_VERSION, store, f"{new_name_of(event)}/{number}")
            earlier = Node(MODEL_VERSION, store, version_id)
            yield Link(later, earlier, "named before", found)


def _links(node: Node, model: str, one: _Held) -> Iterator[Traced]:
    version = Node(MODEL_VERSION, node.store, f"{model}/{one.version}")
    note = "" if one.name == model else f"given when the model was named {one.name}"
    yield Link(node, version, "points to", one.evidence, is_over=one.is_over, note=note)
    if one.evidence.event is not None and not one.is_over:
        yield Fact(node, {"set_by": who(one.evidence.event)}, one.evidence)


def _passings(store: str, logged: Logged) -> Iterator[tuple[LoggedEvent, Event]]:
    """Calls that gave a model another name."""
    models = Subject(store, "registered_model", "")
    yield from applied(models, logged, (RENAMED,), below=True)
    workspaces = Subject(store, "workspace", "")
    for found, event in applied(workspaces, logged, (WORKSPACE_DELETED,), below=True):
        if event.payload.get("mode") == "SET_DEFAULT":
            yield found, event


def _moves(event: Event, store: str, model: str, logged: Logged) -> Iterator[tuple[str, str]]:
    """Old and new name of a model that the call gave the name ``model``."""
    if event.type == RENAMED:
        if new_name_of(event) == model:
            yield name_of(event), model
    elif "/" not in model:
        old = f"{event.subject.id}/{model}"
        if any(s.id == old for s in logged.subjects(Subject(store, "registered_model", old))):
            yield old, model


def _names(store: str, model: str, logged: Logged) -> set[str]:
    """Every name that what is named so now may have had."""
    passings = [event for _, event in _passings(store, logged)]
    names, fresh = {model}, [model]
    while fresh:
        name = fresh.pop()
        for event in passings:
            for old, _ in _moves(event, store, name, logged):
                if old not in names:
                    names.add(old)
                    fresh.append(old)
    return names


def _follow(store: str, names: set[str], logged: Logged) -> _Models:
    calls: list[tuple[LoggedEvent, Event]] = []
    for name in sorted(names):
        calls += applied(Subject(store, "registered_model", name), logged, _MODEL_TYPES)
        versions = Subject(store, MODEL_VERSION, f"{name}/")
        calls += applied(versions, logged, _VERSION_TYPES, below=True)
    calls += [call for call in _passings(store, logged) if call[1].type == WORKSPACE_DELETED]
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
    models.held[new_name] = models.held.pop(name, {})


def _to_stage(models: _Models, name: str, version: int, stage: object, found: LoggedEvent) -> None:
    for target in [t for t in models.held.get(name, {}) if t.startswith("stage:")]:
        models.end(name, target, version)
    if stage in _STAGES:
        models.give(name, f"stage:{stage}", version, found)


def _number(event: Event) -> int:
    return int(event.subject.id.rpartition("/")[2])
