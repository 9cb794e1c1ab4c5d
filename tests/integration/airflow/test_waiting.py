"""What waits in a real Airflow: for approvals and for anchors, in a worker and beside it.

One ``dag.test()`` waits in every way; the tests look at what came of it.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from chain_client.anchored import NO_RELAY
from chain_client.events import Subject
from chain_client.types import to_hex
from tests.airflow_home import AirflowHome, dag_test, open_chain
from tests.closing import everything_closed
from tests.mlflow_server import wait_until
from tests.unit.chain_client.registry.office import BOB, CAROL, Office

if TYPE_CHECKING:
    from tests.airflow_home import Tested

DAG = """
from datetime import timedelta

from airflow.sdk import DAG, task

from airflow_chain.operators.anchor import AnchorOperator
from airflow_chain.sensors.promotion import PromotionApprovedSensor

ids = {ids!r}
quick = {{"poke_interval": 0.1, "retries": 0}}

with DAG("waiting", schedule=None) as dag:

    def then(sensor, name, **options):
        @task(task_id=name, **options)
        def go_on():
            pass

        sensor >> go_on()

    then(
        PromotionApprovedSensor(task_id="approved", proposal_id=ids["approved"], **quick),
        "after_approved",
    )
    PromotionApprovedSensor(
        task_id="approved_by_name",
        model_name="fraud",
        version="{{{{ 1 }}}}",
        target="@champion",
        confirmations=1,
        mode="reschedule",
        **quick,
    )
    deferred = PromotionApprovedSensor(
        task_id="approved_deferred",
        proposal_id={{"proposal_id": ids["approved_soon"], "other": 1}},
        deferrable=True,
        response_timeout=timedelta(minutes=5),
        **quick,
    )
    then(
        PromotionApprovedSensor(task_id="rejected", proposal_id=ids["rejected"], **quick),
        "after_rejected",
    )
    then(
        PromotionApprovedSensor(
            task_id="rejected_for_all",
            proposal_id=ids["rejected"],
            ignore_downstream_trigger_rules=True,
            deferrable=True,
            **quick,
        ),
        "after_rejected_for_all",
        trigger_rule="all_done",
    )
    PromotionApprovedSensor(
        task_id="rejected_fails",
        proposal_id=ids["rejected"],
        fail_on_reject=True,
        poke_interval=0.1,
        retries=3,
        retry_delay=timedelta(0),
    )
    PromotionApprovedSensor(
        task_id="soft", proposal_id=ids["waiting"], timeout=0.3, soft_fail=True, **quick
    )
    PromotionApprovedSensor(task_id="late", proposal_id=ids["waiting"], timeout=0.3, **quick)
    PromotionApprovedSensor(task_id="nameless", model_name="fraud", version=1, **quick)
    for name, other in (
        ("model", {{"model_name": "other"}}),
        ("version", {{"version": 2}}),
        ("target", {{"target": "stage:Production", "deferrable": True}}),
    ):
        PromotionApprovedSensor(
            task_id="another_" + name, proposal_id=ids["approved"], **other, **quick
        )
    fitting = PromotionApprovedSensor(
        task_id="fitting", proposal_id=ids["approved"], model_name="fraud", version=1,
        target="@champion", **quick,
    )
    # The relay promotes what is approved, and what replaces a version ends its approval.
    [dag.get_task("approved"), dag.get_task("approved_by_name"), fitting] >> deferred
    for name, odd in (("none", "None"), ("empty", "0x"), ("lacking", {{"other": 1}})):
        PromotionApprovedSensor(
            task_id="odd_" + name, proposal_id=odd, model_name="fraud", version=1,
            target="@champion", **quick,
        )
    AnchorOperator(task_id="anchored", timeout=120, poll_interval=0.2)
    AnchorOperator(task_id="anchored_deferred", until="included", deferrable=True,
                   timeout=timedelta(seconds=120), poll_interval=0.2)
    AnchorOperator(task_id="alone", mlops_chain_conn_id="alone", timeout=0.3, poll_interval=0.1)
    AnchorOperator(task_id="wrong", until="soon")
