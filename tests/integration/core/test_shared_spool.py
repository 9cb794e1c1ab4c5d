"""A spool's folder that machines share: who reads it, and when its owners count as dead."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chain_client import ChainClient, mounts, owners, records
from chain_client.config import Settings
from chain_client.errors import AnotherRelay, ConfigurationError, HomeNotWritable
from chain_client.ledger.deployment import Deployment
from chain_client.relay.service import Relay
from chain_client.spool import heartbeat, list_sources, ownership
from chain_client.verify import Verdict
from tests.forked import fork, in_fork
from tests.integration.core.conftest import Site
from tests.workers import note

PATIENCE_S = 20


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder


@pytest.fixture
def site(home: Path, shared: Path, open_site: Callable[..., Site]) -> Site:
    """The home whose relay reads the folder."""
    return open_site(home, SPOOL_FOLDER=shared)


def _client(home: Path, shared: Path) -> ChainClient:
    environment = {
        "MLOPS_CHAIN_SPOOL_FOLDER": str(shared),
        "MLOPS_CHAIN_SPOOL_SEGMENT_BYTES": "1000",
    }
    settings = Settings.from_environment(environment, home.parent, home=home)
    return ChainClient(settings, Deployment.read(home / "deployment.json"))


@pytest.fixture
def worker_home(home: Path, tmp_path: Path) -> Path:
    """A worker's own home, as `join` leaves it: no key, no log and no chain."""
    made = tmp_path / "worker"
    made.mkdir()
    shutil.copy(home / "deployment.json", made)
    return made


def _assert_once(site: Site, count: int) -> None:
    seen = [e.payload["number"] for e in site.events() if e.type == "task.seen"]
    assert sorted(str(n).zfill(3) for n in seen) == [str(n).zfill(3) for n in range(count)]
    assert list_sources(site.client.folder.spool) == []
    assert site.client.log.alarms() == []
    assert site.verify().verdict is Verdict.HOLDS


def test_workers_with_homes_of_their_own_record_into_a_folder_that_one_relay_reads(
    site: Site, worker_home: Path, shared: Path
) -> None:
    for number in range(3):

        def task(first: int = number * 10) -> str:
            client = _client(worker_home, shared)
            note(client, 10, first=first)
            client.recorder.close()
            return "done"

        assert in_fork(task) == "done"
    assert len(list_sources(shared)) == 3
    site.drain()
    _assert_once(site, 30)
    assert sorted(path.name for path in worker_home.iterdir()) == ["deployment.json"]
    assert (shared / "ingester-id").exists(), "who reads the folder stands in the folder"
    assert site.client.folder.known_ingester_id()


def test_a_second_relay_with_the_same_folder_is_refused_and_names_the_first(
    site: Site, tmp_path: Path, open_site: Callable[..., Site], shared: Path
) -> None:
    first = site.relay()
    first.start()
    try:
        other_home = tmp_path / "other"
        shutil.copytree(site.home, other_home, ignore=shutil.ignore_patterns("log.db*"))
        other = open_site(
            other_home, SPOOL_FOLDER=shared, LOG_URL=f"sqlite:///{site.home / 'log.db'}"
        )
        with pytest.raises(AnotherRelay, match=str(os.getpid())):
            other.relay().start()
    finally:
        first.close()
    second = other.relay()
    second.start()
    second.close()


def test_recording_into_a_shared_folder_starts_no_relay(worker_home: Path, shared: Path) -> None:
    client = _client(worker_home, shared)
    assert client.settings.relay_autostart
    note(client, 1)
    client.recorder.close()
    assert not (shared / "relay.lock").exists()
    assert not (worker_home / "relay.log").exists()


def _mounted(monkeypatch: pytest.MonkeyPatch, folder: Path, file_system: str) -> None:
    table = folder.with_name("mountinfo")
    table.write_text(
        "20 1 98:0 / / rw - ext4 /dev/vda1 rw\n"
        f"36 20 98:1 / {folder} rw - {file_system} server:/export rw\n"
    )
    monkeypatch.setattr(mounts, "TABLE", table)


