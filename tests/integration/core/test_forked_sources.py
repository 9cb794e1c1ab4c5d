"""Spools that were put back from a snapshot, or copied: each event once, and visibly so."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chain_client import records
from chain_client.events import APPLIED, Event
from chain_client.hosts import StoreBinding
from chain_client.relay.lineage import fork_id
from chain_client.spool import list_sources
from chain_client.status import read_status
from chain_client.types import SourceId
from chain_client.verify import Verdict, read_spooled
from tests.copied_spools import SOURCE, CopiedProcess
from tests.faults.toy_host import STORE, Toy
from tests.forked import killed_at
from tests.integration.core.conftest import Site

FORK_STEPS = (
    "relay.records.read",
    "relay.resolved",
    "log.append.before_commit",
    "log.append.committed",
    "spool.fork.taken",
)


def drained(site: Site, process: CopiedProcess) -> None:
    process.put_spool(site.home)
    site.drain()


@contextmanager
def owned(site: Site) -> Iterator[None]:
    """The owner of the spool that was put into the home lives during the block."""
    descriptor = os.open(
        site.home / "spool" / SOURCE.hex() / "owner.lock", os.O_RDWR | os.O_CREAT, 0o600
    )
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def by_source(site: Site) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {}
    for event in site.events():
        found.setdefault(event.source_id.hex(), []).append(event)
    return found


def assert_holds(site: Site) -> str:
    """What the check of the sources says of a home that holds."""
    report = site.verify()
    assert report.verdict is Verdict.HOLDS, report.to_json()
    assert list_sources(site.home / "spool") == []
    return next(check.detail for check in report.checks if check.name == "sources")


def alarms(site: Site) -> list[str]:
    return [alarm.kind for alarm in site.client.log.alarms()]


def test_a_spool_put_back_from_a_snapshot_goes_on_as_a_source_of_its_own(site: Site) -> None:
    first = CopiedProcess()
    first.see(0, 1)
    restored = first.snapshot()
    first.see(2, 3)
    first.close()
    restored.see(20, 30, 40)
    restored.close()
    drained(site, first)
    drained(site, restored)

    assert site.numbers() == [0, 1, 2, 3, 20, 30, 40]
    origin, fork = by_source(site).values()
    assert fork[0].type == records.SOURCE_FORKED
    assert fork[0].payload["forked_from"] == SOURCE.hex()
    assert fork[0].payload["forked_at"] == 3
    told = fork[0].payload["origin"]
    assert isinstance(told, dict)
    assert told["host"] == socket.gethostname()
    assert [event.sequence for event in fork] == [0, 1, 2, 3, 4]
    assert [event.timing.settled_at for event in fork] == [1, 2, 3, 4, 5]
    assert fork[0].source_id == fork_id(SOURCE, fork[1].event_id)
    assert [event.sequence for event in origin] == [0, 1, 2, 3, 4, 5]

    detail = assert_holds(site)
    assert f"{fork[0].source_id.hex()} is a copy of {SOURCE.hex()}" in detail
    assert "went on from event 3 on" in detail
    [alarm] = site.client.log.alarms()
    assert (alarm.kind, alarm.subject) == ("source_forked", fork[0].source_id.hex())
    status = read_status(site.client)
    assert (status.forked_sources, status.to_json()["ok"]) == (1, False)
    state = site.client.log.source(fork[0].source_id)
    assert state is not None
    assert (state.forked_from, state.state) == (SOURCE, "closed")


def test_the_same_copy_seen_again_adds_nothing(site: Site) -> None:
    first = CopiedProcess()
    restored = first.snapshot()
    first.see(0)
    first.close()
    restored.see(1)
    for process in (first, restored, restored, first, restored):
        drained(site, process)
    size = site.client.log.size()
    drained(site, restored)
    assert site.numbers() == [0, 1]
    assert site.client.log.size() == size == 6  # with the notes of opening, ends and fork
    [alarm] = site.client.log.alarms()
    assert alarm.count == 1
    assert_holds(site)


def test_a_copy_that_goes_on_once_more_forks_from_the_fork(site: Site) -> None:
    first = CopiedProcess()
    second = first.snapshot()
    first.see(0)
    first.close()
    second.see(1)
    third, fourth = second.snapshot(), first.snapshot()
    second.see(2)
    third.see(3)
    third.close()
    for process in (first, second, third, second, first, third, fourth):
        drained(site, process)
    assert Counter(site.numbers()) == Counter([0, 1, 2, 3])
    parents = {
        event.source_id.hex(): event.payload["forked_from"]
        for event in site.events()
        if event.type == records.SOURCE_FORKED
    }
    assert Counter(parents.values()) == Counter([SOURCE.hex(), next(iter(parents))])
    assert_holds(site)


def test_a_snapshot_that_replaces_a_source_that_was_still_open_ends_it(site: Site) -> None:
    first = CopiedProcess()
    first.see(0)
    restored = first.snapshot()
    first.see(1, 2)
    first.put_spool(site.home)
    with owned(site):
        site.drain()
    assert site.numbers() == [0, 1, 2]
    shutil.rmtree(site.home / "spool" / SOURCE.hex())
    restored.see(10)
    drained(site, restored)
    assert site.numbers() == [0, 1, 2, 10]
    origin = site.client.log.source(SOURCE)
    assert origin is not None
    assert origin.state == "lost"
    assert_holds(site)


def test_a_folder_exchanged_under_a_working_relay_is_noticed(site: Site) -> None:
    folder = site.home / "spool" / SOURCE.hex()
    relay = site.relay()
    relay.start()
    process = CopiedProcess()
    process.see(0)
    restored = process.snapshot()
    process.see(1)
    restored.see(2)
    for put in (process, restored):
        if folder.exists():
            shutil.rmtree(folder)
        put.put_spool(site.home)
        with owned(site):
            relay.run_round()
    relay.close()
    site.drain()
    assert site.numbers() == [0, 1, 2]
    assert_holds(site)


def test_an_event_before_the_fork_that_the_log_never_met_stays_with_its_source(
    site: Site,
) -> None:
    toy = Toy(site.database)
    site.client.bind_store(StoreBinding(STORE, "toy", str(site.database)))
    first = CopiedProcess()
    running = first.begin(toy, "slow", "v")
    restored = first.snapshot()
    first.see(1)
    first.put_spool(site.home)
    with owned(site):
        site.drain()
    shutil.rmtree(site.home / "spool" / SOURCE.hex())
    restored.see(2)
    restored.done(running)
    drained(site, restored)
    toy.close()
    [put] = [event for event in site.events() if event.type == "item.put"]
    assert (put.source_id, put.sequence, put.timing.settled_at) == (SOURCE, 1, None)
    assert site.numbers() == [1, 2]
    assert_holds(site)


def test_a_spool_of_a_fork_that_no_relay_has_met_is_read_like_one(told: Site) -> None:
    first = CopiedProcess()
    restored = first.snapshot()
    first.see(1000)
    first.close()
    drained(told, first)
    restored.see(1001)
    restored.put_spool(told.home)
    spooled = read_spooled(told.home / "spool", told.client.log)
    [waiting] = spooled.events.values()
    fork = fork_id(SOURCE, waiting.event_id)
    assert (waiting.source_id, waiting.sequence) == (fork, 1)
    assert (spooled.waiting[SOURCE], spooled.waiting[fork]) == (set(), {1})
    assert told.findings() == []


def prepared(site: Site) -> None:
    """A home that has taken one course of events, with another course in its spool."""
    site.client.bind_store(StoreBinding(STORE, "toy", str(site.database)))
    toy = Toy(site.database)
    first = CopiedProcess()
    first.done(first.begin(toy, "shared", "a"))
    restored = first.snapshot()
    first.done(first.begin(toy, "first", "b"))
    first.begin(toy, "first in doubt", "c")
    first.put_spool(site.home)
    site.drain()
    for n in range(4):
        restored.done(restored.begin(toy, f"restored {n}", "d"))
    restored.begin(toy, "in doubt, and there", "e")
    restored.begin(toy, "in doubt, and not there", "f", commits=False)
    toy.close()
    restored.put_spool(site.home)
    site.close()


@pytest.mark.parametrize("step", FORK_STEPS)
@pytest.mark.parametrize("again", [False, True], ids=["killed once", "copied back after it"])
def test_a_relay_killed_while_it_takes_a_fork_loses_and_doubles_nothing(
    site: Site, open_site: Callable[..., Site], tmp_path: Path, step: str, again: bool
) -> None:
    prepared(site)
    kept = tmp_path / "kept"
    shutil.copytree(site.home / "spool" / SOURCE.hex(), kept)
    killed_at(step, 1, lambda: open_site(site.home).drain())
    if again:
        target = site.home / "spool" / SOURCE.hex()
        shutil.copytree(kept, target, dirs_exist_ok=True)
    site.drain()

    toy = Toy(site.database)
    committed = Counter(toy.trace())
    toy.close()
    puts = [event for event in site.events() if event.type == "item.put"]
    claimed = Counter((e.subject.id, str(e.payload["value"])) for e in puts if e.status in APPLIED)
    assert claimed == committed
    assert len({event.event_id for event in site.events()}) == len(site.events())
    assert [e.type for e in site.events()].count(records.SOURCE_FORKED) == 1
    assert set(alarms(site)) == {"source_forked"}
    assert not [path.name for path in (site.home / "spool").iterdir()]
    assert_holds(site)


@pytest.mark.parametrize("take_away", ["the fork's note", "an event of the fork"])
def test_a_fork_without_its_beginning_is_a_gap(site: Site, take_away: str) -> None:
    first = CopiedProcess()
    restored = first.snapshot()
    first.see(0)
    restored.see(1, 2)
    drained(site, first)
    drained(site, restored)
    fork = next(e for e in site.events() if e.type == records.SOURCE_FORKED).source_id
    sequence = 0 if take_away == "the fork's note" else 1
    where = (
        "(SELECT log_index FROM entries JOIN sources USING (source_no) "
        f"WHERE source_id = x'{fork.hex()}' AND sequence = {sequence})"
    )
    site.sql(
        f"DELETE FROM payloads WHERE log_index = {where}",
        f"DELETE FROM entries WHERE log_index = {where}",
    )
    found = site.findings()
    assert ("event_missing", f"source {fork.hex()}/event {sequence}") in found


@pytest.mark.parametrize(
    "edit", ["forked_from = NULL", "forked_from = zeroblob(16)", "state = 'open'"]
)
def test_a_row_that_hides_a_fork_or_an_end_is_named(site: Site, edit: str) -> None:
    first = CopiedProcess()
    restored = first.snapshot()
    first.see(0)
    restored.see(1)
    drained(site, first)
    drained(site, restored)
    assert_holds(site)
    site.sql(f"UPDATE sources SET {edit} WHERE forked_from IS NOT NULL")
    assert {kind for kind, _ in site.findings()} == {"source_changed"}


def test_a_row_that_claims_a_fork_is_named(told: Site) -> None:
    told.sql("UPDATE sources SET forked_from = zeroblob(16) WHERE source_no = 1")
    assert {kind for kind, _ in told.findings()} == {"source_changed"}


def test_a_spool_of_another_deployment_is_never_taken_as_our_own(site: Site) -> None:
    stranger = CopiedProcess(deployment="another")
    stranger.see(1)
    stranger.put_spool(site.home)
    report = site.verify()
    assert report.verdict is Verdict.HOLDS
    assert "another deployment" in report.checks[4].detail
    assert read_spooled(site.home / "spool", site.client.log).events
    site.drain()
    assert site.client.log.size() == 0
    assert [p.name for p in (site.home / "spool" / "aside").iterdir()] == [
        SOURCE.hex() + ".foreign"
    ]
    [alarm] = site.client.log.alarms()
    assert alarm.kind == "source_foreign"
    assert "another" in alarm.detail


def test_what_a_recorder_writes_names_its_deployment_and_is_taken(site: Site) -> None:
    site.note(1)
    site.end_source()
    site.drain()
    opened = site.events()[0]
    assert opened.payload["deployment"] == site.client.deployment_id
    assert site.numbers() == [0]


@pytest.mark.parametrize(("lease_s", "taken"), [(0, True), (3600, False)])
def test_a_source_of_another_machine_is_resolved_when_it_was_silent_for_a_lease(
    home: Path, open_site: Callable[..., Site], lease_s: float, taken: bool
) -> None:
    site = open_site(home, RELAY_LEASE_S=max(lease_s, 0.001))
    site.client.bind_store(StoreBinding(STORE, "toy", str(site.database)))
    toy = Toy(site.database)
    process = CopiedProcess(host="elsewhere")
    process.begin(toy, "k", "v")
    toy.close()
    process.put_spool(site.home)
    relay = site.relay()
    relay.start()
    for _ in range(3):
        relay.run_round()
    relay.close()
    types = [event.type for event in site.events()]
    assert ("item.put" in types) is taken
    assert (list_sources(site.home / "spool") == []) is taken


def test_a_closed_source_of_another_machine_needs_no_lease(
    home: Path, open_site: Callable[..., Site]
) -> None:
    site = open_site(home, RELAY_LEASE_S=3600)
    process = CopiedProcess(host="elsewhere")
    process.see(1)
    process.close()
    drained(site, process)
    assert_holds(site)


def test_an_edited_entry_of_a_source_that_is_read_again_gives_no_second_leaf(site: Site) -> None:
    process = CopiedProcess()
    process.see(*range(6))
    drained(site, process)
    size = site.client.log.size()
    connection = sqlite3.connect(site.log_file)
    with connection:  # the event at sequence 3 gets the id of another one
        connection.execute(
            "UPDATE payloads SET event = (SELECT event FROM payloads WHERE log_index = 1) "
            "WHERE log_index = 3"
        )
    connection.close()
    site.close()
    drained(site, process)
    again = Counter(event.event_id for event in site.events())
    assert site.client.log.size() <= size + 3
    assert max(again.values()) == 2  # the copied row itself
    assert SourceId(SOURCE) in {event.source_id for event in site.events()}
