"""What an acknowledged intent survives, seen at the calls that reach the disk."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import ClassVar

import pytest

from chain_client.errors import SpoolUnavailable
from chain_client.spool import Durability, Kind, SpoolWriter
from chain_client.spool.disk import REAL_DISK
from tests.unit.chain_client.spool.journals import (
    FaultyDisk,
    NotingDisk,
    acknowledged,
    in_threads,
    make_writer,
    only_source,
    read_all,
)

THREADS, CALLS = 8, 60


@pytest.mark.parametrize("segment_bytes", [1 << 20, 2_000], ids=["one segment", "many"])
def test_an_intent_returns_when_a_sync_has_covered_its_own_frame(
    tmp_path: Path, segment_bytes: int
) -> None:
    disk = NotingDisk()
    writer = make_writer(
        tmp_path, durability=Durability.POWER, disk=disk, segment_bytes=segment_bytes
    )
    early: list[bytes] = []

    def work(thread: int) -> None:
        for call in range(CALLS):
            body = b"%d/%d" % (thread, call)
            number = writer.append_intent(body)
            if not disk.is_durable(body):
                early.append(body)
            writer.append_outcome(number, b"done " + body)

    in_threads(THREADS, work)
    writer.close()
    assert early == []
    records, corruptions = read_all(only_source(tmp_path))
    assert corruptions == []
    assert len(acknowledged(records)) == THREADS * CALLS


class _HeldDisk(NotingDisk):
    """Its first sync of an intent waits until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.held = threading.Event()
        self.go = threading.Event()
        self.armed = False
        self.broken = False
        self.others_written = threading.Semaphore(0)

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:  # type: ignore[override]
        written = super().pwrite(fd, data, offset)
        if b"other" in data:
            self.others_written.release()
        return written

    def _sync(self, fd: int) -> None:
        if self.armed:
            self.armed = False
            self.held.set()
            assert self.go.wait(60)
        if self.broken:
            raise OSError(errno.EIO, "broken")
        REAL_DISK.fdatasync(fd)


def test_intents_that_wait_share_the_next_sync_and_never_ride_on_one_begun_before(
    tmp_path: Path,
) -> None:
    disk = _HeldDisk()
    writer = make_writer(tmp_path, durability=Durability.POWER, disk=disk)
    writer.append_intent(b"opens the source")
    before, disk.armed = disk.syncs, True
    first = threading.Thread(target=writer.append_intent, args=(b"first",))
    first.start()
    assert disk.held.wait(60)
    acknowledged_early: list[bytes] = []

    def append(body: bytes) -> None:
        writer.append_intent(body)
        if not disk.is_durable(body):
            acknowledged_early.append(body)

    others = [threading.Thread(target=append, args=(b"other %d" % n,)) for n in range(5)]
    for thread in others:
        thread.start()
    for _ in others:  # their frames are written, though a sync stands still
        assert disk.others_written.acquire(timeout=60)
    assert not any(disk.is_durable(b"other %d" % n) for n in range(5))
    disk.go.set()
    for thread in (first, *others):
        thread.join()
    assert acknowledged_early == []
    assert disk.syncs == before + 2
    writer.close()


def test_a_sync_that_fails_aborts_every_intent_that_rode_on_it(tmp_path: Path) -> None:
    disk = _HeldDisk()
    writer = make_writer(tmp_path, durability=Durability.POWER, disk=disk)
    writer.append_intent(b"before")
    disk.armed = disk.broken = True

    def append(body: bytes) -> None:
        with pytest.raises(SpoolUnavailable):
            writer.append_intent(body)
        refused.append(body)

    refused: list[bytes] = []
    first = threading.Thread(target=append, args=(b"first",))
    first.start()
    assert disk.held.wait(60)
    others = [threading.Thread(target=append, args=(b"other %d" % n,)) for n in range(5)]
    for thread in others:
        thread.start()
    for _ in others:
        assert disk.others_written.acquire(timeout=60)
    disk.go.set()
    for thread in (first, *others):
        thread.join()
    disk.broken = False
    writer.append_intent(b"after")
    writer.close()
    records, corruptions = read_all(only_source(tmp_path))
    assert corruptions == []
    assert len(refused) == 6
    assert acknowledged(records) == [b"before", b"after"]
    assert len([record for record in records if record.kind is Kind.ABORT]) == 6


def test_the_name_of_a_new_segment_is_durable_with_its_first_intent(tmp_path: Path) -> None:
    class FolderDisk(NotingDisk):
        synced: ClassVar[list[int]] = []

        def fsync(self, fd: int) -> None:  # type: ignore[override]
            self.synced.append(os.fstat(fd).st_ino)
            REAL_DISK.fsync(fd)

    disk = FolderDisk()
    root = tmp_path / "home" / "spool"
    writer = make_writer(root, durability=Durability.POWER, disk=disk, segment_bytes=1)
    for _ in range(3):
        disk.synced.clear()
        writer.append_intent(b"in a segment of its own")
        folders = (only_source(root).directory, root, root.parent)
        assert {folder.stat().st_ino for folder in folders} <= set(disk.synced)
    writer.close()


