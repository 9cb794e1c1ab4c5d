"""A payload store that is away holds the relay back; one that lost something is told by name."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from chain_client import ChainClient
from chain_client.config import CONFIG_FILE
from chain_client.doctor import examine
from chain_client.hosts import Scope
from chain_client.log import EntryStatus
from chain_client.log.model import StoredObject
from chain_client.status import read_status
from chain_client.verify import Evidence, Report, Verdict, read_spooled, verify
from tests.faults.test_exactly_once import WRITES, assert_exactly_once
from tests.faults.toy_host import ToyHost, drain, open_client, record

PATIENCE_S = 60


@pytest.fixture
def store(home: Path) -> Path:
    """The folder in which a home's events are."""
    folder = home / "payloads"
    folder.mkdir(mode=0o700)
    (home / CONFIG_FILE).write_text('[log]\npayloads = "file:payloads"\n', "utf-8")
    return folder


def test_a_store_that_is_away_holds_the_relay_back_and_nothing_is_lost_or_doubled(
    home: Path, store: Path, tmp_path: Path
) -> None:
    database = tmp_path / "toy.db"
    record(home, database, WRITES, "before")
    client = open_client(home)
    relay = client.relay(lambda name: ToyHost())
    relay.start()
    done, _ = relay.run_round()
    assert done is not None
    size = client.log.size()
    assert done.entries == size > WRITES
    gone = store.rename(home / "gone")

    known = set((home / "spool").iterdir())
    record(home, database, WRITES, "meanwhile")
    [source] = set((home / "spool").iterdir()) - known
    spooled = set(source.iterdir())
    deadline = time.monotonic() + PATIENCE_S
    held_back = 0
    # What is in the log is anchored all the same.
    while not held_back or client.log.counts()[EntryStatus.FINALIZED] < size:
        assert time.monotonic() < deadline
        done, _ = relay.run_round()
        assert done is not None
        assert (done.held_back, done.entries) == (True, 0)
        held_back += 1
    assert client.log.size() == size
    assert set(source.iterdir()) == spooled
    [alarm] = client.log.alarms()
    assert (alarm.kind, alarm.count) == ("payload_store", 1)
    assert "payloads" in alarm.detail
    status = read_status(client)
    assert status.spooled_events is not None
    assert status.spooled_events > WRITES
    assert any(text.startswith("payloads: ") for text in status.trouble)
    assert {check.name for check in examine(client) if not check.ok} >= {"payloads", "alarms"}
    report = _verify(client)  # it could not be verified, which is no finding
    assert (report.verdict, report.findings) == (Verdict.NOT_CHECKED, [])

    gone.rename(store)
    while client.log.size() < 2 * size:
        assert time.monotonic() < deadline
        relay.run_round()
    assert client.log.alarms() == []
    relay.close()
    assert read_status(client).payloads == {"store": f"file:{store}", "from_bytes": 0}
    assert "payloads" not in {check.name for check in examine(client) if not check.ok}
    client.close()
    drain(home)
    assert_exactly_once(home, database)


def test_what_the_store_lost_or_was_given_instead_is_a_finding_that_names_it(
    home: Path, store: Path, tmp_path: Path
) -> None:
    database = tmp_path / "toy.db"
    record(home, database, WRITES, "here")
    drain(home)
    client = open_client(home)
    entries = list(client.log.entries())
    lost, damaged, swapped = (_path(store, entries[n].stored) for n in (3, 4, 5))
    lost.unlink()
    damaged.write_bytes(damaged.read_bytes()[:-1])
    swapped.write_bytes(_path(store, entries[6].stored).read_bytes())
    last = {entry.source_id: entry for entry in entries}  # what closes each source
    for entry in last.values():
        _path(store, entry.stored).unlink()
    found = _verify(client).findings
    assert {finding.kind for finding in found} & {"source_not_closed", "source_changed"} == set()
    assert {f"log entry {entry.index}" for entry in last.values()} <= {
        finding.subject.split(" (")[0] for finding in found
    }
    told = {finding.subject.split(" (")[0]: finding for finding in _verify(client).findings}
    client.close()
    for number, kind, path in (
        (3, "log_payload_object_missing", lost),
        (4, "log_payload_object_damaged", damaged),
        (5, "log_payload_object_damaged", swapped),
    ):
        finding = told[f"log entry {number}"]
        assert finding.kind == kind
        assert f"object 0x{path.name} of the payload store file:{store}" in finding.detail


def _verify(client: ChainClient) -> Report:
    evidence = Evidence(
        client.deployment,
        client.ledger,
        client.log,
        lambda: read_spooled(client.folder.spool, client.log),
        client.folder.bindings(),
        lambda name: ToyHost(),
    )
    return verify(evidence, Scope(), lambda what, done, total: None)


def _path(store: Path, stored: StoredObject | None) -> Path:
    assert stored is not None
    return next(store.glob(f"*/{stored.digest.hex()}"))
