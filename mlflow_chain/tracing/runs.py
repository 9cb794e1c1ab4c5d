"""Runs: what they read, which task they say they ran in, and what began inside them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final

from chain_client.events import Event, Json, Subject
from chain_client.lineage.tasks import UNKNOWN, dag_run_of, split_try, task_try
from chain_client.running_in import from_tags
from chain_client.traces import (
    DAG_RUN,
    DATASET,
    LOGGED_MODEL,
    RUN,
    TASK_TRY,
    Fact,
    Gap,
    Link,
    Logged,
    LoggedEvent,
    Node,
    Traced,
)
from mlflow_chain.tracing.said import applied, parts_of, texts, unreadable, who

_BASELINE: Final = "run.baseline"
_MADE: Final = ("run.created", _BASELINE)
_INPUTS: Final = ("run.inputs_logged", _BASELINE)
_STATES: Final = {
    "run.deleted": "deleted",
    "run.removed": "removed for ever",
    "run.restored": None,
}
_PARENT: Final = "mlflow.parentRunId"
_CONTEXT: Final = "mlflow.data.context"


def origins(node: Node, logged: Logged) -> Iterator[Traced]:
    """Datasets, models, the run around it and the task of a run."""
    subject = Subject(node.store, RUN, node.id)
    types = {*_MADE, *_INPUTS, *_STATES, "run.updated"}
    has_task = has_data = is_known = False
    for found, event in applied(subject, logged, types):
        if event.type in _MADE:
            is_known = True
            yield Fact(node, _made(event), found)
            for link in _started_in(node, found, event):
                has_task = True
                yield link
        elif event.type == "run.updated":
            status = parts_of(event).get("status")
            if status is not None:
                yield Fact(node, {"status": status}, found)
        elif event.type in _STATES:
            yield Fact(node, {"removed": _STATES[event.type]}, found)
        for dataset in _datasets(event):
            has_data = True
            yield Link(node, _dataset(node.store, dataset), "read", found, note=_context(dataset))
            yield Fact(_dataset(node.store, dataset), _dataset_facts(dataset), found)
        for model_id in _models(event):
            yield Link(node, Node(LOGGED_MODEL, node.store, model_id), "used", found)
    yield from unreadable(node, subject, logged)
    if not is_known:
        yield Gap(node, "the log does not say how the run was created")
    elif not has_task:
        yield Gap(node, "the run was not started by a task")
    if is_known and not has_data:
        yield Gap(node, "no dataset was logged")


def results(nodes: Collection[Node], logged: Logged) -> Iterator[Traced]:
    """Runs that were started by, began in, or read, one of the nodes."""
    sought = set(nodes)
    stores = {node.store for node in nodes if node.kind in (RUN, DATASET, LOGGED_MODEL)}
    has_tasks = any(node.kind in (TASK_TRY, DAG_RUN) for node in nodes)
    if has_tasks or any(node.kind == RUN for node in nodes):
        for store in logged.stores() if has_tasks else sorted(stores):
            yield from _started(store, sought, logged)
    if any(node.kind in (DATASET, LOGGED_MODEL) for node in nodes):
        for store in sorted(stores):
            yield from _read(store, sought, logged)


def find_datasets(store: str, text: str, logged: Logged) -> Iterator[Node]:
    """Datasets of that digest or name."""
    found: dict[Node, None] = {}
    runs = Subject(store, RUN, "")
    for _, event in applied(runs, logged, _INPUTS, below=True, containing=(text,)):
        for dataset in _datasets(event):
            if text in dataset[:2]:
                found.setdefault(_dataset(store, dataset))
    yield from found


def find_dag_runs(text: str, logged: Logged) -> Iterator[Node]:
    """DAG runs of that id that runs say they were started in."""
    found: dict[Node, None] = {}
    for store in logged.stores():
        runs, run_id = Subject(store, RUN, ""), text.partition("/")[2]
        for entry, event in applied(runs, logged, _MADE, below=True, containing=(run_id,)):
            for link in _started_in(Node(RUN, store, event.subject.id), entry, event):
                if link.earlier.kind == DAG_RUN and link.earlier.id == text:
                    found.setdefault(link.earlier)
    yield from found


def _started(store: str, sought: set[Node], logged: Logged) -> Iterator[Link]:
    names = {_named_in_tags(node) for node in sought if node.kind in (RUN, DAG_RUN, TASK_TRY)}
    runs = Subject(store, RUN, "")
    for found, event in applied(runs, logged, _MADE, below=True, containing=names):
        run = Node(RUN, store, event.subject.id)
        links = list(_started_in(run, found, event))
        if any(_is_sought(link.earlier, sought) for link in links):
            yield from links


def _named_in_tags(node: Node) -> str:
    """A text that stands in the tags of every run that began in a run, DAG run or task."""
    if node.kind == RUN:
        return node.id
    return (node if node.kind == DAG_RUN else dag_run_of(node)).id.partition("/")[2]


def _is_sought(node: Node, sought: set[Node]) -> bool:
    if node in sought:
        return True
    if node.kind == DAG_RUN and node.store == UNKNOWN:
        return any(one.kind == DAG_RUN and one.id == node.id for one in sought)
    if node.kind != TASK_TRY or UNKNOWN not in (node.store, *split_try(node)[0].split("/")):
        return False
    return any(one.kind == TASK_TRY and _may_be(node, one) for one in sought)


def _may_be(open_node: Node, node: Node) -> bool:
    """Whether what is not known of a try is all that tells the two apart."""
    (instance, try_number), (other, other_try) = split_try(open_node), split_try(node)
    (place, _, index), (other_place, _, other_index) = (
        instance.rpartition("/"),
        other.rpartition("/"),
    )
    return (
        place == other_place
        and index in (UNKNOWN, other_index)
        and try_number in (None, other_try)
        and open_node.store in (UNKNOWN, node.store)
    )


def _started_in(run: Node, found: LoggedEvent, event: Event) -> Iterator[Link]:
    tags = texts(parts_of(event).get("tags"))
    running_in = from_tags(tags)
    if running_in is not None:
        node = task_try(running_in)
        yield Link(run, node, "ran in", found, is_claimed=True)
        yield Link(node, dag_run_of(node), "part of", found, is_claimed=True)
    if tags.get(_PARENT):
        yield Link(run, Node(RUN, run.store, tags[_PARENT]), "nested in", found)


def _read(store: str, sought: set[Node], logged: Logged) -> Iterator[Traced]:
    # Of a dataset's id, digest and name: the digest may hold a slash, its beginning stands there.
    names = {
        node.id.partition("/")[0] if node.kind == DATASET else node.id
        for node in sought
        if node.kind in (DATASET, LOGGED_MODEL)
    }
    runs = Subject(store, RUN, "")
    for found, event in applied(runs, logged, _INPUTS, below=True, containing=names):
        run = Node(RUN, store, event.subject.id)
        for dataset in _datasets(event):
            node = _dataset(store, dataset)
            if node in sought:
                yield Link(run, node, "read", found, note=_context(dataset))
                yield Fact(node, _dataset_facts(dataset), found)
        for model_id in _models(event):
            node = Node(LOGGED_MODEL, store, model_id)
            if node in sought:
                yield Link(run, node, "used", found)


def _made(event: Event) -> dict[str, Json]:
    parts: dict[str, Any] = parts_of(event)
    if event.type == _BASELINE:
        fields: dict[str, Any] = parts.get("fields") or {}
        return {
            "name": fields.get("name") or fields.get("run_name"),
            "status": fields.get("status"),
            "before_adoption": True,
        }
    result: dict[str, Any] = dict(event.result or {})
    return {
        "name": result.get("name") or parts.get("name"),
        "user": who(event) or parts.get("user_id"),
    }


def _datasets(event: Event) -> list[list[Any]]:
    rows = parts_of(event).get("datasets")
    return [row for row in rows or () if isinstance(row, list | tuple) and len(row) >= 2]  # type: ignore[misc]


def _models(event: Event) -> list[str]:
    return [str(model_id) for model_id in parts_of(event).get("models") or ()]


def _dataset(store: str, row: list[Any]) -> Node:
    return Node(DATASET, store, f"{row[1]}/{row[0]}")


def _dataset_facts(row: list[Any]) -> dict[str, Json]:
    source_type = row[2] if len(row) > 2 else None
    return {"name": str(row[0]), "digest": str(row[1]), "source_type": source_type}


def _context(row: list[Any]) -> str:
    tags = texts(row[6]) if len(row) > 6 else {}
    return f"as {tags[_CONTEXT]}" if tags.get(_CONTEXT) else ""
