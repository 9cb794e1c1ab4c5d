"""What only a server does to a log: writers at once, peers that hang or die, clocks that differ."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, text

from chain_client.clock import SystemClock
from chain_client.errors import (
    AnotherRelay,
    ConfigurationError,
    LogCorrupt,
    LogUnavailable,
    TransactionRejected,
)
from chain_client.ledger import Call
from chain_client.log import EntryStatus, Log
from chain_client.log import postgres as limits
from chain_client.log.database import reading, writing
from chain_client.log.recheck import recheck, recheck_tiles
from chain_client.merkle import root
from chain_client.testing.simulated_ledger import SimulatedLedger
from chain_client.transactions import TransactionQueue, key_lease_name
from chain_client.types import Address, SourceId
from tests.embedded_chains import OWNER
from tests.mlflow_server import wait_until
from tests.postgres import PASSWORD, running_postgres
from tests.unit.chain_client.log.logs import (
    OTHER,
    SOURCE,
    LogOnPostgres,
    make_entries,
    make_entry,
    progress,
)
from tests.unit.chain_client.spool.journals import in_threads

CHECKOUT = str(Path(__file__).parents[4])

_INGESTER = """
import sys
sys.path.insert(0, sys.argv[3])
from chain_client.log import Log
from chain_client.types import SourceId
from tests.unit.chain_client.log.logs import make_entries, progress

number = int(sys.argv[2])
source = SourceId(bytes([number]) * 16)
log = Log(sys.argv[1], timeout_s=60)
lease = log.acquire_lease(f"ingest:{number}", f"host:{number}", 60)
sys.stdin.readline()
for start in range(0, 600, 20):
    new = make_entries(start, start + 20, source=source)
    log.append(new, [progress(start + 20, source=source)], lease)
