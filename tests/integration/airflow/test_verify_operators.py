"""What the operators that verify say: named findings, what could not be checked, small results."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chain_client.hosts import Finding
from chain_client.verify.report import Check, Report
from tests.airflow_home import AirflowHome, open_chain
from tests.closing import everything_closed

CHANGED = Finding("param_changed", "run 3f/param depth", "5", "6", "another value was recorded")


@pytest.fixture(autouse=True)
def _airflow(airflow_in_process: AirflowHome) -> None:
    """Airflow can be imported."""


def report(*checks: Check, findings: tuple[Finding, ...] = ()) -> Report:
    return Report([Check("head", True, "it holds"), *checks], list(findings))


def test_what_holds_is_the_result() -> None:
    from airflow_chain.operators.verify import decide, to_result

    found = decide({"run_id": "3f"}, to_result(report()), fail_on_unchecked=True)
    assert found["run_id"] == "3f"
    assert (found["verdict"], found["findings_count"], found["unchecked"]) == ("holds", 0, [])


def test_what_differs_fails_for_good_and_is_named() -> None:
    from airflow_chain.operators.verify import decide, to_result
    from airflow_chain.raising import AirflowFailException

    failed = report(Check("tree", False, "a tile is damaged"), findings=(CHANGED,))
    with pytest.raises(AirflowFailException) as raised:
        decide({"run_id": "3f"}, to_result(failed), fail_on_unchecked=False)
    told = str(raised.value)
    assert "run_id 3f is not what was recorded: " in told
    assert "param_changed run 3f/param depth: another value was recorded" in told
    assert "tree: a tile is damaged" in told


def test_what_could_not_be_checked_fails_for_a_retry_or_stands_in_the_result() -> None:
    from airflow_chain.operators.verify import decide, to_result
    from airflow_chain.raising import AirflowException, AirflowFailException

    unknown = report(Check("mlflow", False, "the database is away", carried_out=False))
    with pytest.raises(AirflowException, match="mlflow: the database is away") as raised:
        decide({"run_id": "3f"}, to_result(unknown), fail_on_unchecked=True)
    assert not isinstance(raised.value, AirflowFailException)
    found = decide({"run_id": "3f"}, to_result(unknown), fail_on_unchecked=False)
    assert found["verdict"] == "not_checked"
    assert found["unchecked"] == [{"name": "mlflow", "detail": "the database is away"}]


def test_the_log_of_a_task_tells_what_was_compared() -> None:
    from airflow_chain.operators.verify import tell

    assert tell("run 3f", report()) == "run 3f holds: head: it holds"
    unknown = report(Check("mlflow", False, "the database is away", carried_out=False))
    assert tell("run 3f", unknown) == (
        "run 3f holds as far as it could be checked: head: it holds; mlflow: the database is away"
    )


def test_a_thousand_findings_make_a_small_result_and_a_short_text() -> None:
    from airflow_chain.operators.verify import decide, to_result
    from airflow_chain.raising import AirflowFailException

    many = to_result(report(findings=(CHANGED,) * 1000))
    assert many["findings_count"] == 1000
    assert len(json.dumps(many)) < 10_000
    with pytest.raises(AirflowFailException) as raised:
        decide({}, many, fail_on_unchecked=True)
    assert len(str(raised.value)) <= 2000


@pytest.fixture
def home(founded_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home without any model, and the connection to it."""
    path = shutil.copytree(founded_home, tmp_path / "home")
    connection = {"conn_type": "mlops_chain", "extra": {"home": str(path)}}
    monkeypatch.setenv("AIRFLOW_CONN_MLOPS_CHAIN_DEFAULT", json.dumps(connection))
    with everything_closed():
        client = open_chain(path)
        client.provide_registry()
        client.close()
        yield path


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "give the version, or the target"),
        ({"version": "latest"}, "version: expected a whole number from 1 on, got 'latest'"),
        ({"version": 1, "alias": "champion"}, "give the version, or the target"),
        ({"version": 1}, "UnknownName: there is no model 'fraud'"),
        ({"alias": "champion"}, "UnknownName: there is no model 'fraud'"),
    ],
)
def test_what_is_no_version_fails_for_good(home: Path, options: Any, told: str) -> None:
    from airflow_chain.operators.verify import VerifyModelOperator
    from airflow_chain.raising import AirflowFailException

    operator = VerifyModelOperator(task_id="verify", model_name="fraud", **options)
    with pytest.raises(AirflowFailException, match=told):
        operator.execute({})


def test_a_run_that_nobody_recorded_and_a_damaged_home_fail_for_good(home: Path) -> None:
    from airflow_chain.operators.verify import VerifyRunOperator
    from airflow_chain.raising import AirflowFailException

    operator = VerifyRunOperator(task_id="verify", run_id="3f" * 16)
    with pytest.raises(AirflowFailException, match="run_not_recorded run 3f3f"):
        operator.execute({})
    (home / "deployment.json").unlink()
    with pytest.raises(AirflowFailException, match="HomeMissing"):
        operator.execute({})
