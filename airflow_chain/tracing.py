"""Airflow's side of a lineage: tries of tasks, DAG runs and their graphs; Airflow is not asked."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from airflow_chain import keys
from airflow_chain.keys import DagRunKey, TaskKey
from airflow_chain.mapping.graph import digest_graph
from chain_client.errors import InvalidInput
from chain_client.events import Event, Json, Subject
from chain_client.lineage.confirming import BEGAN, ENDED
from chain_client.lineage.tasks import UNKNOWN, split_try
from chain_client.traces import (
    DAG_RUN,
    DAG_VERSION,
    TASK_TRY,
    Fact,
    Gap,
    Link,
    Logged,
    Node,
    Traced,
    by_time,
)

_RUN_TYPES: Final = (
    keys.DAG_RUN_STARTED,
    keys.DAG_RUN_SUCCEEDED,
    keys.DAG_RUN_FAILED,
    keys.DAG_RUN_MARKED,
    keys.DAG_RUN_RECONCILED,
)
_BEGINNINGS: Final = (keys.TASK_STARTED, keys.TASK_RESUMED, keys.TASK_POKED)
_ENDS: Final = (
    keys.TASK_SUCCEEDED,
    keys.TASK_FAILED,
    keys.TASK_SKIPPED,
    keys.TASK_RETRY_SCHEDULED,
)
# A sensor may be called again thousands of times: that says nothing new.
_TASK_TYPES: Final = (
    *_BEGINNINGS[:2],
    *_ENDS,
    keys.TASK_DEFERRED,
    keys.TASK_MARKED,
)
_TOLD_OF_RUNS: Final = ("state", "run_type", "triggered_by", "triggering_user_name")


class AirflowTraces:
    """`chain_client.traces.Traces` of an Airflow's events."""

    def find_nodes(self, kind: str, text: str, logged: Logged) -> Iterator[Node]:
        """The things of that kind that people call so; see `chain_client.traces.Traces`."""
        return find_nodes(kind, text, logged)

    def origins(self, nodes: Collection[Node], logged: Logged) -> Iterator[Traced]:
        """What the nodes came of; see `chain_client.traces.Traces`."""
        return origins(nodes, logged)

    def results(self, nodes: Collection[Node], logged: Logged) -> Iterator[Traced]:
        """What came of the nodes; see `chain_client.traces.Traces`."""
        return results(nodes, logged)


def find_nodes(kind: str, text: str, logged: Logged) -> Iterator[Node]:
    """The things of that kind that people call so; see `chain_client.traces.Traces`."""
    for store in logged.stores():
        if kind == DAG_RUN and "/" in text:
            run = Subject(store, keys.DAG_RUN, text)
            tasks = Subject(store, keys.TASK_INSTANCE, f"{text}/")
            is_known = any(found.id == text for found in logged.subjects(run))
            if is_known or any(_is_of(text, found.id) for found in logged.subjects(tasks)):
                yield Node(DAG_RUN, store, text)
        elif kind == DAG_VERSION and "/" in text:
            for found in logged.subjects(Subject(store, keys.DAG_VERSION, text)):
                yield Node(DAG_VERSION, store, found.id)


def _is_of(dag_run: str, task_instance: str) -> bool:
    try:
        return TaskKey.from_id(task_instance).dag_run.to_id() == dag_run
    except ValueError:
        return False


def origins(nodes: Collection[Node], logged: Logged) -> Iterator[Traced]:
    """What the nodes came of; see `chain_client.traces.Traces`."""
    for node in nodes:
        if node.kind == TASK_TRY:
            yield from _try_origins(node, logged)
        elif node.kind == DAG_RUN:
            yield from _run_origins(node, logged)
        elif node.kind == DAG_VERSION:
            yield from _graph_origins(node, logged)


def results(nodes: Collection[Node], logged: Logged) -> Iterator[Traced]:
    """The DAG runs of graphs; what was made in them, others say."""
    for node in nodes:
        if node.kind == DAG_VERSION:
            dag_id, _, sha256 = node.id.partition("/")
            below = Subject(node.store, keys.DAG_RUN, f"{dag_id}/")
            for found in logged.events(below, below=True, types=_RUN_TYPES):
                if found.event is not None and found.event.payload.get("graph") == sha256:
                    run = Node(DAG_RUN, node.store, found.subject.id)
                    yield Link(run, node, "had the graph", found)


def _try_origins(node: Node, logged: Logged) -> Iterator[Traced]:
    instance, try_number = split_try(node)
    try:
        key = TaskKey.from_id(instance)
    except ValueError:
        yield Gap(node, "several task instances fit what its tags say")
        return
    if node.store == UNKNOWN:
        yield Gap(node, "no Airflow recorded a task of that name")
        return
    yield from _told_by_tasks(node, key, try_number, logged)


def _told_by_tasks(
    node: Node, key: TaskKey, try_number: int | None, logged: Logged
) -> Iterator[Traced]:
    subject = Subject(node.store, keys.TASK_INSTANCE, key.to_id())
    run = Node(DAG_RUN, node.store, key.dag_run.to_id())
    began: int | None = None
    is_known = has_ended = False
    for found in by_time(logged.events(subject, types=_TASK_TYPES)):
        event = found.event
        if event is None:
            yield Gap(node, f"the payload of entry {found.index} was erased", found)
            continue
        if event.payload.get("try_number") != try_number:
            continue
        if not is_known:
            yield Link(node, run, "part of", found)
        is_known = True
        facts = _task_facts(event)
        if event.type in _BEGINNINGS:
            began = event.time_us if began is None else min(began, event.time_us)
            facts[BEGAN] = began
        elif began is None and isinstance(event.payload.get("started_us"), int):
            facts[BEGAN] = event.payload["started_us"]
        if event.type in _ENDS:
            facts[ENDED] = event.time_us
            has_ended = True
        yield Fact(node, facts, found)
    if not has_ended:  # of a task that was killed no hook tells
        yield from _told_by_run(node, run, key, try_number, logged, is_known=is_known, began=began)


