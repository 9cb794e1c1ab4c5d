"""Decisions as asset events, by a real triggerer that is killed and started again."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chain_client.types import to_hex
from tests.airflow_home import AirflowHome
from tests.closing import everything_closed
from tests.mlflow_server import wait_until
from tests.unit.chain_client.registry.office import BOB, BREAKER, CAROL, FRAUD, Office

PATIENCE_S = 60

DAG = """
from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_chain.promotion_events import promotion_events
from airflow_chain.triggers.promotion_event import PromotionEventTrigger

everything = Asset(
    "everything",
    watchers=[AssetWatcher(name="all", trigger=PromotionEventTrigger(poll_interval=0.2))],
)
approvals = Asset(
    "approvals",
    watchers=[
        AssetWatcher(
            name="some",
            trigger=PromotionEventTrigger(
                events=["approved"], model_name="fraud", target="@champion", poll_interval=0.2
            ),
        )
    ],
)
nothing = Asset(
    "nothing",
    watchers=[
        AssetWatcher(
            name="none", trigger=PromotionEventTrigger(model_name="other", poll_interval=0.2)
        )
    ],
)

with DAG("decided", schedule=[everything, approvals, nothing], is_paused_upon_creation=False):

    @task(inlets=[everything])
    def tell(**context):
        print(promotion_events(context))

    tell()
"""


class Triggerer:
    """Airflow's own, in a session of its own."""

    def __init__(self, airflow_home: AirflowHome) -> None:
        self.log = airflow_home.folder / "triggerer.log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "airflow", "triggerer", "--skip-serve-logs"],
                cwd=airflow_home.folder,
                env=airflow_home.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def end(self, number: int) -> None:
        """Send a signal to all of it, and wait."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
        self._process.wait(PATIENCE_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


@pytest.fixture
def office(founded_home: Path, tmp_path: Path) -> Iterator[Office]:
    """A home where two of three approve."""
    home = shutil.copytree(founded_home, tmp_path / "home")
    with everything_closed():
        found = Office(home)
        found.govern()
        yield found


def test_each_decision_is_one_asset_event_though_the_triggerer_is_killed_between_them(
    airflow_home: AirflowHome, office: Office
) -> None:
    connection = {"conn_type": "mlops_chain", "extra": {"home": str(office.home)}}
    airflow_home = airflow_home.with_variables(
        AIRFLOW_CONN_MLOPS_CHAIN_DEFAULT=json.dumps(connection)
    )
    airflow_home.put_dag("decided.py", DAG)
    airflow_home.run_airflow("dag-processor", "--num-runs", "1")

    def told(asset: str = "everything") -> list[dict[str, Any]]:
        rows = airflow_home.rows(
            "select e.extra from asset_event e join asset a on a.id = e.asset_id "
            "where a.name = ? order by e.id",
            asset,
        )
        return [json.loads(extra)["payload"] for (extra,) in rows]

    with_assets = airflow_home.rows("select 1 from sqlite_master where name = 'asset_state_store'")

    def pending() -> list[int]:
        """How much is pending in each cursor: with the assets, or in the log's database."""
        if with_assets:
            rows = airflow_home.rows("select value from asset_state_store")
        else:
            with closing(sqlite3.connect(office.home / "log.db", timeout=60)) as database:
                rows = database.execute("select value from cursors").fetchall()
        return [len(json.loads(value)["pending"]) for (value,) in rows]

    def all_is_stored() -> bool:
        """Whether the triggerer knows so; before Airflow 3.3 it learns it a minute later."""
        return sum(pending()) == 0 or not with_assets

    triggerer = Triggerer(airflow_home)
    try:
        # Once each watcher has stored where it began, nothing is lost.
        wait_until(lambda: len(pending()) == 3, PATIENCE_S, triggerer.log.read_text)
        first = office.propose(1)
        office.client.approve(first, signer=BOB)
        office.client.approve(first, signer=CAROL)
        wait_until(lambda: len(told()) == 1, PATIENCE_S, triggerer.log.read_text)
        wait_until(all_is_stored, PATIENCE_S, triggerer.log.read_text)
        triggerer.end(signal.SIGKILL)
        office.client.promote(first)
        office.promote(2)
        third = office.propose(3)
        office.client.reject(third, "too old", signer=BOB)
        model = office.client.model_id(FRAUD)
        office.client.revoke_version(model, 2, "leaks", signer=BREAKER)
        triggerer = Triggerer(airflow_home)
        wait_until(lambda: len(told()) >= 6, PATIENCE_S, triggerer.log.read_text)
        wait_until(all_is_stored, PATIENCE_S, triggerer.log.read_text)
    finally:
        triggerer.end(signal.SIGKILL)
    repeated = [one for one in told() if one["again"]]
    found = [one for one in told() if not one["again"]]
    assert not (repeated and with_assets)
    assert {one["event_id"] for one in repeated} <= {one["event_id"] for one in found}
    assert [(one["event"], one["version"]) for one in found] == [
        ("approved", 1),
        ("promoted", 1),
        ("approved", 2),
        ("promoted", 2),
        ("rejected", 3),
        ("revoked", 2),
    ]
    assert {one["model_name"] for one in found} == {"fraud"}
    assert found[0]["proposal_id"] == found[1]["proposal_id"] == to_hex(first.id)
    assert sorted({one["version"] for one in told("approvals")}) == [1, 2]
    assert told("nothing") == []
    # Neither a trace of an error, nor a word of blocked loops.
    assert "rror" not in triggerer.log.read_text()
    assert "blocked" not in triggerer.log.read_text()