def test_what_can_not_work_is_refused(
    home: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settings(folder: Path) -> Settings:
        named = {"MLOPS_CHAIN_SPOOL_FOLDER": str(folder)}
        return Settings.from_environment(named, home.parent, home=home)

    with pytest.raises(HomeNotWritable, match=r"spool.folder .* does not exist: mount it"):
        ChainClient.open(settings(shared / "not-mounted"))
    assert not (shared / "not-mounted").exists()
    _mounted(monkeypatch, shared, "fuse.s3fs")
    with pytest.raises(ConfigurationError, match=r"spool.folder .* keeps whole objects"):
        ChainClient.open(settings(shared))
    _mounted(monkeypatch, shared, "nfs4")
    ChainClient.open(settings(shared)).close()


class OtherMachine:
    """A worker of another kernel, whose locks don't show here: a process that is told what to do.

    Args:
        home: its own.
        shared: the folder.
    """

    def __init__(self, home: Path, shared: Path) -> None:
        read, self._tell = os.pipe()
        self._answer, write = os.pipe()
        self.pid = fork()
        if self.pid == 0:
            try:
                os.close(self._tell)
                os.close(self._answer)
                self._work(home, shared, read, write)
            finally:
                os._exit(0)
        os.close(read)
        os.close(write)

    def _work(self, home: Path, shared: Path, read: int, write: int) -> None:
        records.boot_id = lambda: "another machine"
        heartbeat.BEAT_S, heartbeat._LATE_S = 0.05, 0.2
        client, first = _client(home, shared), 0
        while os.read(read, 1) == b"n":
            note(client, 5, first=first)
            first += 5
            os.write(write, b"d")
        client.recorder.close()

    def record(self) -> None:
        """Five more events."""
        os.write(self._tell, b"n")
        assert os.read(self._answer, 1) == b"d"

    def end(self, sign: signal.Signals | None = None) -> None:
        """Close the source and end, or die by a signal."""
        if sign is not None:
            os.kill(self.pid, sign)
        os.close(self._tell)
        os.close(self._answer)
        os.waitpid(self.pid, 0)


@pytest.fixture
def elsewhere(
    site: Site, worker_home: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[OtherMachine]:
    """A worker elsewhere; here, from now on, no lock of the folder shows."""
    machine = OtherMachine(worker_home, shared)
    _mounted(monkeypatch, shared, "nfs4")
    monkeypatch.setattr(owners, "SHARED_LEASE_S", 1.0)
    monkeypatch.setattr(ownership, "is_owned", lambda directory: False)
    try:
        yield machine
    finally:
        try:
            os.kill(machine.pid, signal.SIGKILL)
            os.waitpid(machine.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


@pytest.fixture
def relay(site: Site, open_site: Callable[..., Site], shared: Path) -> Iterator[Relay]:
    made = open_site(site.home, SPOOL_FOLDER=shared, RELAY_LEASE_S=0.5).relay()
    made.start()
    yield made
    made.close()


def _until(relay: Relay, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        relay.run_round()
        time.sleep(0.02)


def test_an_owner_elsewhere_that_lives_keeps_its_source_however_long_it_records_nothing(
    site: Site, elsewhere: OtherMachine, relay: Relay, shared: Path
) -> None:
    elsewhere.record()
    silent_until = time.monotonic() + 2.5  # two leases and a half
    _until(relay, lambda: time.monotonic() > silent_until)
    assert len(list_sources(shared)) == 1
    assert "source.abandoned" not in {event.type for event in site.events()}
    elsewhere.record()
    elsewhere.end()
    _until(relay, lambda: list_sources(shared) == [])
    relay.close()
    site.drain()
    _assert_once(site, 10)
    types = [event.type for event in site.events()]
    assert types.count("source.opened") == types.count("source.closed") == 1


def test_an_owner_elsewhere_that_was_killed_is_found_out_after_a_lease(
    site: Site, elsewhere: OtherMachine, relay: Relay, shared: Path
) -> None:
    elsewhere.record()
    elsewhere.end(signal.SIGKILL)
    _until(relay, lambda: list_sources(shared) == [])
    relay.close()
    site.drain()
    _assert_once(site, 5)
    assert [event.type for event in site.events()].count("source.abandoned") == 1


def test_an_owner_that_was_frozen_past_its_lease_records_on_in_another_source(
    site: Site, elsewhere: OtherMachine, relay: Relay, shared: Path
) -> None:
    elsewhere.record()
    os.kill(elsewhere.pid, signal.SIGSTOP)
    _until(relay, lambda: list_sources(shared) == [])
    os.kill(elsewhere.pid, signal.SIGCONT)
    elsewhere.record()
    elsewhere.end()
    _until(relay, lambda: list_sources(shared) == [])
    relay.close()
    site.drain()
    _assert_once(site, 10)
    types = [event.type for event in site.events()]
    assert types.count("source.opened") == 2
    assert types.count("source.abandoned") == types.count("source.closed") == 1