log.close()
"""


def test_ingesters_of_several_processes_make_one_whole_log(on_postgres: LogOnPostgres) -> None:
    words = [sys.executable, "-c", _INGESTER, on_postgres.url]
    children = [
        subprocess.Popen(
            [*words, str(number), CHECKOUT],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(1, 4)
    ]
    sizes: list[int] = []
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    while any(child.poll() is None for child in children):
        sizes.append(len(list(on_postgres.log.entries())))  # a reader sees no gap, at any time
        assert on_postgres.log.row_count() >= sizes[-1]
    for child in children:
        assert child.communicate(timeout=60)[1] == ""
        assert child.returncode == 0
    log = on_postgres.log
    found = list(log.entries())
    assert sizes == sorted(sizes)
    assert [entry.index for entry in found] == list(range(1_800))
    for number in range(1, 4):
        source = SourceId(bytes([number]) * 16)
        mine = [entry.leaf_hash for entry in found if entry.source_id == source]
        assert mine == [entry.leaf_hash for entry in make_entries(0, 600, source=source)]
    assert log.root() == root([entry.leaf_hash for entry in found])
    assert list(recheck(log)) == []
    assert list(recheck_tiles(log)) == []


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
def test_threads_that_meet_the_same_sources_and_subjects_at_once_take_turns(
    on_postgres: LogOnPostgres, isolation: str
) -> None:
    new = [*make_entries(0, 60), *make_entries(0, 60, source=OTHER)]

    def ingest(number: int) -> None:
        log = Log(on_postgres.url, timeout_s=60)
        try:
            lease = log.acquire_lease(f"ingest:{number}", "me", 60)
            for start in range(0, 120, 10):
                log.append(new[start : start + 10], (), lease)
                log.put_source(progress(start, source=OTHER), lease)
                log.raise_alarm("same", "for all", "text")
        finally:
            log.close()

    set_default = f"alter database {on_postgres.name} set default_transaction_isolation"
    on_postgres.server.execute(f"{set_default} = '{isolation}'")
    try:
        in_threads(4, ingest)
    finally:
        on_postgres.server.execute(f"{set_default} = default")
    assert on_postgres.log.size() == 120  # once each, though four brought it
    assert on_postgres.log.alarms()[0].count == 48
    assert list(recheck(on_postgres.log)) == []
    assert list(recheck_tiles(on_postgres.log)) == []


def test_a_reader_sees_one_state_and_can_write_nothing(on_postgres: LogOnPostgres) -> None:
    on_postgres.append([make_entry(0)])
    count = text("SELECT count(*) FROM entries")
    with reading(on_postgres.log.engine) as connection:
        assert connection.execute(count).scalar_one() == 1
        on_postgres.append([make_entry(1)])
        assert connection.execute(count).scalar_one() == 1
    with (
        pytest.raises(LogUnavailable, match="read-only"),
        reading(on_postgres.log.engine) as connection,
    ):
        connection.execute(text("DELETE FROM payloads"))
    assert on_postgres.append([make_entry(2)]) == 1  # the connection goes on as before


class SkewedClock(SystemClock):
    """The clock of a machine that is wrong by an hour."""

    def __init__(self, hours: int) -> None:
        self.by_us = hours * 3_600_000_000

    def time_us(self) -> int:
        return super().time_us() + self.by_us


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_machine_with_a_wrong_clock_neither_steals_nor_loses_a_lease(
    on_postgres: LogOnPostgres, hours: int
) -> None:
    skewed = Log(on_postgres.url, clock=SkewedClock(hours))
    right = Log(on_postgres.url)
    try:
        with pytest.raises(AnotherRelay):
            skewed.acquire_lease("relay", "two", 30)
        held = skewed.acquire_lease("mine", "two", 30)
        assert right.holder("mine") == held
        assert [lease.name for lease in right.holders("mi")] == ["mine"]
        with pytest.raises(AnotherRelay):
            right.acquire_lease("mine", "one", 30)
        renewed = skewed.renew(held, 60)
        assert 50_000_000 < renewed.expires_us - on_postgres.now_us() < 61_000_000
        on_postgres.clock.turn(61)
        assert right.acquire_lease("mine", "one", 30).token == held.token + 1
    finally:
        skewed.close()
        right.close()


def test_a_lease_that_is_taken_over_while_a_write_waits_refuses_it(
    on_postgres: LogOnPostgres,
) -> None:
    patient = Log(on_postgres.url, timeout_s=30)
    refused: list[BaseException] = []

    def write() -> None:
        try:
            patient.append([make_entry(0)], (), on_postgres.lease)
        except AnotherRelay as exc:
            refused.append(exc)

    with on_postgres.connected() as taking:
        taking.execute("UPDATE leases SET token = token + 1 WHERE name = 'relay'")
        writer = threading.Thread(target=write)
        writer.start()
        wait_until(lambda: _waiting(on_postgres) == 1, 20)
        taking.commit()
        writer.join(30)
    patient.close()
    assert len(refused) == 1
    assert on_postgres.log.size() == 0


def _waiting(on_postgres: LogOnPostgres) -> int:
    [(count,)] = on_postgres.rows(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
        "AND datname = current_database()"
    )
    assert isinstance(count, int)
    return count


def test_a_hung_writer_is_waited_for_no_longer_than_was_said(on_postgres: LogOnPostgres) -> None:
    with on_postgres.connected() as hung:
        hung.execute(f"SELECT pg_advisory_xact_lock({limits._APPEND_LOCK})")
        with pytest.raises(LogUnavailable, match="stayed locked"):
            on_postgres.append([make_entry(0)])
        with pytest.raises(LogUnavailable, match="stayed locked"):
            on_postgres.log.put_source(progress(1), on_postgres.lease)
        assert on_postgres.log.size() == 0  # who reads, and who holds leases, goes on
        on_postgres.log.renew(on_postgres.lease, 30)
    assert on_postgres.append([make_entry(0)]) == 1


def test_a_process_that_is_stopped_inside_a_transaction_holds_nobody_up_for_long(
    on_postgres: LogOnPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "IDLE_S", 0.3)
    stopped = Log(on_postgres.url)
    patient = Log(on_postgres.url, timeout_s=30)
    lease = stopped.acquire_lease("ingest:2", "stopped", 60)

    def write_beside_it() -> None:
        with writing(stopped.engine) as connection:
            limits.lock_appends(connection)
            assert patient.append([make_entry(0)], (), on_postgres.lease) == 1  # waited till then
            connection.execute(text("SELECT 1"))

    with pytest.raises(LogUnavailable, match="ended this session"):
        write_beside_it()
    assert stopped.append([make_entry(1)], (), lease) == 1  # by a new connection
    stopped.close()
    patient.close()


def test_a_writer_that_dies_in_the_middle_leaves_nothing_and_no_lock(
    on_postgres: LogOnPostgres, tmp_path: Path
) -> None:
    dying = on_postgres.connected()
    dying.execute(f"SELECT pg_advisory_xact_lock({limits._APPEND_LOCK})")
    dying.execute("UPDATE leases SET expires_us = 0")
    assert dying.info.transaction_status == TransactionStatus.INTRANS
    dying.pgconn.finish()  # as the kernel does for a process that was killed
    patient = Log(on_postgres.url, timeout_s=30)
    assert patient.append([make_entry(0)], (), on_postgres.lease) == 1
    assert patient.holder("relay") is not None
    patient.close()


def test_a_statement_that_takes_too_long_is_ended(
    on_postgres: LogOnPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STATEMENT_S", 0.2)
    on_postgres.log.close()
    with (
        pytest.raises(LogUnavailable, match="took too long"),
        reading(on_postgres.log.engine) as connection,
    ):
        connection.execute(text("SELECT pg_sleep(30)"))
    assert on_postgres.log.size() == 0


def test_a_server_that_says_nothing_is_given_up(on_postgres: LogOnPostgres) -> None:
    with pytest.raises(LogUnavailable, match="went silent"), _stopped(on_postgres.log) as session:
        session.execute(text("SELECT 1"))
    assert on_postgres.log.size() == 0  # by a new connection


@contextlib.contextmanager
def _stopped(log: Log) -> Iterator[Connection]:
    """A transaction whose process in the server is stopped."""
    with reading(log.engine) as connection:
        raw: Any = connection.connection.driver_connection
        raw.silence_s = 0.3
        session = psutil.Process(raw.info.backend_pid)
        session.suspend()
        try:
            yield connection
        finally:
            session.resume()


def test_nobody_who_listens_and_never_answers_is_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        log = Log(
            f"postgresql+psycopg://me:hunter2@127.0.0.1:{deaf.getsockname()[1]}/log", timeout_s=1
        )
        with pytest.raises(LogUnavailable, match="nobody answers there"):
            log.size()
        log.close()


def test_a_server_that_is_restarted_is_found_again(tmp_path: Path) -> None:
    with running_postgres() as server:
        log = Log(server.uri(server.create(), "psycopg"), timeout_s=2)
        log.create()
        lease = log.acquire_lease("relay", "me", 3_600)
        log.append([make_entry(0)], (), lease)
        with contextlib.ExitStack() as open_once:
            connection = open_once.enter_context(log.engine.connect())
            server.stop(signal.SIGQUIT)
            with pytest.raises(LogUnavailable, match=r"nobody answers there|connection broke"):
                log.append([make_entry(1)], (), lease)
            with pytest.raises(LogUnavailable, match="nobody answers there"):
                log.size()
            server.start()
            connection.invalidate()
        assert log.append([make_entry(0), make_entry(1)], (), lease) == 1
        assert log.size() == 2
        log.close()


@pytest.fixture
def ended(on_postgres: LogOnPostgres) -> LogOnPostgres:
    """A log whose sessions the server's administrator has just ended."""
    on_postgres.append([make_entry(0)])
    on_postgres.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    return on_postgres


