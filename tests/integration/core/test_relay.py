"""Relays of one home: one works at a time, whoever is next takes over, nothing is lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from chain_client.errors import AnotherRelay, HomeMissing, HomeNotWritable
from chain_client.events import Subject
from chain_client.log import EntryStatus
from chain_client.relay.lock import is_relay_running
from chain_client.relay.service import LEASE
from chain_client.verify import Verdict
from tests.integration.core.conftest import Site

Run = Callable[..., tuple[int, str, str]]
SUBJECT = Subject("", "item", "n")
PATIENCE_S = 30


def wait_until(reached: Callable[[], bool]) -> None:
    """Look until it is so; the test fails if it never is."""
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.02)


@contextmanager
def relay_process(site: Site, *words: str, **settings: object) -> Iterator[subprocess.Popen[str]]:
    """A relay by the real command line, once it holds the lease; ended with the block."""
    environment = {**os.environ, "MLOPS_CHAIN_HOME": str(site.home)}
    environment |= {f"MLOPS_CHAIN_{name}": str(value) for name, value in settings.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "chain_client.cli", "relay", *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        if "--once" not in words:
            wait_until(lambda: holder_pid(site) == process.pid)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        process.communicate(timeout=PATIENCE_S)


def stop_between_writes(process: subprocess.Popen[str], *databases: Path) -> None:
    """Stop it where it holds no lock of SQLite's, which no other process could take from it."""

    def stopped() -> bool:
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
        if all(is_free(database) for database in databases):
            return True
        process.send_signal(signal.SIGCONT)
        return False

    wait_until(stopped)


