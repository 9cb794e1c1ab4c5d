"""The recorder: what it writes, and what it does when it can't."""

from __future__ import annotations

import errno
import logging
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chain_client import records
from chain_client.errors import InvalidEvent, SpoolUnavailable
from chain_client.events import Actor, Event, OutcomeStatus, Subject, new_event_id
from chain_client.recorder import Recorder
from chain_client.relay.source_cursor import SourceCursor
from chain_client.spool import Durability, Position, SpoolWriter, list_sources
from chain_client.spool.disk import Disk
from tests.forked import in_fork

SUBJECT = Subject("store", "item", "k")


class FullDisk(Disk):
    """The real disk, until it is full."""

    full = False

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:  # type: ignore[override]
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.pwrite(fd, data, offset)


def _note(type_: str) -> bytes:
    source = Subject("", records.SOURCE, "")
    return records.encode_intent(new_event_id(), type_, 1, 1, source, Actor(), {})


@pytest.fixture
def disk() -> FullDisk:
    return FullDisk()


@pytest.fixture
def open_recorder(tmp_path: Path, disk: FullDisk) -> Iterator[Callable[..., Recorder]]:
    opened: list[Recorder] = []

    def make(**options: Any) -> Recorder:
        spool = SpoolWriter(
            tmp_path / "spool",
            opening=lambda: _note(records.SOURCE_OPENED),
            closing=lambda count: _note(records.SOURCE_CLOSED),
            durability=Durability.PROCESS,
            disk=disk,
        )
        opened.append(Recorder(spool, **options))
        return opened[-1]

    yield make
    disk.full = False
    for recorder in opened:
        recorder.close()


def read_events(root: Path) -> list[Event]:
    """Every event in the spool, calls without an outcome last."""
    [source] = list_sources(root)
    cursor = SourceCursor(source.source_id, Position(0, 0), 0)
    read = source.read(cursor.position, 1 << 20)
    assert not read.corruptions
    events = [event for record in read.records if (event := cursor.take(record)) is not None]
    return events + [intent.event for intent in cursor.open.values()]


def host_events(root: Path) -> list[Event]:
    return [event for event in read_events(root) if event.subject.kind != records.SOURCE]


def test_a_call_is_bracketed(tmp_path: Path, open_recorder: Callable[..., Recorder]) -> None:
    recorder = open_recorder()
    actor = Actor("alice", "bob")
    intent = recorder.begin("item.put", Subject("store", "item", ""), {"value": 1}, actor=actor)
    assert [event.status for event in host_events(tmp_path / "spool")] == ["undetermined"]
    recorder.done(intent, subject_id="minted", result={"version": 3})
    [event] = host_events(tmp_path / "spool")
    assert event.status is OutcomeStatus.DONE
    assert (event.event_id, event.sequence) == (intent.event_id, intent.sequence)
    assert (event.subject.id, event.actor, event.result) == ("minted", actor, {"version": 3})
    assert event.timing.ended_us is not None
    assert event.timing.started_us <= event.timing.ended_us


def test_an_event_id_that_the_caller_minted_is_used(
    tmp_path: Path, open_recorder: Callable[..., Recorder]
) -> None:
    minted = new_event_id()
    open_recorder().begin("item.put", SUBJECT, {}, event_id=minted)
    assert [event.event_id for event in host_events(tmp_path / "spool")] == [minted]


def test_a_failed_call_records_the_class_of_its_error_and_never_its_text(
    tmp_path: Path, open_recorder: Callable[..., Recorder]
) -> None:
    recorder = open_recorder()
    intent = recorder.begin("item.put", SUBJECT, {})
    recorder.failed(intent, KeyError("secret text"), in_doubt=False)
    [event] = host_events(tmp_path / "spool")
    assert (event.status, event.error) == (OutcomeStatus.FAILED, "KeyError")
    [source] = list_sources(tmp_path / "spool")
    assert b"secret text" not in (source.directory / "00000000.spool").read_bytes()


def test_a_note_needs_no_outcome(tmp_path: Path, open_recorder: Callable[..., Recorder]) -> None:
    open_recorder().note("item.seen", SUBJECT, {"value": 2})
    [event] = host_events(tmp_path / "spool")
    assert (event.type, event.status) == ("item.seen", OutcomeStatus.DONE)


def test_losses_are_counted_logged_once_and_noted_when_the_disk_takes_records_again(
    tmp_path: Path,
    open_recorder: Callable[..., Recorder],
    disk: FullDisk,
    caplog: pytest.LogCaptureFixture,
) -> None:
    recorder = open_recorder()
    recorder.done(recorder.begin("item.put", SUBJECT, {"value": "before"}))
    disk.full = True
    for number in range(3):
        intent = recorder.begin("item.put", SUBJECT, {"value": number})
        assert intent.sequence is None
        recorder.done(intent)
    recorder.note("item.seen", SUBJECT, {})
    assert recorder.lost_count == 4
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "item.put could not be recorded" in errors[0].getMessage()
    assert "training goes on" in errors[0].getMessage()
    assert "mlops-chain doctor" in errors[0].getMessage()

    disk.full = False
    recorder.done(recorder.begin("item.put", SUBJECT, {"value": "after"}))
    events = read_events(tmp_path / "spool")
    assert [event.type for event in events[1:]] == ["item.put", records.RECORDS_LOST, "item.put"]
    assert events[2].payload == {"count": 4}
    assert [event.sequence for event in events] == [0, 1, 2, 3]
    assert recorder.lost_count == 4

    disk.full = True
    recorder.begin("item.put", SUBJECT, {})
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 2