def test_a_session_that_was_ended_between_two_uses_is_not_noticed(ended: LogOnPostgres) -> None:
    assert ended.log.size() == 1
    assert ended.append([make_entry(1)]) == 1


def test_a_session_that_is_ended_inside_a_transaction_is_told_and_nothing_was_written(
    on_postgres: LogOnPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(name: str) -> None:
        if name == "log.append.before_commit":
            on_postgres.rows(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    with monkeypatch.context() as ending:
        ending.setattr("chain_client.steps.on_step", end)
        with pytest.raises(LogUnavailable, match="ended this session"):
            on_postgres.append([make_entry(0)])
    assert on_postgres.log.size() == 0
    assert on_postgres.append([make_entry(0)]) == 1


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("53100", "the server's disk is full"),
        ("53200", "out of memory"),
        ("40001", "another writer was in the way"),
        ("40P01", "another writer was in the way"),
        ("58030", "disk reports an error"),
        ("42501", "the user lacks a right"),
        ("25006", "it is read-only"),
    ],
)
def test_what_the_server_complains_of_is_told_and_the_log_goes_on_later(
    to_be_damaged: LogOnPostgres, state: str, told: str
) -> None:
    _fail_at_inserts(to_be_damaged, state)
    with pytest.raises(LogUnavailable, match=told) as caught:
        to_be_damaged.append([make_entry(0)])
    assert not re.search("hunter2|seed and payload", str(caught.value))
    with to_be_damaged.connected() as connection:
        connection.execute("DROP TRIGGER fails ON payloads")
    assert to_be_damaged.append([make_entry(0)]) == 1


