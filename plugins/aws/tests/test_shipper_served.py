"""Spools in S3 behind a socket: real deaths, and workers, S3, a relay and its log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from chain_client import ChainClient, Settings
from chain_client.event_codec import decode_event
from chain_client.events import Subject
from chain_client.plugin_host import PluginHost, using_plugin_host
from chain_client.shipping import open_shipper, ship_sources
from chain_client.spool import list_sources
from chain_client.testing.crash import kill_at
from chain_client.testing.receiver_suite import ReceiverSuite, StoreUnderTest
from chain_client.testing.shipper_suite import (
    DestinationUnderTest,
    ShipperSuite,
    content_of,
    make_shipment,
    never,
)
from mlops_chain_aws.testing.s3_store import S3Store
from mlops_chain_aws.testing.stand_in import StandIn

EVENTS = 6
SENDING = (
    "shipping.begun",
    "shipping.before_publish",
    "shipping.published",
)
RECEIVING = (
    "receiving.before_publish",
    "receiving.published",
    "receiving.settled",
    "receiving.removed",
)


@pytest.fixture
def s3(aws_server: StandIn, plugins: PluginHost, shared_session: None) -> S3Store:
    return S3Store(aws_server, is_shared=True)


@pytest.fixture
def destination(s3: S3Store) -> DestinationUnderTest:
    return s3.destination()


class TestShipper(ShipperSuite):
    pass


class TestReceiver(ReceiverSuite):
    @pytest.fixture
    def store(self, s3: S3Store) -> StoreUnderTest:
        return s3.store()


def test_a_worker_killed_between_parts_leaves_none_when_the_next_one_has_gone_on(
    s3: S3Store, tmp_path: Path
) -> None:
    shipment = make_shipment(tmp_path, 9 << 20, 9 << 20, 100)

    def ship() -> None:
        open_shipper(s3.uri, base=tmp_path).ship(shipment, never)

    _killed_at("shipping.segment.written", ship)
    assert len(s3.uploads()) == 1
    _killed_at("shipping.before_publish", ship)
    assert s3.received(shipment.source_id) is None
    _in_child(ship)
    assert s3.received(shipment.source_id) == content_of(shipment)
    assert s3.uploads() == []


class Deployment:
    """A relay's home, and workers' spools beside it.

    Args:
        folder: empty.
    """

    def __init__(self, folder: Path) -> None:
        self.home, self.spool = folder / "home", folder / "worker"
        self.spool.mkdir()
        self._numbers = 0
        self.open(create=True).close()

    def open(self, *, create: bool = False, **variables: str) -> ChainClient:
        """A client of the home."""
        named = {"MLOPS_CHAIN_RELAY_AUTOSTART": "false", **variables}
        settings = Settings.from_environment(named, self.home.parent, home=self.home)
        return ChainClient.open(settings, create=create)

    def count(self, count: int) -> int:
        """Note that so many events are recorded; the number of the first."""
        first, self._numbers = self._numbers, self._numbers + count
        return first

    def work(self) -> None:
        """A task on a worker that records, and ends."""
        first = self.count(EVENTS)

        def task() -> None:
            client = self.open(MLOPS_CHAIN_SPOOL_FOLDER=str(self.spool))
            for number in range(first, first + EVENTS):
                client.recorder.note("task.seen", Subject("", "task", "t"), {"number": number})
            client.recorder.close()

        _in_child(task)

    def ship(self, uri: str) -> None:
        """Hand the worker's spool over."""
        sent = ship_sources(self.spool, open_shipper(uri, base=self.home), never)
        assert not sent.left, sent.left

    def drain(self, uri: str) -> None:
        """``relay --once`` of the home, whose inbox is the store."""
        client = self.open(MLOPS_CHAIN_RELAY_INBOX=uri)
        relay = client.relay()
        relay.start()
        relay.drain(patience_s=20)
        relay.close()
        client.close()

    def assert_once(self, s3: S3Store) -> None:
        """Everything that was recorded is in the log, once, and lies nowhere else."""
        client = self.open()
        try:
            events = [decode_event(e.event) for e in client.log.entries() if e.event is not None]
            alarms = [alarm.kind for alarm in client.log.alarms()]
        finally:
            client.close()
        seen = [event.payload["number"] for event in events if event.type == "task.seen"]
        assert sorted(seen, key=lambda n: int(str(n))) == list(range(self._numbers))
        assert alarms == []
        assert list_sources(self.spool) == list_sources(self.home / "inbox") == []
        assert s3.keys() == []
        assert list((self.home / "inbox" / ".fetched").iterdir()) == []
        assert not (self.home / "inbox" / "aside").exists()


