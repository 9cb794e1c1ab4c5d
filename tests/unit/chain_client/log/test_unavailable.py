"""A database that does not answer, or is damaged: told as what it is, in our own errors."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError

from chain_client.errors import (
    ChainError,
    ConfigurationError,
    LogCorrupt,
    LogMismatch,
    LogUnavailable,
)
from chain_client.log import EntryStatus, Lease, Log
from chain_client.types import Digest
from tests.unit.chain_client.log.logs import (
    SOURCE,
    LogUnderTest,
    bulk_entries,
    make_entries,
    make_entry,
    progress,
)

ROOT = Digest(b"\x01" * 32)


def _reads(log: Log) -> dict[str, Callable[[], object]]:
    return {
        "size": log.size,
        "root": log.root,
        "entries": lambda: list(log.entries()),
        "entry": lambda: log.entry(0),
        "find_events": lambda: list(log.find_events("store")),
        "known": lambda: log.known(SOURCE, [0]),
        "inclusion_proof": lambda: log.inclusion_proof(0),
        "consistency_proof": lambda: log.consistency_proof(1),
        "source": lambda: log.source(SOURCE),
        "sources": log.sources,
        "holder": lambda: log.holder("relay"),
        "alarms": log.alarms,
        "heads": log.heads,
        "latest_head": log.latest_head,
        "counts": log.counts,
        "status_of": lambda: log.status_of(0),
        "oldest_unfinal_us": log.oldest_unfinal_us,
        "check_schema": log.check_schema,
    }


def _writes(log: Log, lease: Lease) -> dict[str, Callable[[], object]]:
    return {
        "append": lambda: log.append([make_entry(1)], [progress(2)], lease),
        "put_source": lambda: log.put_source(progress(2), lease),
        "add_head": lambda: log.add_head(1, ROOT, lease),
        "set_head_status": lambda: log.set_head_status(1, EntryStatus.INCLUDED, lease),
        "acquire_lease": lambda: log.acquire_lease("other", "me", 30),
        "renew": lambda: log.renew(lease, 30),
        "release": lambda: log.release(lease),
        "raise_alarm": lambda: log.raise_alarm("kind", "", ""),
        "clear_alarm": lambda: log.clear_alarm("kind", ""),
        "upgrade": log.upgrade,
    }


def _told(act: Callable[[], object]) -> ChainError:
    """The error of a call: one of ours, that names what was the matter."""
    with pytest.raises(ChainError) as caught:
        act()
    assert not isinstance(caught.value, SQLAlchemyError)
    return caught.value


@pytest.fixture
def filled(under_test: LogUnderTest) -> LogUnderTest:
    under_test.append([make_entry(0)])
    under_test.log.add_head(1, under_test.log.root(), under_test.lease)
    return under_test


def _everything(filled: LogUnderTest) -> dict[str, Callable[[], object]]:
    return _reads(filled.log) | _writes(filled.log, filled.lease)


def test_every_method_works_when_nothing_is_wrong(filled: LogUnderTest) -> None:
    for name, act in _everything(filled).items():
        if name != "add_head":  # of another root
            act()


def test_a_locked_log_is_waited_for_and_then_told(filled: LogUnderTest) -> None:
    filled.log.close()
    locking = sqlite3.connect(filled.path, isolation_level=None)
    locking.execute("BEGIN EXCLUSIVE")
    log = Log(filled.url, clock=filled.clock, timeout_s=0.01)
    try:
        for name, act in (_reads(log) | _writes(log, filled.lease)).items():
            error = _told(act)
            assert isinstance(error, LogUnavailable), name
            assert "stayed locked" in str(error), name
    finally:
        locking.close()
    assert log.size() == 1
    log.close()


def test_a_reader_lets_others_read(filled: LogUnderTest) -> None:
    reading = sqlite3.connect(filled.path, isolation_level=None)
    reading.execute("BEGIN")
    reading.execute("SELECT * FROM entries").fetchall()
    assert filled.log.size() == 1
    assert isinstance(_told(lambda: filled.append([make_entry(1)])), LogUnavailable)
    reading.close()
    assert filled.append([make_entry(1)]) == 1


def test_a_missing_log_is_told_and_never_made_anew(filled: LogUnderTest) -> None:
    filled.path.unlink()
    for opened in (filled.log, Log(filled.url, clock=filled.clock)):
        for name, act in (_reads(opened) | _writes(opened, filled.lease)).items():
            error = _told(act)
            assert isinstance(error, LogUnavailable), name
            assert str(filled.path) in str(error), name
        opened.close()
    assert not filled.path.exists()


def test_a_log_that_was_replaced_is_not_written_under_its_old_file(
    filled: LogUnderTest, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.db"
    shutil.copyfile(filled.path, copy)
    filled.append([make_entry(1)])
    copy.replace(filled.path)
    assert filled.log.size() == 1  # the restored one's
    assert filled.append([make_entry(1)]) == 1
    assert filled.rows("SELECT count(*) FROM entries") == [(2,)]


def test_a_read_only_log_can_be_read(filled: LogUnderTest) -> None:
    event.listen(filled.log.engine, "connect", _write_nothing)
    filled.log.engine.dispose()
    assert filled.log.size() == 1
    error = _told(lambda: filled.append([make_entry(1)]))
    assert isinstance(error, LogUnavailable)
    assert "read-only" in str(error)


def _write_nothing(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA query_only=ON").close()


def test_a_full_disk_is_told_and_the_log_goes_on_later(filled: LogUnderTest) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (filled.path.stat().st_size, hard))
    try:
        error = _told(lambda: filled.append(bulk_entries(1, 3_000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert isinstance(error, LogUnavailable)
    assert "disk" in str(error)
    assert filled.log.size() == 1
    assert filled.append(bulk_entries(1, 3_000)) == 2_999


def _truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _rubbish(path: Path) -> None:
    path.write_bytes(b"this is no database at all. " * 500)


def _emptied(path: Path) -> None:
    os.truncate(path, 0)


def _damaged(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\x77" * (path.stat().st_size - 200))


@pytest.mark.parametrize("damage", [_truncated, _rubbish, _emptied, _damaged])
def test_a_damaged_log_is_told_from_one_that_does_not_answer(
    filled: LogUnderTest, damage: Callable[[Path], None]
) -> None:
    filled.log.close()
    damage(filled.path)
    for name, act in _everything(filled).items():
        if damage is _emptied and name == "upgrade":
            continue  # an empty file may become a log
        error = _told(act)
        assert isinstance(error, LogCorrupt), (name, error)
        assert "Put back its newest copy" in str(error) or "another program" in str(error), name


@pytest.mark.parametrize("table", ["entries", "payloads", "sources", "tiles", "heads", "leases"])
def test_a_log_without_one_of_its_tables_is_damaged(filled: LogUnderTest, table: str) -> None:
    filled.append(make_entries(1, 300))
    filled.edit(f"DROP TABLE {table}")
    errors = []
    for act in _everything(filled).values():
        try:
            act()
        except LogMismatch:
            continue
        except ChainError as exc:
            errors.append(exc)
    assert errors
    assert {type(error) for error in errors} == {LogCorrupt}


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("sqlite://", "can't be kept|give a path|expected one of"),
        ("sqlite:///", "give a path"),
        ("sqlite:///:memory:", "give a path"),
        ("mysql+pymysql://me:secret@here/log", "can't be kept in 'mysql\\+pymysql'"),
        ("no url with a secret", "can't be read"),
        ("", "can't be read"),
    ],
)
def test_a_url_of_no_log_is_refused_at_the_first_use(url: str, text: str) -> None:
    log = Log(url)
    with pytest.raises(ConfigurationError, match=text) as caught:
        log.size()
    assert "secret" not in str(caught.value) + repr(log)
    log.close()


def test_the_constructor_and_the_import_open_nothing(tmp_path: Path) -> None:
    log = Log(f"sqlite:///{tmp_path}/log.db")
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_a_password_is_never_shown() -> None:
    log = Log("postgresql+psycopg://me:secret@127.0.0.1:1/log", timeout_s=1)
    assert "secret" not in repr(log)
    error = _told(log.size)  # nobody answers there, or its driver is not installed
    assert isinstance(error, LogUnavailable | ConfigurationError)
    assert "secret" not in str(error)
    log.close()