@pytest.mark.parametrize("table", ["entries", "payloads", "sources", "tiles", "leases"])
def test_a_log_without_one_of_its_tables_is_damaged(
    to_be_damaged: LogOnPostgres, table: str
) -> None:
    to_be_damaged.append(make_entries(0, 300))
    with to_be_damaged.connected() as connection:
        connection.execute(f"DROP TABLE {table} CASCADE")
    log = Log(to_be_damaged.url)
    with pytest.raises(LogCorrupt, match="has not the tables of a log"):
        log.append(make_entries(300, 301), [progress(301)], to_be_damaged.lease)
    log.close()


@pytest.mark.parametrize("state", ["XX001", "XX002"])
def test_pages_that_the_server_finds_damaged_are_told_from_what_passes(
    to_be_damaged: LogOnPostgres, state: str
) -> None:
    _fail_at_inserts(to_be_damaged, state)
    with pytest.raises(LogCorrupt, match=r"its content is damaged\. Put back its newest copy"):
        to_be_damaged.append([make_entry(0)])


def _fail_at_inserts(log: LogOnPostgres, state: str) -> None:
    with log.connected() as connection:
        connection.execute(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION 'seed and payload' USING ERRCODE = '{state}'; END $$"
        )
        connection.execute(
            "CREATE TRIGGER fails BEFORE INSERT ON payloads FOR EACH ROW EXECUTE FUNCTION fail()"
        )


def test_a_server_that_takes_no_more_connections_says_so(to_be_damaged: LogOnPostgres) -> None:
    to_be_damaged.log.close()
    to_be_damaged.server.execute("create role few login connection limit 0 password 'hunter2/few'")
    server = to_be_damaged.server
    url = server.uri(to_be_damaged.name, "psycopg", user="few").replace("%2Fsecret", "%2Ffew")
    log = Log(url)
    try:
        with pytest.raises(LogUnavailable, match="takes no more connections"):
            log.size()
    finally:
        log.close()
        server.execute("drop role few")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("hunter2%2Fsecret", "hunter2%2Fwrong"), "refused the user or the password"),
        (("/me:", "/nobody_of_that_name:"), "refused the user or the password"),
        (("/db_", "/no_db_"), "has no such database"),
        (("127.0.0.1", "no-such-host.invalid"), "host name is unknown"),
        (("me:hunter2%2Fsecret@127.0.0.1", "me:hunter2@hunter2.invalid"), "host name is unknown"),
        (("psycopg://me", "psycopg://me"), "TLS failed"),
    ],
)
def test_a_connection_that_cannot_be_made_says_why_without_a_password(
    on_postgres: LogOnPostgres, change: tuple[str, str], told: str
) -> None:
    url = on_postgres.url.replace(*change)
    log = Log(f"{url}?sslmode=require" if told == "TLS failed" else url, timeout_s=5)
    with pytest.raises(LogUnavailable, match=told) as caught:
        log.size()
    log.close()
    assert caught.value.__suppress_context__
    assert "hunter2" not in str(caught.value).replace("hunter2.invalid", "")
    assert caught.value.__cause__ is None


def test_what_a_url_says_of_libpq_is_passed_on(on_postgres: LogOnPostgres, tmp_path: Path) -> None:
    certificate = tmp_path / "root.crt"
    query = f"?sslmode=prefer&sslrootcert={certificate}&application_name=mine&keepalives_idle=7"
    log = Log(on_postgres.url + query)
    with reading(log.engine) as connection:
        raw: Any = connection.connection.driver_connection
        found = {option.keyword: option.val for option in raw.pgconn.info}
    log.close()
    assert found[b"sslmode"] == b"prefer"
    assert found[b"sslrootcert"] == str(certificate).encode()
    assert (found[b"application_name"], found[b"keepalives_idle"]) == (b"mine", b"7")
    assert found[b"tcp_user_timeout"] == b"30000"  # ours, as the URL says nothing of it


@pytest.mark.parametrize("driver", ["postgresql+psycopg2", "postgresql+asyncpg", "postgres"])
def test_another_driver_is_refused(driver: str) -> None:
    with pytest.raises(ConfigurationError, match=r"expected one of: .*postgresql\+psycopg"):
        Log(f"{driver}://me@here/log").size()


def test_a_url_without_a_driver_means_ours(on_postgres: LogOnPostgres) -> None:
    log = Log(on_postgres.url.replace("postgresql+psycopg:", "postgresql:"))
    assert log.size() == 0
    log.close()


