"""A success in a DAG run's end that nothing recorded explains, and the honest ones."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_chain import keys
from airflow_chain.mapping.graph import to_graph
from airflow_chain.verifying.replay import replay
from airflow_chain.verifying.unexplained_states import find_unexplained_states
from chain_client.events import Event
from chain_client.hosts import Finding
from tests.unit.airflow_chain.recorded_airflow import (
    closed,
    graph_event,
    item,
    lossy,
    run_event,
    run_item,
    task_event,
    ti_id,
)

GRAPH = "aa"
OPERATOR = "airflow.providers.standard.operators.python.PythonOperator"
NEVER_RAN = item(pid=None, try_number=0)
CLEARED = item(ti=ti_id(1, at_s=50), started_s=1)
"""With a new id, and pid and start of the try before."""


def began(*, graph: str = GRAPH, **more: Any) -> Event:
    """The scheduler starts the run."""
    row = run_item("running", ended_s=None, **more)
    return run_event(keys.DAG_RUN_STARTED, row, at_s=1, graph=graph)


def ended(*tasks: dict[str, Any], at_s: float = 60, graph: str = GRAPH, **more: Any) -> Event:
    """The scheduler sees it succeed."""
    return run_event(keys.DAG_RUN_SUCCEEDED, run_item(), tasks, at_s=at_s, graph=graph, **more)


def of_task(*types: str, **more: Any) -> list[Event]:
    """What the task's own process recorded, one second after the other."""
    return [task_event(one, at_s=2 + second, **more) for second, one in enumerate(types)]


def marked(state: str) -> Event:
    """A person gives it a state."""
    return task_event(keys.TASK_MARKED, component="api_server", of=9, at_s=50, state=state)


def found_in(*events: Event) -> list[Finding]:
    """All findings."""
    return list(find_unexplained_states(replay([graph_event(GRAPH, fit=OPERATOR), *events])))


FAILED = of_task(keys.TASK_STARTED, keys.TASK_FAILED)
KILLED = [
    *of_task(keys.TASK_STARTED),
    task_event(keys.TASK_FAILED, component="scheduler", of=1, at_s=40),
]


@pytest.mark.parametrize(
    ("events", "recorded"),
    [
        pytest.param(FAILED, "failed", id="failed"),
        pytest.param(of_task(keys.TASK_STARTED, keys.TASK_SKIPPED), "skipped", id="skipped"),
        pytest.param(
            of_task(keys.TASK_STARTED, keys.TASK_RETRY_SCHEDULED), "up_for_retry", id="retry"
        ),
        pytest.param(KILLED, "failed", id="the scheduler saw it fail"),
        pytest.param([marked("failed")], "failed", id="a person said that it failed"),
        pytest.param(
            of_task(keys.TASK_STARTED, keys.TASK_DEFERRED, keys.TASK_RESUMED, keys.TASK_FAILED),
            "failed",
            id="failed after a deferral",
        ),
    ],
)
def test_a_success_of_which_another_end_was_recorded_is_found(
    events: list[Event], recorded: str
) -> None:
    (finding,) = found_in(began(), *events, closed(2), ended(item()))
    assert finding.kind == "task_state_unexplained"
    assert finding.subject == "dag train/run r/task fit/try 1"
    assert (finding.expected, finding.actual) == ({"state": recorded}, {"state": "success"})


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(NEVER_RAN, id="it never ran"),
        pytest.param(CLEARED, id="only the try before it ran"),
        pytest.param({**NEVER_RAN, "operator": "EmptyOperator"}, id="its row lies about its class"),
        pytest.param(item(pid=None, map_index=2), id="mapped"),
    ],
)
def test_a_success_without_any_process_is_found(row: dict[str, Any]) -> None:
    (finding,) = found_in(began(), ended(row))
    assert finding.kind == "task_state_unexplained"
    assert finding.subject.startswith("dag train/run r/task fit")
    assert finding.expected is None
    assert isinstance(finding.actual, dict)
    assert finding.actual["state"] == "success"


