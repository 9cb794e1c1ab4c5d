"""What Airflow's events say that tries, DAG runs and graphs came of; made by the real mappings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from airflow_chain import keys
from airflow_chain.keys import TaskKey
from airflow_chain.mapping import Mapped
from airflow_chain.mapping.dag_runs import map_dag_run_row
from airflow_chain.mapping.final_states import FinalStates
from airflow_chain.mapping.graph import map_dag_version
from airflow_chain.mapping.tasks import TaskError, TaskFacts, map_end, map_mark, map_start
from airflow_chain.tracing import AirflowTraces
from chain_client.events import Actor
from chain_client.lineage.confirming import BEGAN, ENDED
from chain_client.traces import (
    DAG_RUN,
    DAG_VERSION,
    TASK_TRY,
    Fact,
    Gap,
    Link,
    Node,
    Traced,
)
from tests.logged_events import AIRFLOW, START_US, LogInMemory

TRACES = AirflowTraces()
KEY = TaskKey("train", "manual/1", "fit")
ROW = {"dag_id": "train", "run_id": "manual/1", "state": "running", "run_type": "manual"}
GRAPH: Any = {
    "format": 1,
    "dag_id": "train",
    "bundle": {"name": "dags", "version": "abc"},
    "tasks": [{"id": "fit"}, {"id": "report"}],
    "edges": [["fit", "report"]],
}
VERSION = map_dag_version(GRAPH, version_number=3)
SHA256 = VERSION.id.partition("/")[2]
RUN = Node(DAG_RUN, AIRFLOW, "train/manual/1")
GRAPH_NODE = Node(DAG_VERSION, AIRFLOW, VERSION.id)


def try_node(number: int) -> Node:
    return Node(TASK_TRY, AIRFLOW, f"{KEY.to_id()}#{number}")


def note(log: LogInMemory, mapped: Mapped, **more: Any) -> int:
    assert mapped.type.startswith(f"{mapped.kind}.")
    return log.add(mapped.type, mapped.id, mapped.payload, store=AIRFLOW, **more)


def task(number: int, **more: Any) -> TaskFacts:
    return TaskFacts(KEY, try_number=number, operator="PythonOperator", **more)


def origins(log: LogInMemory, node: Node) -> list[Traced]:
    return list(TRACES.origins([node], log))


def facts(traced: Iterable[Traced]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in traced:
        if isinstance(one, Fact):
            found.update(one.values)
    return found


def links(traced: Iterable[Traced]) -> list[tuple[str, Node, int]]:
    return [
        (one.relation, one.earlier, one.evidence.index) for one in traced if isinstance(one, Link)
    ]


def gaps(traced: Iterable[Traced]) -> list[str]:
    return [one.text for one in traced if isinstance(one, Gap)]


def test_a_try_is_told_by_the_events_of_its_number_only() -> None:
    log = LogInMemory()
    note(log, map_start(task(1)))
    note(log, map_end(task(1), "up_for_retry", TaskError("ValueError")))
    note(log, map_start(task(2)))
    note(log, map_end(task(2), "success"))
    first, second = origins(log, try_node(1)), origins(log, try_node(2))
    assert facts(first) == {
        "operator": "PythonOperator",
        "state": "up_for_retry",
        "error_class": "ValueError",
        BEGAN: START_US,
        ENDED: START_US + 1_000_000,
    }
    assert facts(second)["state"] == "success"
    assert facts(second)[BEGAN] == START_US + 2_000_000
    assert links(first) == [("part of", RUN, 0)]
    assert links(second) == [("part of", RUN, 2)]
    assert gaps(origins(log, try_node(3))) == ["no event of this try was recorded"]


def test_a_try_that_was_deferred_ran_from_its_first_start_to_its_end() -> None:
    log = LogInMemory()
    note(log, map_start(task(1)))
    note(log, map_start(task(1, next_method="resume")))
    note(log, map_end(task(1), "success"))
    found = facts(origins(log, try_node(1)))
    assert (found[BEGAN], found[ENDED]) == (START_US, START_US + 2_000_000)


def test_who_marked_a_try_is_told() -> None:
    log = LogInMemory()
    note(log, map_start(task(1)))
    note(log, map_mark(task(1), "success"), actor=Actor(authenticated="bob"))
    found = facts(origins(log, try_node(1)))
    assert (found["state"], found["marked"], found["marked_by"]) == ("running", "success", "bob")


def test_a_try_without_events_is_told_by_the_end_of_its_dag_run() -> None:
    log = LogInMemory()
    item: dict[str, Any] = {
        "task_id": "fit",
        "map_index": -1,
        "try_number": 1,
        "state": "failed",
        "operator": "PythonOperator",
        "started_us": START_US,
        "ended_us": START_US + 5,
    }
    states = FinalStates((item, {**item, "map_index": 2, "state": "success"}), False, 9)
    note(log, map_dag_run_row(ROW, keys.DAG_RUN_FAILED, states=states))
    found = origins(log, try_node(1))
    assert facts(found) == {
        "state": "failed",
        "operator": "PythonOperator",
        BEGAN: START_US,
        ENDED: START_US + 5,
    }
    (link,) = [one for one in found if isinstance(one, Link)]
    assert link.note == "told by the end of the DAG run only"
    assert gaps(origins(log, try_node(2))) == ["no event of this try was recorded"]


def test_the_end_of_a_try_that_was_killed_is_told_by_the_end_of_its_dag_run() -> None:
    log = LogInMemory()
    note(log, map_start(task(1)))
    item: dict[str, Any] = {
        "task_id": "fit",
        "map_index": -1,
        "try_number": 1,
        "state": "failed",
        "operator": "PythonOperator",
        "started_us": START_US - 5,
        "ended_us": START_US + 5,
    }
    states = FinalStates((item,), False, 9)
    note(log, map_dag_run_row(ROW, keys.DAG_RUN_FAILED, states=states))
    found = origins(log, try_node(1))
    assert facts(found) == {
        "state": "failed",
        "operator": "PythonOperator",
        BEGAN: START_US,
        ENDED: START_US + 5,
    }
    assert links(found) == [("part of", RUN, 0)]
    assert gaps(found) == []
    # What the database says later moves nothing.
    later = {**item, "started_us": START_US - 9, "ended_us": START_US + 9_000_000}
    states = FinalStates((later,), False, 9)
    note(log, map_dag_run_row(ROW, keys.DAG_RUN_RECONCILED, states=states))
    again = facts(origins(log, try_node(1)))
    assert (again[BEGAN], again[ENDED]) == (START_US, START_US + 5)


def test_a_try_that_was_only_marked_has_its_times_of_the_end_of_its_dag_run() -> None:
    log = LogInMemory()
    note(log, map_mark(task(1), "failed"), actor=Actor(authenticated="bob"))
    item: dict[str, Any] = {"task_id": "fit", "map_index": -1, "try_number": 1, "state": "failed"}
    states = FinalStates(({**item, "started_us": START_US, "ended_us": START_US + 5},), False, 9)
    note(log, map_dag_run_row(ROW, keys.DAG_RUN_FAILED, states=states))
    found = facts(origins(log, try_node(1)))
    assert (found[BEGAN], found[ENDED], found["marked_by"]) == (START_US, START_US + 5, "bob")


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (Node(TASK_TRY, AIRFLOW, "train/manual/1/fit/?#1"), "several task instances fit"),
        (Node(TASK_TRY, "?", "train/manual/1/fit/-1#1"), "no Airflow recorded a task"),
    ],
)
def test_what_tags_leave_open_is_said(node: Node, text: str) -> None:
    assert gaps(origins(LogInMemory(), node))[0].startswith(text)


def test_a_dag_run_leads_to_its_graph() -> None:
    log = LogInMemory()
    note(log, VERSION)
    note(log, map_dag_run_row(ROW, keys.DAG_RUN_STARTED, graph=SHA256))
    row: Mapping[str, Any] = {**ROW, "state": "success"}
    note(log, map_dag_run_row(row, keys.DAG_RUN_SUCCEEDED))
    found = origins(log, RUN)
    assert links(found) == [("had the graph", GRAPH_NODE, 1)]
    assert facts(found) == {"state": "success", "run_type": "manual"}
    assert facts(origins(log, GRAPH_NODE)) == {
        "tasks": 2,
        "edges": 1,
        "bundle": "dags",
        "bundle_version": "abc",
        "version_number": 3,
    }
    came = list(TRACES.results([GRAPH_NODE], log))
    assert [(one.later, one.earlier) for one in came if isinstance(one, Link)] == [
        (RUN, GRAPH_NODE)
    ]


def test_what_is_missing_of_a_dag_run_is_said() -> None:
    log = LogInMemory()
    assert gaps(origins(log, RUN)) == ["no event of the DAG run was recorded"]
    note(log, map_dag_run_row(ROW, keys.DAG_RUN_STARTED))
    assert gaps(origins(log, RUN)) == ["the graph of the DAG was not recorded"]
    note(log, map_dag_run_row(ROW, keys.DAG_RUN_STARTED, graph=SHA256), erased=True)
    assert gaps(origins(log, RUN)) == [
        "the payload of entry 1 was erased",
        "the graph of the DAG was not recorded",
    ]
    assert gaps(origins(log, GRAPH_NODE)) == ["only the hash of the graph is in the log"]


def test_a_graph_that_is_not_that_of_its_hash_is_not_believed() -> None:
    log = LogInMemory()
    payload = {**VERSION.payload, "graph": {**GRAPH, "edges": []}}
    log.add(VERSION.type, VERSION.id, payload, store=AIRFLOW)
    found = origins(log, GRAPH_NODE)
    assert facts(found) == {}
    assert gaps(found)[0] == "the graph in entry 0 is not that of its hash"


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (DAG_RUN, "train/manual/1", [RUN]),
        (DAG_RUN, "train/manual", []),
        (DAG_RUN, "train", []),
        (DAG_VERSION, "train/", [GRAPH_NODE]),
        (DAG_VERSION, VERSION.id[:12], [GRAPH_NODE]),
        (DAG_VERSION, "trai/", []),
        ("run", "train/manual/1", []),
    ],
)
def test_things_are_found_by_what_people_call_them(
    kind: str, text: str, expected: list[Node]
) -> None:
    log = LogInMemory()
    note(log, VERSION)
    note(log, map_start(task(1)))  # of the DAG run itself nothing was recorded
    assert list(TRACES.find_nodes(kind, text, log)) == expected