def test_a_commit_is_durable_where_the_server_would_rather_be_fast(
    on_postgres: LogOnPostgres,
) -> None:
    on_postgres.server.execute(f"alter database {on_postgres.name} set synchronous_commit = 'off'")
    try:
        log = Log(on_postgres.url)
        with reading(log.engine) as connection:
            found = connection.execute(text("SHOW synchronous_commit")).scalar_one()
        log.close()
    finally:
        on_postgres.server.execute(f"alter database {on_postgres.name} reset all")
    assert found == "on"


def test_a_lease_may_be_named_by_any_text_of_the_host(on_postgres: LogOnPostgres) -> None:
    lease = on_postgres.log.acquire_lease("ingest:\0\ud800", "host\0:\udcff", 30)
    assert on_postgres.log.holder("ingest:\0\ud800") == lease
    assert on_postgres.log.append([make_entry(0)], (), lease) == 1
    on_postgres.log.release(on_postgres.log.renew(lease, 30))
    assert on_postgres.log.holder("ingest:\0\ud800") is None


def test_what_a_source_says_of_itself_may_be_any_text(on_postgres: LogOnPostgres) -> None:
    told = {"host": "a\0b", "adapter": "\ud800"}
    row = progress(1)
    on_postgres.log.put_source(type(row)(SOURCE, told, 0, 0, 1), on_postgres.lease)
    state = on_postgres.log.source(SOURCE)
    assert state is not None
    assert state.info == told


def _grants() -> list[str]:
    page = Path(CHECKOUT, "docs/how-to/use-postgres.md").read_text("utf-8")
    return re.findall(r"^GRANT [^;]+", page, re.MULTILINE)


@pytest.fixture
def granted(to_be_damaged: LogOnPostgres) -> Iterator[Callable[[str], Log]]:
    """Logs opened by the roles of the how-to, with just the rights that it grants."""
    server, name = to_be_damaged.server, to_be_damaged.name
    opened: list[Log] = []
    for role in ("chain_relay", "chain_auditor"):
        server.execute(f"create role {role} login password '{PASSWORD}'")
    for grant in _grants():
        server.execute(grant, name)

    def open_log(role: str) -> Log:
        opened.append(Log(server.uri(name, "psycopg", user=role)))
        return opened[-1]

    yield open_log
    for log in opened:
        log.close()
    for role in ("chain_relay", "chain_auditor"):
        server.execute(f"drop owned by {role}", name)
        server.execute(f"drop role {role}")


def test_a_relay_needs_no_more_than_the_rights_of_the_how_to(
    granted: Callable[[str], Log], to_be_damaged: LogOnPostgres
) -> None:
    log = granted("chain_relay")
    log.check_schema()
    log.upgrade()  # nothing to be done
    lease = log.acquire_lease("ingest:1", "me", 30)
    assert log.append(make_entries(0, 300), [progress(300)], lease) == 300
    log.add_head(300, log.root(), lease)
    log.set_head_status(300, EntryStatus.FINALIZED, lease)
    log.raise_alarm("a", "b", "c")
    key = log.acquire_lease(key_lease_name(OWNER.address()), "me", 30)
    ledger = SimulatedLedger()
    queue = TransactionQueue(log.engine, ledger, OWNER, lease=lambda: key, chain_id=31337)
    queue.settle(queue.submit(Call(Address(bytes(20)), b"call"), "pay:1"))
    ledger.fail("send", TransactionRejected("wrong_chain", "not ours"))
    with pytest.raises(TransactionRejected):
        queue.submit(Call(Address(bytes(20)), b"call 2"), "pay:2")  # its row is taken back
    with pytest.raises(LogUnavailable, match="lacks a right"), writing(log.engine) as connection:
        connection.execute(text("DROP TABLE alarms"))


def test_an_auditor_needs_no_right_but_to_read(
    granted: Callable[[str], Log], to_be_damaged: LogOnPostgres
) -> None:
    to_be_damaged.append(make_entries(0, 300))
    log = granted("chain_auditor")
    log.check_schema()
    assert list(recheck(log)) == []
    assert list(recheck_tiles(log)) == []
    assert (log.size(), len(log.sources()), log.alarms()) == (300, 1, [])
    with pytest.raises(LogUnavailable, match="lacks a right"):
        log.append([make_entry(300)], (), to_be_damaged.lease)