@pytest.mark.parametrize("how", ["note", "close"])
def test_losses_are_noted_by_whatever_is_written_next(
    tmp_path: Path, open_recorder: Callable[..., Recorder], disk: FullDisk, how: str
) -> None:
    recorder = open_recorder()
    recorder.note("item.seen", SUBJECT, {})
    disk.full = True
    recorder.begin("item.put", SUBJECT, {})
    disk.full = False
    if how == "note":
        recorder.note("item.seen", SUBJECT, {})
    else:
        recorder.close()
    [lost] = [e for e in read_events(tmp_path / "spool") if e.type == records.RECORDS_LOST]
    assert lost.payload == {"count": 1}


def test_a_forked_child_counts_its_own_losses_and_never_waits_for_its_parents_threads(
    tmp_path: Path, open_recorder: Callable[..., Recorder], disk: FullDisk
) -> None:
    recorder = open_recorder()
    recorder.note("item.seen", SUBJECT, {})
    disk.full = True
    recorder.note("item.lost", SUBJECT, {})

    def lose() -> str:
        signal.alarm(20)  # ends a child that waits for a thread it does not have
        inherited = recorder.lost_count
        recorder.note("item.lost", SUBJECT, {})
        return f"{inherited} {recorder.lost_count}"

    with recorder._lost_lock:
        assert in_fork(lose) == "0 1"
    assert recorder.lost_count == 1


def test_a_loss_that_can_not_be_noted_yet_is_not_forgotten(
    tmp_path: Path, open_recorder: Callable[..., Recorder], disk: FullDisk
) -> None:
    recorder = open_recorder()
    recorder.note("item.seen", SUBJECT, {})
    disk.full = True
    for _ in range(2):
        recorder.begin("item.put", SUBJECT, {})
    with pytest.raises(SpoolUnavailable):
        recorder.begin("item.put", SUBJECT, {}, required=True)
    disk.full = False
    recorder.note("item.seen", SUBJECT, {})
    [lost] = [e for e in read_events(tmp_path / "spool") if e.type == records.RECORDS_LOST]
    assert lost.payload == {"count": 2}


@pytest.mark.parametrize(
    ("options", "required"), [({"refuse": True}, False), ({}, True)], ids=["refuse", "required"]
)
def test_what_must_not_be_lost_is_refused(
    open_recorder: Callable[..., Recorder],
    disk: FullDisk,
    options: dict[str, Any],
    required: bool,
) -> None:
    recorder = open_recorder(**options)
    disk.full = True
    with pytest.raises(SpoolUnavailable, match="No space left"):
        recorder.begin("item.put", SUBJECT, {}, required=required)
    with pytest.raises(SpoolUnavailable, match="No space left"):
        recorder.note("item.put", SUBJECT, {}, required=required)
    with pytest.raises(InvalidEvent):
        recorder.begin("item.put", SUBJECT, {"value": object()}, required=required)  # type: ignore[dict-item]
    assert recorder.lost_count == 0


@pytest.mark.parametrize(
    "payload",
    [{"value": object()}, {"subject": 1}, {"error": "x"}, {"a/b": 1}, {"": 1}],
    ids=["no JSON", "reserved", "reserved too", "slash", "empty"],
)
@pytest.mark.parametrize("how", ["begin", "note"])
def test_an_event_that_can_not_be_sealed_is_a_loss_and_not_the_relays_trouble(
    open_recorder: Callable[..., Recorder], payload: dict[str, Any], how: str
) -> None:
    recorder = open_recorder()
    getattr(recorder, how)("item.put", SUBJECT, payload)
    assert recorder.lost_count == 1
    with pytest.raises(InvalidEvent, match=r"item\.put"):
        getattr(recorder, how)("item.put", SUBJECT, payload, required=True)


def test_outcomes_never_raise(
    open_recorder: Callable[..., Recorder], disk: FullDisk, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = open_recorder()
    first = recorder.begin("item.put", SUBJECT, {})
    second = recorder.begin("item.put", SUBJECT, {})
    recorder.done(first, result={"value": object()})  # type: ignore[dict-item]
    disk.full = True
    recorder.done(first)
    recorder.failed(second, ValueError(), in_doubt=True)
    assert len(caplog.records) == 3
    assert all("was not written" in record.getMessage() for record in caplog.records)
    assert recorder.lost_count == 0


def test_an_outcome_that_was_not_written_leaves_its_call_in_doubt(
    tmp_path: Path, open_recorder: Callable[..., Recorder], disk: FullDisk
) -> None:
    recorder = open_recorder()
    intent = recorder.begin("item.put", SUBJECT, {})
    disk.full = True
    recorder.done(intent)
    [event] = host_events(tmp_path / "spool")
    assert event.status is OutcomeStatus.UNDETERMINED


def test_whoever_watches_is_told_of_each_intent_that_was_recorded(
    open_recorder: Callable[..., Recorder], disk: FullDisk
) -> None:
    told: list[int] = []
    recorder = open_recorder(after_append=lambda: told.append(1))
    recorder.begin("item.put", SUBJECT, {})
    recorder.note("item.seen", SUBJECT, {})
    disk.full = True
    recorder.begin("item.put", SUBJECT, {})
    assert len(told) == 2
