"""One machine verifies while another one records: nobody is accused, nothing is called whole."""

from __future__ import annotations

import contextlib
import itertools
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator

import pytest

from chain_client.events import Subject
from chain_client.hosts import StoreBinding
from chain_client.verify import Report, Verdict
from tests.faults.toy_host import STORE, Toy
from tests.integration.core.conftest import Site
from tests.integration.relays.conftest import TwoHosts, wait_until

DAY_US = 86_400_000_000


@contextlib.contextmanager
def recording(site: Site) -> Iterator[None]:
    """A process of that machine writes into the host, and goes on."""
    over = threading.Event()

    def write() -> None:
        toy = Toy(site.database)
        for number in itertools.count():
            put(site, toy, f"key-{number}")
            if over.wait(0.02):
                break
        toy.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def put(site: Site, toy: Toy, key: str) -> None:
    recorder = site.client.recorder
    intent = recorder.begin("item.put", Subject(STORE, "item", key), {"value": "1"}, required=True)
    toy.put(intent.event_id, key, "1")
    recorder.done(intent)


@pytest.fixture
def there(hosts: TwoHosts) -> TwoHosts:
    for site in hosts.both:
        site.client.bind_store(StoreBinding(STORE, "toy", str(site.database)))
    Toy(hosts.a.database).close()
    return hosts


def details(report: Report) -> dict[str, str]:
    """What each check that could not be carried out says."""
    return {check.name: check.detail for check in report.checks if not check.carried_out}


def has_items(there: TwoHosts) -> bool:
    return there.a.client.log.size() > 10


def has_ended(there: TwoHosts) -> bool:
    return all(state.state == "closed" for state in there.b.client.log.sources())


def accused(there: TwoHosts) -> list[str]:
    return [finding.subject for finding in there.b.verify().findings]


def test_a_machine_that_records_is_told_and_accused_of_nothing(there: TwoHosts) -> None:
    there.relay_process(there.a)
    with recording(there.a):
        wait_until(lambda: has_items(there), "ingesting")
        report = there.b.verify()
        assert report.findings == []
        assert report.verdict is Verdict.NOT_CHECKED
        told = details(report)
        assert socket.gethostname() in told["sources rest"]
        assert "its relay works" in told["sources rest"]

        toy = Toy(there.a.database)
        toy._connection.execute("INSERT INTO items VALUES ('forged', '1')")
        toy.close()
        # Left open at first, while the relay lags behind what is being recorded.
        wait_until(lambda: accused(there) == ["forged"], "the accusation")
        toy = Toy(there.a.database)
        toy._connection.execute("DELETE FROM items WHERE key = 'forged'")
        toy.close()
    there.a.end_source()
    wait_until(lambda: has_ended(there), "ending")
    wait_until(there.is_final, "finality")
    assert there.b.verify().verdict is Verdict.HOLDS


def test_what_a_relay_that_is_away_has_still_to_bring_is_left_open(there: TwoHosts) -> None:
    toy = Toy(there.a.database)
    relay = there.a.relay()
    relay.start()
    put(there.a, toy, "brought")
    relay.run_round()  # and no more: it is away, and its lease runs out
    put(there.a, toy, "waits")
    toy.close()
    wait_until(lambda: not there.b.client.log.holders("ingest:"), "the end of the lease")
    report = there.b.verify()
    assert report.findings == []
    assert report.verdict is Verdict.NOT_CHECKED
    told = details(report)
    assert "its relay was last seen" in told["sources rest"]
    assert "waits: item_changed" in told["toy rest"]
    assert there.a.verify().findings == []  # its own spool is here

    away_us = time.time_ns() // 1000 - 2 * DAY_US
    edit(there, f"UPDATE sources SET updated_us = {away_us}")
    edit(there, f"UPDATE leases SET expires_us = {away_us} WHERE name LIKE 'ingest:%'")
    [finding] = [f for f in there.b.verify().findings if f.kind == "source_not_closed"]
    assert socket.gethostname() in finding.detail

    # Whoever keeps the lease alive hides the removed end, and yet nothing is called whole.
    ever_us = time.time_ns() // 1000 + 1000 * DAY_US
    edit(there, f"UPDATE leases SET expires_us = {ever_us} WHERE name LIKE 'ingest:%'")
    report = there.b.verify()
    assert (report.findings, report.verdict) == ([], Verdict.NOT_CHECKED)
    assert "goes on since" in details(report)["sources rest"]
    relay.close()


def test_a_spool_that_was_removed_here_is_found_whoever_feeds_the_log(there: TwoHosts) -> None:
    there.b.note(2, "b")
    relay = there.b.relay()
    relay.start()
    relay.run_round()
    relay.close()
    for folder in (there.b.home / "spool").iterdir():
        folder.rename(there.b.home / folder.name)
    assert [kind for kind, _ in there.b.findings()] == ["source_not_closed"]


def edit(there: TwoHosts, statement: str) -> None:
    """Edit the log behind everybody's back."""
    with contextlib.closing(sqlite3.connect(there.a.log_file)) as connection, connection:
        connection.execute(statement)