def _told_by_run(
    node: Node,
    run: Node,
    key: TaskKey,
    try_number: int | None,
    logged: Logged,
    *,
    is_known: bool,
    began: int | None,
) -> Iterator[Traced]:
    """What the end of the DAG run says of a try of whose end no hook told, or of nothing of it.

    A time counts as it was first told: later ones are of what the database said by then.
    """
    subject = Subject(run.store, keys.DAG_RUN, run.id)
    has_event = is_known
    ended: int | None = None
    for found in by_time(logged.events(subject, types=_RUN_TYPES)):
        for item in _items(found.event):
            same = (item.get("task_id"), item.get("map_index"), item.get("try_number"))
            if same != (key.task_id, key.map_index, try_number):
                continue
            is_known = True
            facts = {name: item.get(name) for name in ("state", "operator") if item.get(name)}
            if began is None and isinstance(item.get("started_us"), int):
                began = item["started_us"]
            if ended is None and isinstance(item.get("ended_us"), int):
                ended = item["ended_us"]
            facts.update({BEGAN: began} if began is not None else {})
            facts.update({ENDED: ended} if ended is not None else {})
            if not has_event:
                yield Link(node, run, "part of", found, note="told by the end of the DAG run only")
            yield Fact(node, facts, found)
    if not is_known:
        yield Gap(node, "no event of this try was recorded")


def _run_origins(node: Node, logged: Logged) -> Iterator[Traced]:
    subject = Subject(node.store, keys.DAG_RUN, node.id)
    is_known = has_graph = False
    for found in by_time(logged.events(subject, types=_RUN_TYPES)):
        event = found.event
        if event is None:
            yield Gap(node, f"the payload of entry {found.index} was erased", found)
            continue
        is_known = True
        yield Fact(node, _run_facts(event), found)
        sha256 = event.payload.get("graph")
        if isinstance(sha256, str):
            has_graph = True
            dag_id = DagRunKey.from_id(node.id).dag_id
            graph = Node(DAG_VERSION, node.store, f"{dag_id}/{sha256}")
            yield Link(node, graph, "had the graph", found)
    if not is_known:
        yield Gap(node, "no event of the DAG run was recorded")
    elif not has_graph:
        yield Gap(node, "the graph of the DAG was not recorded")


def _graph_origins(node: Node, logged: Logged) -> Iterator[Traced]:
    subject = Subject(node.store, keys.DAG_VERSION, node.id)
    is_known = False
    for found in logged.events(subject, types=(keys.DAG_VERSION_RECORDED,)):
        if found.event is None:
            yield Gap(node, f"the payload of entry {found.index} was erased", found)
            continue
        is_known = True
        payload: Mapping[str, Any] = found.event.payload
        graph: Any = payload.get("graph")
        if not _is_graph_of(graph, node.id.rpartition("/")[2]):
            yield Gap(node, f"the graph in entry {found.index} is not that of its hash", found)
            continue
        bundle = graph.get("bundle") or {}
        facts: dict[str, Json] = {
            "tasks": len(graph.get("tasks") or ()),
            "edges": len(graph.get("edges") or ()),
            "bundle": bundle.get("name"),
            "bundle_version": bundle.get("version"),
            "version_number": payload.get("version_number"),
        }
        yield Fact(node, facts, found)
    if not is_known:
        yield Gap(node, "only the hash of the graph is in the log")


def _is_graph_of(graph: Any, sha256: str) -> bool:
    try:
        return isinstance(graph, dict) and digest_graph(graph) == sha256
    except InvalidInput:
        return False


def _task_facts(event: Event) -> dict[str, Json]:
    facts: dict[str, Json] = {}
    operator = event.payload.get("operator")
    if operator is not None:
        facts["operator"] = operator
    if event.type == keys.TASK_MARKED:
        facts["marked"] = event.payload.get("state")
        facts["marked_by"] = event.actor.authenticated
    elif event.type in _BEGINNINGS:
        facts["state"] = "running"
    else:
        facts["state"] = event.payload.get("state") or event.type.rpartition(".")[2]
    if event.payload.get("error_class") is not None:
        facts["error_class"] = event.payload["error_class"]
    return facts


def _run_facts(event: Event) -> dict[str, Json]:
    item: Any = event.payload.get("dag_run")
    facts: dict[str, Json] = {}
    if isinstance(item, dict):
        facts = {name: item[name] for name in _TOLD_OF_RUNS if item.get(name) is not None}
    if event.type == keys.DAG_RUN_MARKED:
        facts["marked_by"] = event.actor.authenticated
    tasks: Any = event.payload.get("task_instances")
    if isinstance(tasks, list) and "part" not in event.payload:
        facts["tasks"] = len(tasks)
    return facts


def _items(event: Event | None) -> Iterator[Mapping[str, Any]]:
    rows: Any = None if event is None else event.payload.get("task_instances")
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict):
            yield row