"""


@dataclass
class Waited:
    """What the DAG did.

    Args:
        tested: its run.
        airflow_home: where.
        ids: of the proposals.
    """

    tested: Tested
    airflow_home: AirflowHome
    ids: dict[str, str]

    def state(self, task_id: str) -> str | None:
        """How a task ended."""
        return self.tested.tasks[task_id, -1].state

    def tries(self, task_id: str) -> int:
        """How often it was tried."""
        return self.tested.tasks[task_id, -1].try_number

    def result(self, task_id: str) -> Any:
        """What it returned."""
        query = "select value from xcom where task_id = ? and key = 'return_value'"
        ((value,),) = self.airflow_home.rows(query, task_id)
        found = json.loads(value)
        return json.loads(found) if isinstance(found, str) else found


@pytest.fixture(scope="module")
def waited(
    airflow_template: AirflowHome,
    founded_home: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Waited]:
    """The DAG, run once."""
    folder = tmp_path_factory.mktemp("waiting")
    alone = shutil.copytree(founded_home, folder / "alone")
    with everything_closed():
        lonely = open_chain(alone)
        lonely.recorder.note("thing.done", Subject("store", "thing", "1"), {})
        lonely.recorder.close()
        lonely.close()
        office = Office(shutil.copytree(founded_home, folder / "home"))
        office.govern()
        proposals = {
            name: office.propose(number)
            for number, name in enumerate(("approved", "approved_soon", "rejected", "waiting"), 1)
        }
        for name in ("approved", "approved_soon"):
            office.client.approve(proposals[name], signer=BOB)
        office.client.approve(proposals["approved"], signer=CAROL)
        office.client.reject(proposals["rejected"], "too old", signer=BOB)
        ids = {name: to_hex(document.id) for name, document in proposals.items()}
        airflow_home = airflow_template.copied(folder / "airflow").with_variables(
            AIRFLOW_CONN_MLOPS_CHAIN_DEFAULT=_connection(office.home),
            AIRFLOW_CONN_ALONE=_connection(alone),
        )
        airflow_home.put_dag("waiting.py", DAG.format(ids=ids))
        relay = subprocess.Popen(
            [sys.executable, "-m", "chain_client.cli", "--home", str(office.home), "relay"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )

        def approve_once_it_waits() -> None:
            query = "select next_method from task_instance where task_id = 'approved_deferred'"
            wait_until(lambda: airflow_home.rows(query) == [("execute_complete",)], 120)
            office.client.approve(proposals["approved_soon"], signer=CAROL)

        try:
            with ThreadPoolExecutor() as threads:
                approving = threads.submit(approve_once_it_waits)
                tested = dag_test(airflow_home, "waiting")
                approving.result()
        finally:
            relay.terminate()
            relay.wait(60)
        yield Waited(tested, airflow_home, ids)


def _connection(home: Path) -> str:
    return json.dumps({"conn_type": "mlops_chain", "extra": {"home": str(home)}})


def test_an_approval_lets_the_dag_go_on_and_is_the_result(waited: Waited) -> None:
    for task_id in ("approved", "after_approved", "approved_by_name"):
        assert waited.state(task_id) == "success", task_id
    for task_id in ("approved", "approved_by_name"):
        found = waited.result(task_id)
        assert found["verdict"] == "approved"
        assert found["proposal_id"] == waited.ids["approved"]
        assert (found["model_name"], found["version"]) == ("fraud", 1)
        assert found["target"] == "alias:champion"


def test_an_approval_that_comes_while_the_task_is_deferred_ends_its_wait(waited: Waited) -> None:
    assert waited.state("approved_deferred") == "success"
    found = waited.result("approved_deferred")
    assert (found["verdict"], found["proposal_id"]) == ("approved", waited.ids["approved_soon"])


def test_a_rejection_skips_or_fails_as_it_was_asked_for(waited: Waited) -> None:
    assert waited.state("rejected") == "skipped"
    assert waited.state("after_rejected") == "skipped"
    # As Airflow's own ApprovalOperator: the task succeeds, all behind it is skipped.
    assert waited.state("rejected_for_all") == "success"
    assert waited.result("rejected_for_all")["cause"] == "rejected"
    assert waited.state("after_rejected_for_all") == "skipped"
    assert waited.state("rejected_fails") == "failed"
    assert waited.tries("rejected_fails") == 1, "a retry can't help"
    assert "not approved (rejected)" in waited.tested.output


def test_who_waits_too_long_fails_or_is_skipped(waited: Waited) -> None:
    assert waited.state("late") == "failed"
    assert waited.state("soft") == "skipped"


def test_what_can_not_be_waited_for_is_said(waited: Waited) -> None:
    assert waited.state("nameless") == "failed"
    assert "by model_name, version and target" in waited.tested.output
    assert waited.state("wrong") == "failed"
    assert "expected included or finalized, got 'soon'" in waited.tested.output


def test_an_approval_of_something_else_than_is_asked_for_opens_nothing(waited: Waited) -> None:
    for name in ("model", "version", "target"):
        assert waited.state(f"another_{name}") == "failed", name
    for name in ("none", "empty", "lacking"):
        assert waited.state(f"odd_{name}") == "failed", name
    assert "is for version 1 of 'fraud' and alias:champion, not for" in waited.tested.output
    assert "expected 8 to 64 hex digits, got 'None'" in waited.tested.output
    assert waited.state("fitting") == "success"
    assert waited.result("fitting")["proposal_id"] == waited.ids["approved"]


def test_what_was_recorded_is_anchored_by_a_relay_and_by_nothing_else(waited: Waited) -> None:
    for task_id, until in (("anchored", "finalized"), ("anchored_deferred", "included")):
        assert waited.state(task_id) == "success", task_id
        found = waited.result(task_id)
        assert found["until"] == until
        assert 0 < found["size"] <= found["anchored_size"]
        assert found["block"] > 0
    assert waited.state("alone") == "failed"
    told = r"not anchored in time: \d recorded events are not in the log yet; "
    assert re.search(told, waited.tested.output)
    assert NO_RELAY in waited.tested.output
