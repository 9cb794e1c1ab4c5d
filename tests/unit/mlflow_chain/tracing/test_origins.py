"""What MLflow's events say that targets, versions, logged models and runs came of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from chain_client.events import OutcomeStatus
from chain_client.traces import (
    DAG_RUN,
    DATASET,
    LOGGED_MODEL,
    MODEL_VERSION,
    RUN,
    TARGET,
    TASK_TRY,
    Fact,
    Gap,
    Link,
    Node,
    Traced,
)
from mlflow_chain.tracing.traces import MlflowTraces
from tests.logged_events import AIRFLOW, MLFLOW, LogInMemory, task_tags

TRACES = MlflowTraces()
RUN_1 = Node(RUN, MLFLOW, "r1")
CHAMPION = Node(TARGET, MLFLOW, "fraud/alias:champion")
LOGGED = "m-0123456789abcdef0123456789abcdef"


def version(number: int, model: str = "fraud") -> Node:
    return Node(MODEL_VERSION, MLFLOW, f"{model}/{number}")


def ways(traced: Iterable[Traced]) -> list[tuple[str, str, bool]]:
    """Relation, what it leads to, and whether it was so once."""
    return [(one.relation, one.earlier.id, one.is_over) for one in traced if isinstance(one, Link)]


def gaps(traced: Iterable[Traced]) -> list[str]:
    return [one.text for one in traced if isinstance(one, Gap)]


def origins(log: LogInMemory, node: Node) -> list[Traced]:
    return list(TRACES.origins([node], log))


def add_run(log: LogInMemory, run_id: str = "r1", tags: Any = (), **more: Any) -> int:
    return log.add("run.created", run_id, {"tags": tags, "user_id": "ann"}, **more)


def test_a_run_of_a_task_leads_to_the_try_that_its_tags_name() -> None:
    log = LogInMemory()
    add_run(log, tags=task_tags("fit", 2, 5))
    links = [one for one in origins(log, RUN_1) if isinstance(one, Link)]
    assert [(one.relation, one.later, one.earlier, one.is_claimed) for one in links] == [
        ("ran in", RUN_1, Node(TASK_TRY, AIRFLOW, "train/manual/1/fit/5#2"), True),
        (
            "part of",
            Node(TASK_TRY, AIRFLOW, "train/manual/1/fit/5#2"),
            Node(DAG_RUN, AIRFLOW, "train/manual/1"),
            True,
        ),
    ]
    assert gaps(origins(log, RUN_1)) == ["no dataset was logged"]


def test_what_a_run_lacks_is_said() -> None:
    log = LogInMemory()
    add_run(log)
    assert gaps(origins(log, RUN_1)) == [
        "the run was not started by a task",
        "no dataset was logged",
    ]
    log.add("run.metric_logged", "r2")
    assert gaps(origins(log, Node(RUN, MLFLOW, "r2"))) == [
        "the log does not say how the run was created"
    ]


def test_an_erased_payload_is_said_with_its_entry() -> None:
    log = LogInMemory()
    add_run(log, erased=True)
    found = [one for one in origins(log, RUN_1) if isinstance(one, Gap)]
    assert [(one.text, one.evidence is not None) for one in found] == [
        ("the payload of entry 0 was erased", True),
        ("the log does not say how the run was created", False),
    ]


def test_datasets_and_models_that_a_run_read_are_its_origins() -> None:
    log = LogInMemory()
    add_run(log, tags=[["mlflow.parentRunId", "r0"]])
    data: list[Any] = [
        "iris",
        "abc/1",
        "local",
        "{}",
        None,
        None,
        [["mlflow.data.context", "training"]],
    ]
    log.add("run.inputs_logged", "r1", {"datasets": [data], "models": [LOGGED]})
    found = origins(log, RUN_1)
    assert ways(found) == [
        ("nested in", "r0", False),
        ("read", "abc/1/iris", False),
        ("used", LOGGED, False),
    ]
    assert gaps(found) == []
    (read,) = [one for one in found if isinstance(one, Link) and one.relation == "read"]
    assert read.note == "as training"
    facts = [one.values for one in found if isinstance(one, Fact) and one.node.kind == DATASET]
    assert facts == [{"name": "iris", "digest": "abc/1", "source_type": "local"}]


def test_of_a_partly_applied_call_only_what_is_there_counts() -> None:
    log = LogInMemory()
    add_run(log)
    data: Any = [
        ["iris", "1", None, None, None, None, []],
        ["wine", "2", None, None, None, None, []],
    ]
    part = {"datasets": data[:1]}
    log.add(
        "run.inputs_logged",
        "r1",
        {"datasets": data},
        status=OutcomeStatus.PARTLY_APPLIED,
        detail=part,
    )
    log.add("run.inputs_logged", "r1", {"datasets": data}, status=OutcomeStatus.FAILED)
    assert ways(origins(log, RUN_1)) == [("read", "1/iris", False)]


@pytest.mark.parametrize(
    ("given", "result", "expected"),
    [
        (
            {"source": f"models:/{LOGGED}", "run_id": "r1"},
            {},
            [("made of", LOGGED), ("made by", "r1")],
        ),
        ({"source": "s3://b/x", "model_id": LOGGED}, {}, [("made of", LOGGED)]),
        ({"source": "runs:/r7/model"}, {"source": "s3://b/r7"}, [("made by", "r7")]),
        ({"source": "s3://b/x", "run_id": None}, {"run_id": "r1"}, [("made by", "r1")]),
        ({"source": "models:/other/3"}, {}, [("copied from", "other/3")]),
    ],
)
def test_a_version_leads_to_whose_files_it_has(
    given: dict[str, Any], result: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    log = LogInMemory()
    log.add("model_version.created", "fraud/1", {"name": "fraud", **given}, result=result)
    found = origins(log, version(1))
    assert [(relation, id) for relation, id, _ in ways(found)] == expected
    assert gaps(found) == []


def test_a_version_of_files_from_elsewhere_came_of_no_run() -> None:
    log = LogInMemory()
    source = "https://me:secret@host/x?token=1"
    log.add("model_version.created", "fraud/1", {"name": "fraud", "source": source})
    (text,) = gaps(origins(log, version(1)))
    assert text.startswith("it came of no run: its files were taken from https://")
    assert "secret" not in text


def test_of_a_number_that_was_given_twice_the_last_version_counts() -> None:
    log = LogInMemory()
    log.add("model_version.created", "fraud/1", {"source": "runs:/old/m"})
    log.add("model_version.deleted", "fraud/1")
    log.add("model_version.created", "fraud/1", {"source": "runs:/new/m"})
    assert ways(origins(log, version(1))) == [("made by", "new", False)]


def test_a_logged_model_leads_to_its_run() -> None:
    log = LogInMemory()
    log.add("logged_model.created", LOGGED, {"source_run_id": "r1"}, result={"name": "tree"})
    log.add("logged_model.created", "m-2", {"source_run_id": None})
    assert ways(origins(log, Node(LOGGED_MODEL, MLFLOW, LOGGED))) == [("logged by", "r1", False)]
    assert gaps(origins(log, Node(LOGGED_MODEL, MLFLOW, "m-2"))) == [
        "it was logged outside of any run"
    ]


def test_an_alias_leads_to_the_version_that_has_it_now() -> None:
    log = LogInMemory()
    log.add("registered_model.created", "fraud")
    log.add("registered_model.alias_set", "fraud", {"alias": "champion", "version": 1})
    log.add("registered_model.alias_set", "other", {"alias": "champion", "version": 9})
    log.add("registered_model.alias_set", "fraud", {"alias": "champion", "version": 2})
    found = origins(log, CHAMPION)
    assert ways(found) == [("points to", "fraud/2", False)]
    log.add("registered_model.alias_deleted", "fraud", {"alias": "champion"})
    assert gaps(origins(log, CHAMPION)) == ["no version has it now; version 2 had it last"]


def test_a_failed_call_moves_no_alias() -> None:
    log = LogInMemory()
    log.add("registered_model.alias_set", "fraud", {"alias": "champion", "version": 1})
    log.add(
        "registered_model.alias_set",
        "fraud",
        {"alias": "champion", "version": 2},
        status=OutcomeStatus.FAILED,
    )
    assert ways(origins(log, CHAMPION)) == [("points to", "fraud/1", False)]


@pytest.mark.parametrize(
    "end",
    [
        ("model_version.deleted", "fraud/1", {}),
        ("registered_model.deleted", "fraud", {}),
        ("registered_model.created", "fraud", {}),
    ],
)
def test_an_alias_goes_with_its_version_and_with_its_model(end: Any) -> None:
    log = LogInMemory()
    log.add("registered_model.alias_set", "fraud", {"alias": "champion", "version": 1})
    log.add(*end)
    assert ways(origins(log, CHAMPION)) == []
    assert len(gaps(origins(log, CHAMPION))) == 1


def test_a_stage_is_followed_through_transitions_that_archive_others() -> None:
    log = LogInMemory()
    production = Node(TARGET, MLFLOW, "fraud/stage:Production")
    stage = {"stage": "Production", "archive": True}
    log.add("model_version.stage_set", "fraud/1", stage)
    log.add(
        "model_version.stage_set",
        "fraud/2",
        stage,
        result={"versions": [[1, "Archived", 5], [2, "Production", 5]]},
    )
    assert ways(origins(log, production)) == [("points to", "fraud/2", False)]
    archived = Node(TARGET, MLFLOW, "fraud/stage:Archived")
    assert ways(origins(log, archived)) == [("points to", "fraud/1", False)]


def test_what_a_database_had_when_it_was_adopted_is_followed_too() -> None:
    log = LogInMemory()
    fields = {"source": "runs:/r1/m", "run_id": "r1", "current_stage": "Staging"}
    log.add("registered_model.baseline", "fraud", {"aliases": {"champion": 1}})
    log.add("model_version.baseline", "fraud/1", {"fields": fields})
    data: list[Any] = ["iris", "1", "local", "{}", None, None, []]
    tags = dict(task_tags())
    log.add("run.baseline", "r1", {"fields": {"name": "a"}, "tags": tags, "datasets": [data]})
    assert ways(origins(log, CHAMPION)) == [("points to", "fraud/1", False)]
    assert ways(origins(log, Node(TARGET, MLFLOW, "fraud/stage:Staging"))) == [
        ("points to", "fraud/1", False)
    ]
    assert ways(origins(log, version(1))) == [("made by", "r1", False)]
    assert [relation for relation, _, _ in ways(origins(log, RUN_1))] == [
        "ran in",
        "part of",
        "read",
    ]


def test_a_renamed_model_is_followed_to_its_former_name() -> None:
    log = LogInMemory()
    log.add("registered_model.created", "draft")
    log.add("model_version.created", "draft/1", {"source": "runs:/r1/m"})
    log.add("registered_model.alias_set", "draft", {"alias": "champion", "version": 1})
    log.add("registered_model.renamed", "draft", {"name": "fraud"})
    log.add("model_version.created", "fraud/2", {"source": "runs:/r2/m"})
    assert ways(origins(log, CHAMPION)) == [("points to", "fraud/1", False)]
    assert ways(origins(log, version(1))) == [("named before", "draft/1", False)]
    assert ways(origins(log, version(2))) == [("made by", "r2", False)]
    assert gaps(origins(log, Node(TARGET, MLFLOW, "draft/alias:champion"))) == [
        "no version has it now; version 1 had it last; the model is named fraud since"
    ]
    assert list(TRACES.find_nodes(TARGET, CHAMPION.id, log)) == [CHAMPION]
    assert list(TRACES.find_nodes(MODEL_VERSION, "fraud/1", log)) == [version(1)]


def test_a_model_of_a_deleted_workspace_is_followed_into_the_default_one() -> None:
    log = LogInMemory()
    log.add("registered_model.alias_set", "team/fraud", {"alias": "champion", "version": 1})
    log.add("workspace.deleted", "team", {"mode": "SET_DEFAULT"})
    assert ways(origins(log, CHAMPION)) == [("points to", "fraud/1", False)]
    assert ways(origins(log, version(1))) == [("named before", "team/fraud/1", False)]