def _in_child(work: Callable[[], None], *, dies: bool = False) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads: the stand-in's server
        child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == (-signal.SIGKILL if dies else 0)


def _killed_at(step: str, work: Callable[[], None]) -> None:
    def run() -> None:
        kill_at(step, 1)
        work()

    _in_child(run, dies=True)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    with using_plugin_host():
        return Deployment(tmp_path_factory.mktemp("deployment"))


@pytest.mark.parametrize("step", SENDING)
def test_a_worker_killed_at_a_step_loses_and_doubles_nothing(
    deployment: Deployment, s3: S3Store, step: str
) -> None:
    deployment.work()
    _killed_at(step, lambda: deployment.ship(s3.uri))
    deployment.ship(s3.uri)
    _in_child(lambda: deployment.drain(s3.uri))
    deployment.assert_once(s3)


@pytest.mark.parametrize("step", RECEIVING)
def test_a_relay_killed_at_a_step_loses_and_doubles_nothing(
    deployment: Deployment, s3: S3Store, step: str
) -> None:
    deployment.work()
    deployment.ship(s3.uri)
    (key,) = s3.keys()
    parcel = s3.read(key)
    _killed_at(step, lambda: deployment.drain(s3.uri))
    if step == "receiving.removed":
        s3.put(key, parcel)  # whoever sent it does not know, and sends it once more
    _in_child(lambda: deployment.drain(s3.uri))
    deployment.assert_once(s3)


def test_what_a_task_of_airflow_recorded_is_in_s3_when_it_stops(
    deployment: Deployment, s3: S3Store
) -> None:
    from airflow_chain.shipping import ship_before_stopping

    def task() -> None:
        client = deployment.open(MLOPS_CHAIN_SPOOL_FOLDER=str(deployment.spool))
        client.recorder.note("task.seen", Subject("", "task", "t"), {"number": first})
        ship_before_stopping(client.recorder, client.settings, ship_to=s3.uri, timeout_s=60)

    first = deployment.count(1)
    _in_child(task)
    assert len(s3.keys()) == 1
    _in_child(lambda: deployment.drain(s3.uri))
    deployment.assert_once(s3)


def test_by_the_command_line_a_worker_hands_over_and_a_relay_takes_it_into_the_log(
    deployment: Deployment, s3: S3Store
) -> None:
    environment = {
        **os.environ,
        "MLOPS_CHAIN_HOME": str(deployment.home),
        "MLOPS_CHAIN_RELAY_AUTOSTART": "false",
        "MLOPS_CHAIN_PLUGINS": "all",
    }

    def run(*words: str, **variables: str) -> str:
        command = [sys.executable, "-m", "chain_client.cli", *words]
        return subprocess.run(
            command,
            env={**environment, **variables},
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout

    deployment.work()
    deployment.work()
    told = run("ship", s3.uri, "--timeout", "60", MLOPS_CHAIN_SPOOL_FOLDER=str(deployment.spool))
    assert "2 sources" in told
    assert len(s3.keys()) == 2
    run("relay", "--once", MLOPS_CHAIN_RELAY_INBOX=s3.uri)
    deployment.assert_once(s3)