def is_free(database: Path) -> bool:
    """Whether a transaction that writes could begin in it now."""
    connection = sqlite3.connect(database, timeout=0, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError:
        return False
    else:
        return True
    finally:
        connection.close()


@contextmanager
def running(work: Callable[[], object], stop: Callable[[], object]) -> Iterator[threading.Thread]:
    """Something that goes on in a thread during the block."""
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield thread
    finally:
        stop()
        thread.join(PATIENCE_S)


def holder_pid(site: Site) -> int | None:
    lease = site.client.log.holder(LEASE)
    return int(lease.holder.rpartition(":")[2]) if lease is not None else None


def final_size(site: Site) -> int:
    head = site.client.log.latest_head(EntryStatus.FINALIZED)
    return head.size if head is not None else 0


def assert_whole(site: Site, numbers: int) -> None:
    """Each number was recorded once, in order, and all of it is on chain."""
    assert site.numbers() == list(range(numbers))
    head = site.client.contract.head(site.client.deployment.log_id)
    assert (head.size, head.root) == (site.client.log.size(), site.client.log.root())
    assert site.verify().verdict is Verdict.HOLDS


def test_a_second_relay_is_refused_and_told_who_works(site: Site, mlops_chain: Run) -> None:
    first, second = site.relay(), site.relay()
    first.start()
    try:
        with pytest.raises(AnotherRelay, match=f":{os.getpid()} holds the lease 'ingest:"):
            second.start()
        code, _, err = mlops_chain("--home", site.home, "relay")
        assert code == 2
        assert f":{os.getpid()} holds the lease 'ingest:" in err
        assert "stop it, or wait" in " ".join(err.split())
    finally:
        first.close()
    second.start()
    second.close()


def test_a_killed_relay_is_followed_at_once(site: Site) -> None:
    site.note(3)
    with relay_process(site) as process:
        wait_until(lambda: final_size(site) == 4)
        process.kill()
        process.wait()
        assert site.client.log.holder(LEASE) is not None
        assert not is_relay_running(site.client.folder.relay_lock)
        site.drain()
    site.note(2, first=3)
    site.end_source()
    site.drain()
    assert_whole(site, 5)


def test_a_relay_that_was_stopped_past_its_lease_is_replaced_and_never_writes_again(
    site: Site,
) -> None:
    site.note(3)
    with relay_process(site, RELAY_LEASE_S=1) as process:
        wait_until(lambda: final_size(site) == 4)
        stop_between_writes(process, site.log_file, site.chain_file)
        wait_until(lambda: site.client.log.holder(LEASE) is None)
        assert is_relay_running(site.client.folder.relay_lock)

        successor, third = site.relay(), site.relay()
        successor.start()
        with running(lambda: successor.run(until_idle=False), successor.stop):
            site.note(3, first=3)
            process.send_signal(signal.SIGCONT)
            _, err = process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 2
            assert "the lease 'ingest:" in err
            assert "was taken over by another process" in " ".join(err.split())
            wait_until(lambda: final_size(site) == 7)
            # It let go of the lock, which the successor then takes: a third one is refused.
            wait_until(lambda: is_relay_running(site.client.folder.relay_lock))
            with pytest.raises(AnotherRelay):
                third.start()
        successor.close()
    site.end_source()
    site.drain()
    assert_whole(site, 6)


def test_once_waits_for_the_relay_that_works(site: Site) -> None:
    site.note(5)
    site.end_source()
    working = site.relay()
    working.start()
    with relay_process(site, "--once", "--json") as process:
        log_file = str(site.log_file)
        files = psutil.Process(process.pid).open_files
        # It looks at the log, and has not ended: nobody has read the spool yet.
        wait_until(lambda: log_file in {file.path for file in files()})
        assert process.poll() is None
        working.drain(patience_s=20)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, err
        assert '"size": 7' in out
    working.close()
    assert_whole(site, 5)


def test_once_names_what_keeps_the_relay_that_works_from_its_work(
    site: Site, mlops_chain: Run
) -> None:
    site.note(5)
    site.end_source()
    words = ("--home", site.home, "relay", "--once", "--patience", "0.1")
    working = site.relay()
    working.start()
    try:
        code, _, err = mlops_chain(*words)
        assert code == 2
        assert "another relay works, and is not done after 0.1 s" in err
        assert f":{os.getpid()} holds the lease 'ingest:" in err
        site.client.log.raise_alarm("chain", "anchor", "the chain refused it")
        assert "0.1 s: alarm chain: the chain refused it" in mlops_chain(*words)[2]
        site.chain_file.rename(site.home / "elsewhere.db")
        err = mlops_chain(*words)[2]
        assert str(site.chain_file) in err
        assert "lease" not in err
    finally:
        working.close()


@pytest.mark.parametrize("beside", ["alone", "beside another relay"])
def test_once_ends_beside_a_recorder_that_never_pauses(
    site: Site, mlops_chain: Run, beside: str
) -> None:
    recorder = site.client.recorder
    open_call = recorder.begin("item.put", SUBJECT, {"value": 1})
    stop = threading.Event()

    def record() -> None:
        while not stop.wait(0.001):
            recorder.note("item.seen", SUBJECT, {})

    with running(record, stop.set):
        if beside == "alone":
            assert mlops_chain("--home", site.home, "relay", "--once")[0] == 0
        else:
            other = site.relay()
            other.start()
            with running(lambda: other.run(until_idle=False), other.stop):
                assert mlops_chain("--home", site.home, "relay", "--once")[0] == 0
                for _ in range(3):
                    assert site.findings() == []
            other.close()
    recorder.done(open_call)
    site.end_source()
    site.drain()
    assert site.findings() == []


def test_until_idle_ends_when_there_is_nothing_more_to_do(
    home: Path, open_site: Callable[..., Site]
) -> None:
    site = open_site(home, RELAY_IDLE_S=0.05)
    site.note(5)
    relay = site.relay()
    relay.start()
    with running(lambda: relay.run(until_idle=True), relay.stop) as thread:
        wait_until(lambda: final_size(site) == 6)
        assert thread.is_alive()  # the source is live
        site.end_source()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    relay.close()
    assert_whole(site, 5)


def test_a_relay_ends_when_its_home_is_removed(site: Site) -> None:
    relay = site.relay()
    relay.start()
    (site.home / "deployment.json").unlink()
    with pytest.raises(HomeMissing, match="was removed; this relay ends"):
        relay.run(until_idle=False)
    relay.close()


def test_one_event_a_batch_is_one_transaction_an_event(
    home: Path, open_site: Callable[..., Site]
) -> None:
    site = open_site(home, RELAY_MAX_BATCH=1)
    site.note(4)
    site.end_source()
    site.drain()
    deployment = site.client.deployment
    last = site.client.ledger.block().number
    heads = site.client.contract.heads(deployment.log_id, deployment.block_number, last)
    assert [known.head.size for known in heads] == [1, 2, 3, 4, 5, 6]
    assert len({known.tx_hash for known in heads}) == 6
    assert_whole(site, 4)


def test_what_the_log_refused_is_read_again(site: Site) -> None:
    site.note(2)
    relay = site.relay()
    relay.start()
    relay.run_round()
    site.note(5, first=2)
    site.client.log._timeout_s = 0.05
    site.client.log.close()
    blocker = sqlite3.connect(site.log_file, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    assert relay.run_round() == (None, None)
    blocker.execute("ROLLBACK")
    blocker.close()
    done, _ = relay.run_round()
    relay.close()
    assert done is not None
    assert done.entries == 5
    site.end_source()
    site.drain()
    assert_whole(site, 7)


def test_a_closed_source_is_not_called_abandoned_by_the_relay_that_follows(site: Site) -> None:
    site.note(3)
    site.end_source()
    for _ in range(3):
        relay = site.relay()
        relay.start()
        relay.run_round()
        relay.close()
    site.drain()
    assert [event.type for event in site.events()][-1] == "source.closed"
    assert list((site.home / "spool").iterdir()) == []
    assert_whole(site, 3)


def test_one_event_without_canonical_form_does_not_hold_up_the_others(site: Site) -> None:
    recorder = site.client.recorder
    recorder.note("item.seen", SUBJECT, {"number": 0})
    recorder.note("item.seen", SUBJECT, {"number": 1, "text": "\ud800"})
    # JSON that no recorder of ours writes: its name can't stand in a leaf.
    recorder._encode = _encode_anything(recorder._encode)  # type: ignore[method-assign]
    recorder.note("item.seen", SUBJECT, {"number": 2})
    del recorder._encode
    recorder.note("item.seen", SUBJECT, {"number": 2})
    site.end_source()
    site.drain()
    held = site.events()
    assert [event.sequence for event in held] == [0, 1, 2, 3, 4, 5]
    assert [event.type for event in held[3:5]] == ["source.event_unreadable", "item.seen"]
    assert held[2].payload == {"number": 1, "text": "\\ud800"}
    [alarm] = site.client.log.alarms()
    assert alarm.kind == "event_unreadable"
    assert_whole(site, 3)


def _encode_anything(encode: Callable[..., bytes]) -> Callable[..., bytes]:
    return lambda *words: encode(*words).replace(b'"number"', b'"a/b"')


def test_a_backlog_is_read_with_flat_memory(home: Path, open_site: Callable[..., Site]) -> None:
    site = open_site(home, SPOOL_DURABILITY="process")
    recorder = site.client.recorder
    filler = "x" * 4000
    for number in range(2500):
        recorder.note("item.seen", SUBJECT, {"number": number, "filler": filler})
    site.end_source()
    assert sum(f.stat().st_size for f in (home / "spool").rglob("*.spool")) > 10_000_000
    relay = site.relay()
    relay.start()
    relay.run_round()
    tracemalloc.start()
    entries = []
    while (done := relay.run_round()[0]) and done.records:
        entries.append(done.entries)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    relay.close()
    assert len(entries) >= 8
    assert max(entries) <= 300
    assert peak < 8_000_000


def test_a_relay_that_can_not_take_its_lock_says_so(site: Site) -> None:
    (site.home / "relay.lock").mkdir()
    with pytest.raises(HomeNotWritable, match=r"relay\.lock can't be written"):
        site.relay().start()


def test_the_first_record_starts_one_relay_of_its_own(
    home: Path, open_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = open_site(home, RELAY_AUTOSTART="true")
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_IDLE_S", "0.2")
    site.note(1)
    assert final_size(site) == 0  # the recorder has not waited for it
    site.note(19, first=1)
    wait_until(lambda: holder_pid(site) is not None)
    pid = holder_pid(site)
    assert pid is not None
    relay = psutil.Process(pid)
    assert pid != os.getpid()
    assert os.getsid(pid) == pid  # it outlives its parent's terminal
    assert relay.nice() >= 10
    assert relay.cmdline()[-3:] == ["chain_client.cli", "relay", "--until-idle"]
    assert len([child for child in psutil.Process().children() if child.pid == pid]) == 1
    site.end_source()
    wait_until(lambda: final_size(site) == site.client.log.size() == 22)
    wait_until(lambda: not is_relay_running(site.client.folder.relay_lock))
    psutil.wait_procs([relay], timeout=PATIENCE_S)
    assert_whole(site, 20)


def test_a_relay_that_can_not_be_started_is_one_warning_and_no_error(
    home: Path,
    open_site: Callable[..., Site],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    site = open_site(home, RELAY_AUTOSTART="true")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setattr("chain_client.relay.starter._LOOK_EVERY_S", 0.0)
    site.note(5)
    warnings = [r for r in caplog.records if "no relay could be started" in r.getMessage()]
    assert len(warnings) == 1
    assert "mlops-chain relay" in warnings[0].getMessage()
    site.end_source()
    site.drain()
    assert_whole(site, 5)
