"""Logged models, and versions of registered models: whose files they have."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final

from chain_client.events import Event, Json, Subject
from chain_client.shown_uri import to_shown_uri
from chain_client.traces import (
    LOGGED_MODEL,
    MODEL_VERSION,
    RUN,
    Fact,
    Gap,
    Link,
    Logged,
    LoggedEvent,
    Node,
    Traced,
)
from mlflow_chain.mapping.workspaces import to_key
from mlflow_chain.tracing.naming import Naming
from mlflow_chain.tracing.said import applied, parts_of, unreadable, who

_MODELS, _RUNS = "models:/", "runs:/"
_VERSION_MADE: Final = ("model_version.created", "model_version.baseline")
_MODEL_MADE: Final = ("logged_model.created", "logged_model.baseline")
_GONE: Final = {
    "model_version.deleted": "deleted",
    "logged_model.deleted": "deleted",
    "logged_model.removed": "removed for ever",
}


def version_origins(node: Node, naming: Naming, logged: Logged) -> Iterator[Traced]:
    """The logged model, run or other version that a version has its files of."""
    subject = Subject(node.store, MODEL_VERSION, node.id)
    made: tuple[LoggedEvent, Event] | None = None
    gone: tuple[LoggedEvent, Event] | None = None
    for found, event in applied(subject, logged, {*_VERSION_MADE, *_GONE}):
        # The number of a model that was deleted and made again begins at 1 again: the last counts.
        if event.type in _VERSION_MADE:
            made, gone = (found, event), None
        else:
            gone = (found, event)
    yield from unreadable(node, subject, logged)
    former = naming.former(node.id)
    if former is not None and (made is None or made[1].time_us < former.at_us):
        yield Link(node, former.node, "named before", former.evidence)
        yield Fact(node, {"renamed_by": former.who}, former.evidence)
        return
    if made is None:
        yield Gap(node, "the log does not say how the version was created")
        return
    found, event = made
    yield Fact(node, _version_facts(event), found)
    if gone is not None:
        yield Fact(node, {"removed": _GONE[gone[1].type]}, gone[0])
    links = list(_sources(node, found, event))
    yield from links
    if not links:
        source = _source(event)
        yield Gap(
            node,
            "it came of no run: its files were taken from "
            + (to_shown_uri(source) if source else "a place that the log does not name"),
        )


def logged_model_origins(node: Node, logged: Logged) -> Iterator[Traced]:
    """The run that logged a model."""
    subject = Subject(node.store, LOGGED_MODEL, node.id)
    is_known = has_run = False
    for found, event in applied(subject, logged, {*_MODEL_MADE, *_GONE}):
        if event.type in _GONE:
            yield Fact(node, {"removed": _GONE[event.type]}, found)
            continue
        is_known = True
        yield Fact(node, _model_facts(event), found)
        run_id = _source_run(event)
        if run_id:
            has_run = True
            yield Link(node, Node(RUN, node.store, run_id), "logged by", found)
    yield from unreadable(node, subject, logged)
    if not is_known:
        yield Gap(node, "the log does not say how the logged model was created")
    elif not has_run:
        yield Gap(node, "it was logged outside of any run")


def results(nodes: Collection[Node], logged: Logged) -> Iterator[Traced]:
    """Logged models of runs, and versions of those, of runs, and of versions."""
    sought = set(nodes)
    for store in sorted({n.store for n in nodes if n.kind in (RUN, LOGGED_MODEL, MODEL_VERSION)}):
        run_ids = {node.id for node in nodes if node.kind == RUN and node.store == store}
        if run_ids:
            below = Subject(store, LOGGED_MODEL, "")
            for found, event in applied(below, logged, _MODEL_MADE, below=True, containing=run_ids):
                run = Node(RUN, store, _source_run(event) or "")
                if run in sought:
                    model = Node(LOGGED_MODEL, store, event.subject.id)
                    yield Link(model, run, "logged by", found)
        below = Subject(store, MODEL_VERSION, "")
        for found, event in applied(below, logged, _VERSION_MADE, below=True):
            version = Node(MODEL_VERSION, store, event.subject.id)
            for link in _sources(version, found, event):
                if link.earlier in sought:
                    yield link


def _sources(version: Node, found: LoggedEvent, event: Event) -> Iterator[Link]:
    source = _source(event)
    parts = _told(event)
    model_id = parts.get("model_id")
    if source.startswith(_MODELS):
        name, _, rest = source.removeprefix(_MODELS).strip("/").partition("/")
        number = rest.partition("/")[0]
        if name.startswith("m-") and not number.isdecimal():
            model_id = name
        elif number.isdecimal():
            key = f"{to_key(event.payload.get('workspace'), name)}/{number}"
            copied = Node(MODEL_VERSION, version.store, key)
            yield Link(version, copied, "copied from", found)
    if model_id:
        logged_model = Node(LOGGED_MODEL, version.store, str(model_id))
        yield Link(version, logged_model, "made of", found)
    run_id = parts.get("run_id")
    if source.startswith(_RUNS):
        run_id = source.removeprefix(_RUNS).strip("/").partition("/")[0]
    if run_id:
        yield Link(version, Node(RUN, version.store, str(run_id)), "made by", found)


def _told(event: Event) -> dict[str, Any]:
    """What was asked for, and what the store filled in where nothing was."""
    parts = parts_of(event)
    if event.type.endswith(".baseline"):
        return dict(parts.get("fields") or {})
    given = {name: value for name, value in parts.items() if value is not None}
    return {**(event.result or {}), **given}


def _source(event: Event) -> str:
    return str(_told(event).get("source") or "")


def _source_run(event: Event) -> str | None:
    run_id = _told(event).get("source_run_id")
    return str(run_id) if run_id else None


def _version_facts(event: Event) -> dict[str, Json]:
    if event.type.endswith(".baseline"):
        return {"before_adoption": True, "removed": None}
    return {"user": who(event), "removed": None}


def _model_facts(event: Event) -> dict[str, Json]:
    told = _told(event)
    facts: dict[str, Json] = {"name": told.get("name"), "model_type": told.get("model_type")}
    if event.type.endswith(".baseline"):
        facts["before_adoption"] = True
    return facts