def test_outcomes_and_notes_become_durable_without_anybody_asking(tmp_path: Path) -> None:
    disk = _CountedDisk()
    writer = make_writer(tmp_path, durability=Durability.POWER, disk=disk)
    number = writer.append_intent(b"intent")
    for act in (
        lambda: writer.append_outcome(number, b"outcome"),
        lambda: writer.append_note(b"note"),
    ):
        disk.synced.clear()
        act()
        assert disk.synced.wait(60)
    assert disk.is_durable(b"outcome")
    assert disk.is_durable(b"note")
    writer.close()


class _CountedDisk(NotingDisk):
    def __init__(self) -> None:
        super().__init__()
        self.synced = threading.Event()

    def fdatasync(self, fd: int) -> None:  # type: ignore[override]
        super().fdatasync(fd)
        self.synced.set()


def test_sync_and_close_make_everything_durable(tmp_path: Path) -> None:
    disk = NotingDisk()
    writer = make_writer(tmp_path, durability=Durability.PROCESS, disk=disk)
    writer.append_note(b"one")
    assert not disk.is_durable(b"one")
    writer.sync()
    assert disk.is_durable(b"one")
    writer.append_note(b"two", sync=True)
    assert disk.is_durable(b"two")
    writer.append_note(b"three")
    writer.close()
    assert disk.is_durable(b"three")
    assert disk.is_durable(b"closing 4")


def test_a_segment_is_durable_before_the_next_one_has_its_name(tmp_path: Path) -> None:
    disk = NotingDisk()
    writer = make_writer(tmp_path, disk=disk, segment_bytes=1)
    for number in range(5):
        writer.append_note(b"%d" % number)
        if number:
            assert disk.is_durable(b"%d" % (number - 1))
    writer.close()


def _power_writer(root: Path) -> tuple[SpoolWriter, FaultyDisk]:
    disk = FaultyDisk()
    writer = make_writer(root, durability=Durability.POWER, disk=disk)
    writer.append_intent(b"before")
    return writer, disk


@pytest.mark.parametrize("call", ["fdatasync", "fsync"])
def test_an_intent_whose_sync_fails_is_aborted(tmp_path: Path, call: str) -> None:
    disk = FaultyDisk()
    writer = make_writer(tmp_path, durability=Durability.POWER, disk=disk)
    disk.fail(call)
    if call == "fdatasync":  # it is needed to open a source at all
        disk.heal()
        writer.append_intent(b"before")
        disk.fail(call)
    with pytest.raises(SpoolUnavailable, match="durable"):
        writer.append_intent(b"refused")
    disk.heal()
    writer.append_intent(b"after")
    writer.close()
    records, corruptions = read_all(only_source(tmp_path))
    assert corruptions == []
    assert [body for body in acknowledged(records) if body != b"before"] == [b"after"]
    (refused,) = [record for record in records if record.body == b"refused"]
    (abort,) = [record for record in records if record.kind is Kind.ABORT]
    assert abort.sequence == refused.sequence
    sequences = [r.sequence for r in records if r.kind in (Kind.INTENT, Kind.NOTE)]
    assert sequences == list(range(len(sequences)))


def test_a_segment_whose_sync_failed_is_left_for_good(tmp_path: Path) -> None:
    # the kernel forgets pages that it could not write: a later sync of them proves nothing
    writer, disk = _power_writer(tmp_path)
    disk.fail("fdatasync")
    with pytest.raises(SpoolUnavailable):
        writer.append_intent(b"refused")
    for _ in range(2):
        with pytest.raises(SpoolUnavailable):
            writer.append_intent(b"refused again")
        with pytest.raises(SpoolUnavailable):
            writer.sync()
    disk.heal()
    writer.append_intent(b"after")
    records, _ = read_all(only_source(tmp_path))
    (refused,) = [record for record in records if record.body == b"refused"]
    (after,) = [record for record in records if record.body == b"after"]
    assert after.position.segment > refused.position.segment
    assert b"refused again" not in acknowledged(records)
    writer.close()


def test_an_outcome_of_an_aborted_intent_is_not_written(tmp_path: Path) -> None:
    writer, disk = _power_writer(tmp_path)
    disk.fail("fdatasync")
    with pytest.raises(SpoolUnavailable):
        writer.append_intent(b"refused")
    disk.heal()
    writer.append_outcome(2, b"of the refused")
    writer.close()
    records, _ = read_all(only_source(tmp_path))
    assert Kind.OUTCOME not in {record.kind for record in records}
