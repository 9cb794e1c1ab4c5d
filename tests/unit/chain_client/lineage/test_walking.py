"""Following links: whole, in one order, bounded; claims are confirmed or called claims."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from airflow_chain.keys import TaskKey
from airflow_chain.mapping.dag_runs import map_dag_run_row
from airflow_chain.mapping.final_states import FinalStates
from airflow_chain.mapping.tasks import TaskFacts, map_start
from chain_client.events import Json, Subject
from chain_client.lineage.graph import Graph
from chain_client.lineage.walking import Direction, walk
from chain_client.traces import (
    DATASET,
    RUN,
    TASK_TRY,
    Gap,
    Link,
    Logged,
    Node,
    Traced,
    installed_traces,
)
from tests.lineages import CHAMPION, LOGGED, ROW, THE_RUN, VERSION, add_task, whole_log
from tests.logged_events import AIRFLOW, MLFLOW, START_US, LogInMemory, task_tags


def back(log: Logged, *starts: Node, **more: Any) -> Graph:
    return walk(starts, Direction.ORIGINS, installed_traces(), log, **more)


def on(log: Logged, *starts: Node, **more: Any) -> Graph:
    return walk(starts, Direction.RESULTS, installed_traces(), log, **more)


def chain(graph: Graph) -> set[tuple[str, str]]:
    return {(link.later.id, link.earlier.id) for link in graph.links.values()}


def test_the_way_goes_from_an_alias_to_the_graph_of_the_dag() -> None:
    graph = back(whole_log(), CHAMPION)
    assert chain(graph) == {
        ("fraud/alias:champion", "fraud/1"),
        ("fraud/1", LOGGED),
        ("fraud/1", "r2"),
        (LOGGED, "r2"),
        ("r2", "1/iris"),
        ("r2", "train/manual/1/fit/-1#2"),
        ("train/manual/1/fit/-1#2", "train/manual/1"),
        ("train/manual/1", VERSION.id),
    }
    assert graph.gaps == {}
    assert not any(link.is_claimed for link in graph.links.values())


@pytest.mark.parametrize(
    ("start", "found", "missing"),
    [
        (THE_RUN, {"r1", "r2", LOGGED, "fraud/1", "fraud/alias:champion"}, {"1/iris"}),
        (Node(DATASET, MLFLOW, "1/iris"), {"r2", "fraud/alias:champion"}, {"r1", THE_RUN.id}),
        (
            Node("dag_version", AIRFLOW, VERSION.id),
            {THE_RUN.id, "r1", "r2", "fraud/alias:champion"},
            {"1/iris"},
        ),
        (Node(RUN, MLFLOW, "r1"), {"r1"}, {"r2", "fraud/1"}),
    ],
)
def test_the_way_goes_on_to_what_is_current(
    start: Node, found: set[str], missing: set[str]
) -> None:
    graph = on(whole_log(), start)
    ids = {node.id for node in graph.facts}
    assert found <= ids
    assert not missing & ids
    assert not any(link.is_claimed for link in graph.links.values())


def test_what_is_found_on_the_way_says_what_it_is_but_not_where_else_it_came_from() -> None:
    graph = on(whole_log(), THE_RUN)
    assert graph.facts[Node(TASK_TRY, AIRFLOW, "train/manual/1/fit/-1#2")]["state"] == "success"
    assert graph.gaps == {}
    assert "dag_version" not in {node.kind for node in graph.facts}


@pytest.mark.parametrize(
    ("made_s", "source", "claimed", "note"),
    [
        (5.0, 2, False, "the task's own process recorded both"),
        (5.0, 7, False, "the task was running when it was made"),
        (60.0, 7, False, "the task was running when it was made"),
        (80.0, 7, True, "only its tags say so: it was made after that try had ended"),
        (-65.0, 7, True, "only its tags say so: it was made before that try began"),
        (12.0, 2, True, "only its tags say so: it was made after that try had ended"),
    ],
)
def test_a_run_is_only_believed_to_be_of_a_try_that_was_running(
    made_s: float, source: int, claimed: bool, note: str
) -> None:
    log = LogInMemory()
    add_task(log, 1, source=2)
    log.add("run.created", "r1", {"tags": task_tags()}, at_s=made_s, source=source)
    graph = back(log, Node(RUN, MLFLOW, "r1"))
    (link,) = [link for link in graph.links.values() if link.relation == "ran in"]
    assert (link.is_claimed, link.note) == (claimed, note)


@pytest.mark.parametrize(
    ("run_ended", "made_s", "source", "claimed", "note"),
    [
        (True, 3.0, 7, False, "the task was running when it was made"),
        (True, 86_400.0, 7, True, "only its tags say so: it was made after that try had ended"),
        (True, 3.0, 3, False, "the task was running when it was made"),  # not of the task's process
        (False, 3.0, 2, False, "the task's own process recorded both"),
        (False, 3.0, 7, True, "only its tags say so: no event tells when that try ended"),
        (False, 86_400.0, 7, True, "only its tags say so: no event tells when that try ended"),
    ],
)
def test_a_try_that_was_killed_lends_its_name_to_no_later_run(
    run_ended: bool, made_s: float, source: int, claimed: bool, note: str
) -> None:
    log = LogInMemory()
    began = map_start(TaskFacts(TaskKey("train", "manual/1", "fit"), try_number=1))
    log.add(began.type, began.id, began.payload, store=AIRFLOW, at_s=0.0, source=2)
    if run_ended:
        item: dict[str, Json] = {
            "task_id": "fit",
            "map_index": -1,
            "try_number": 1,
            "state": "failed",
            "started_us": START_US,
            "ended_us": START_US + 5_000_000,
        }
        states = FinalStates((item,), False, 1)
        end = map_dag_run_row({**ROW, "state": "failed"}, "dag_run.failed", states=states)
        log.add(end.type, end.id, end.payload, store=AIRFLOW, at_s=10.0, source=3)
    log.add("run.created", "r1", {"tags": task_tags(try_number=1)}, at_s=made_s, source=source)
    graph = back(log, Node(RUN, MLFLOW, "r1"))
    (link,) = [link for link in graph.links.values() if link.relation == "ran in"]
    assert (link.is_claimed, link.note) == (claimed, note)


def test_a_run_whose_tags_name_a_try_that_nobody_recorded_only_claims_it() -> None:
    log = LogInMemory()
    add_task(log, 1)
    log.add("run.created", "r1", {"tags": task_tags(try_number=2)})
    graph = back(log, Node(RUN, MLFLOW, "r1"))
    claims = {link.relation: link.is_claimed for link in graph.links.values()}
    assert claims == {"ran in": True, "part of": True}
    assert "no event of this try was recorded" in {text for _, text in graph.gaps}


def test_what_a_run_does_not_know_is_found_if_only_one_thing_fits() -> None:
    log = LogInMemory()
    add_task(log, 1, map_index=4)
    known = ("airflow.map_index", "airflow.name")
    tags = [pair for pair in task_tags() if pair[0] not in known]
    log.add("run.created", "r1", {"tags": tags}, at_s=2.0)
    run = Node(RUN, MLFLOW, "r1")
    assert chain(back(log, run)) == {
        ("r1", "train/manual/1/fit/4#1"),
        ("train/manual/1/fit/4#1", "train/manual/1"),
    }
    assert chain(on(log, THE_RUN)) >= {("r1", "train/manual/1/fit/4#1")}
    add_task(log, 1, map_index=5)
    graph = back(log, run)
    assert ("r1", "train/manual/1/fit/?#1") in chain(graph)
    assert "several task instances fit what its tags say" in {text for _, text in graph.gaps}


def test_the_same_events_tell_the_same_in_whatever_order_they_came_into_the_log() -> None:
    first = back(whole_log(), CHAMPION)
    for seed in range(8):
        log = whole_log()
        Random(seed).shuffle(log.logged)
        log.logged = [replace(one, index=index) for index, one in enumerate(log.logged)]
        again = back(log, CHAMPION)
        assert again.facts == first.facts
        assert again.nodes() == first.nodes()
        assert set(again.links) == set(first.links)
        for key, link in again.links.items():
            assert (link.is_claimed, link.is_over) == (False, False)
            assert link.evidence.subject == first.links[key].evidence.subject


def test_a_run_that_used_the_model_it_had_logged_ends_the_walk() -> None:
    log = LogInMemory()
    log.add("run.created", "r1", {"tags": []})
    log.add("logged_model.created", LOGGED, {"source_run_id": "r1"})
    log.add("run.inputs_logged", "r1", {"models": [LOGGED]})
    run = Node(RUN, MLFLOW, "r1")
    assert chain(back(log, run)) == chain(on(log, run)) == {("r1", LOGGED), (LOGGED, "r1")}


class Endless:
    """Links without end."""

    def find_nodes(self, kind: str, text: str, logged: Logged) -> Iterator[Node]:
        yield from ()

    def origins(self, nodes: Collection[Node], logged: Logged) -> Iterator[Traced]:
        for node in nodes:
            for number in range(3):
                earlier = Node(RUN, MLFLOW, f"{node.id}.{number}")
                evidence = next(logged.events(Subject(MLFLOW, "run", "r1")))
                yield Link(node, earlier, "nested in", evidence)

    def results(self, nodes: Collection[Node], logged: Logged) -> Iterator[Traced]:
        yield from ()


def test_a_walk_is_bounded_and_says_so() -> None:
    log = LogInMemory()
    log.add("run.created", "r1", {"tags": []})
    start = Node(RUN, MLFLOW, "r1")
    graph = walk([start], Direction.ORIGINS, [Endless()], log, most=100)
    assert len(graph.facts) == 100
    assert list(graph.gaps.values()) == [Gap(start, "there is more: only 100 things are followed")]