@pytest.mark.parametrize(
    "events",
    [
        pytest.param(
            [
                began(),
                *of_task(keys.TASK_STARTED, keys.TASK_SUCCEEDED),
                ended(item()),
            ],
            id="its process succeeded",
        ),
        pytest.param([began(), *FAILED, ended(item(state="failed"))], id="its process failed"),
        pytest.param([began(), *FAILED, marked("success"), ended(item())], id="a person marked it"),
        pytest.param([began(), marked("success"), ended(NEVER_RAN)], id="marked, it never ran"),
        pytest.param(
            [
                began(),
                *FAILED,
                run_event(keys.DAG_RUN_MARKED, run_item(), [item()], at_s=60, of=9),
            ],
            id="a person marked the whole run; Airflow 3.1 marks what had failed, too",
        ),
        pytest.param(
            [
                began(),
                run_event(keys.DAG_RUN_MARKED, run_item("running"), [NEVER_RAN], at_s=50, of=9),
                ended(NEVER_RAN),
            ],
            id="a person marked the whole run, which ended after its teardown",
        ),
        pytest.param(
            [
                began(),
                *FAILED,
                run_event(keys.DAG_RUN_MARKED, run_item(), at_s=50, of=9),
                ended(item()),
            ],
            id="marked with a run of more tasks than are read",
        ),
        pytest.param(
            [
                began(),
                *of_task(keys.TASK_STARTED, keys.TASK_FAILED),
                *of_task(keys.TASK_STARTED, keys.TASK_SUCCEEDED, try_number=2, of=3),
                ended(item(try_number=2)),
            ],
            id="two processes told how the try ended",
        ),
        pytest.param(
            [began(), *of_task(keys.TASK_STARTED, keys.TASK_DEFERRED), ended(item())],
            id="a trigger ended it",
        ),
        pytest.param([began(), *of_task(keys.TASK_STARTED), ended(item())], id="killed at its end"),
        pytest.param(
            [
                began(),
                graph_event("bb", fit={"operator": "x.Gate", "empty": True}),
                ended(NEVER_RAN),
            ],
            id="an EmptyOperator in some graph of its DAG",
        ),
        pytest.param(
            [began(graph="bb"), ended(item("new", pid=None), graph="bb")],
            id="of a graph that is not recorded",
        ),
        pytest.param([began(), ended(item("gone", pid=None))], id="not in its graph any more"),
        pytest.param(
            [
                began(),
                graph_event("bb", fit="x.Other"),
                ended({**NEVER_RAN, "operator": "Gate"}, graph="bb"),
            ],
            id="of a graph that its DAG had in between",
        ),
        pytest.param(
            [ended(NEVER_RAN, observer={"component": "local", "pid": 1, "host": "h"})],
            id="dag.test() with mark_success_pattern",
        ),
        pytest.param([ended(NEVER_RAN)], id="its run began before recording did"),
        pytest.param(
            [began(clear_number=1), ended(NEVER_RAN)], id="its run was cleared, and ran before that"
        ),
        pytest.param([began(), *FAILED, lossy(9), ended(item())], id="a mark may have been lost"),
        pytest.param([began(), *FAILED, lossy(2), ended(item())], id="its process lost records"),
        pytest.param(
            [began(), ended(item(pid=None, state="skipped"), item("b", state="upstream_failed"))],
            id="other states Airflow gives without a hook",
        ),
        pytest.param(
            [
                began(),
                *of_task(keys.TASK_STARTED, keys.TASK_SUCCEEDED),
                ended(item(state="failed")),
            ],
            id="refused by the API server, as an unknown asset is",
        ),
    ],
)
def test_honest_ends_are_no_finding(events: list[Event]) -> None:
    assert found_in(*events) == []


def test_a_loss_elsewhere_before_the_run_hides_nothing() -> None:
    early = lossy(9)
    late = [
        run_event(keys.DAG_RUN_STARTED, run_item("running", ended_s=None), at_s=900, graph=GRAPH),
        ended(NEVER_RAN, at_s=960),
    ]
    assert len(found_in(early, *late)) == 1


@pytest.mark.parametrize("is_mapped", [False, True])
def test_the_graph_says_which_tasks_start_in_a_trigger(is_mapped: bool) -> None:
    task = SimpleNamespace(
        task_id="waits",
        downstream_task_ids=frozenset(),
        start_from_trigger=not is_mapped,
        partial_kwargs={"start_from_trigger": True} if is_mapped else {},
    )
    graph: Any = to_graph(SimpleNamespace(dag_id="train", task_dict={"waits": task}))
    assert graph["tasks"][0]["starts_in_trigger"] is True
    recorded = replay([graph_event("aa", waits=graph["tasks"][0])])
    assert recorded.idle == {"train": {"waits"}}
