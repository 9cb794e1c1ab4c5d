"""What MLflow's events say that came of tasks, datasets, runs, logged models and versions."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from chain_client.traces import (
    DAG_RUN,
    DATASET,
    LOGGED_MODEL,
    MODEL_VERSION,
    RUN,
    TARGET,
    TASK_TRY,
    Link,
    Node,
)
from mlflow_chain.tracing.traces import MlflowTraces
from tests.logged_events import AIRFLOW, MLFLOW, LogInMemory, task_tags

TRACES = MlflowTraces()
LOGGED = "m-0123456789abcdef0123456789abcdef"
DATA: list[Any] = ["iris", "1", "local", "{}", None, None, []]


def results(log: LogInMemory, *nodes: Node) -> set[tuple[str, str, bool]]:
    """Relation, what came of it, and whether it was so once."""
    found = TRACES.results(nodes, log)
    return {(one.relation, one.later.id, one.is_over) for one in found if isinstance(one, Link)}


@pytest.fixture
def log() -> LogInMemory:
    """Two tries of a task, a run by hand, and a model that went to production and back."""
    log = LogInMemory()
    log.add("run.created", "r1", {"tags": task_tags(try_number=1)})
    log.add("run.created", "r2", {"tags": task_tags(try_number=2)})
    log.add("run.created", "r3", {"tags": [["mlflow.parentRunId", "r2"]]})
    log.add("run.created", "hand", {"tags": []})
    log.add("run.inputs_logged", "r2", {"datasets": [DATA]})
    log.add("run.inputs_logged", "hand", {"datasets": [["wine", *DATA[1:]]], "models": [LOGGED]})
    log.add("logged_model.created", LOGGED, {"source_run_id": "r2"})
    log.add("model_version.created", "fraud/1", {"source": f"models:/{LOGGED}"})
    log.add("model_version.created", "fraud/2", {"source": "runs:/r3/m"})
    log.add("model_version.created", "best/1", {"source": "models:/fraud/2"})
    log.add("registered_model.alias_set", "fraud", {"alias": "champion", "version": 1})
    log.add("registered_model.alias_set", "fraud", {"alias": "champion", "version": 2})
    log.add("registered_model.alias_set", "fraud", {"alias": "past", "version": 1})
    return log


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (
            Node(DAG_RUN, AIRFLOW, "train/manual/1"),
            {
                ("ran in", "r1", False),
                ("ran in", "r2", False),
                ("part of", "train/manual/1/fit/-1#1", False),
                ("part of", "train/manual/1/fit/-1#2", False),
            },
        ),
        (Node(DAG_RUN, AIRFLOW, "train/manual"), set()),
        (Node(DAG_RUN, "another", "train/manual/1"), set()),
        (
            Node(TASK_TRY, AIRFLOW, "train/manual/1/fit/-1#2"),
            {("ran in", "r2", False), ("part of", "train/manual/1/fit/-1#2", False)},
        ),
        (
            Node(RUN, MLFLOW, "r2"),
            {("nested in", "r3", False), ("logged by", LOGGED, False)},
        ),
        (Node(RUN, MLFLOW, "r3"), {("made by", "fraud/2", False)}),
        (Node(DATASET, MLFLOW, "1/iris"), {("read", "r2", False)}),
        (
            Node(LOGGED_MODEL, MLFLOW, LOGGED),
            {("used", "hand", False), ("made of", "fraud/1", False)},
        ),
        (
            Node(MODEL_VERSION, MLFLOW, "fraud/1"),
            {
                ("points to", "fraud/alias:champion", True),
                ("points to", "fraud/alias:past", False),
            },
        ),
        (
            Node(MODEL_VERSION, MLFLOW, "fraud/2"),
            {("points to", "fraud/alias:champion", False), ("copied from", "best/1", False)},
        ),
        (Node(TARGET, MLFLOW, "fraud/alias:champion"), set()),
    ],
)
def test_what_came_of_a_thing(
    log: LogInMemory, node: Node, expected: Collection[tuple[str, str, bool]]
) -> None:
    assert results(log, node) == expected


def test_a_run_that_knows_neither_map_index_nor_name_is_found_by_what_it_knows() -> None:
    log = LogInMemory()
    tags = [pair for pair in task_tags() if pair[0] not in ("airflow.map_index", "airflow.name")]
    log.add("run.created", "r1", {"tags": tags})
    for node in (
        Node(DAG_RUN, AIRFLOW, "train/manual/1"),
        Node(TASK_TRY, AIRFLOW, "train/manual/1/fit/4#1"),
    ):
        assert ("ran in", "r1", False) in results(log, node)
    assert results(log, Node(TASK_TRY, AIRFLOW, "train/manual/1/fit/4#2")) == set()


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (RUN, "r", ["r1", "r2", "r3"]),
        (RUN, "r2", ["r2"]),
        (RUN, "", []),
        (DATASET, "iris", ["1/iris"]),
        (DATASET, "1", ["1/iris", "1/wine"]),
        (DATASET, "ir", []),
        (MODEL_VERSION, "fraud/2", ["fraud/2"]),
        (MODEL_VERSION, "fraud/3", []),
        (LOGGED_MODEL, LOGGED, [LOGGED]),
        (TARGET, "fraud/alias:champion", ["fraud/alias:champion"]),
        (TARGET, "fra/alias:champion", []),
        (DAG_RUN, "train/manual/1", ["train/manual/1"]),
        (DAG_RUN, "train/manual", []),
    ],
)
def test_things_are_found_by_what_people_call_them(
    log: LogInMemory, kind: str, text: str, expected: Any
) -> None:
    assert [node.id for node in TRACES.find_nodes(kind, text, log)] == expected
