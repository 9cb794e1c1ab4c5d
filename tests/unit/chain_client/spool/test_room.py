"""The zeros ahead of the frames: never seen by a reader, never in the way of a record."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_client.errors import SpoolUnavailable
from chain_client.spool import Durability, Kind, Position, SourceReader
from chain_client.spool.disk import Disk
from chain_client.spool.frames import FRAME_BYTES, HEADER_BYTES
from chain_client.spool.ownership import drop_lock, take_lock
from chain_client.spool.room import LEAST_BYTES, MOST_BYTES
from tests.strategies import examples
from tests.unit.chain_client.spool.journals import (
    FaultyDisk,
    acknowledged,
    make_source,
    make_writer,
    only_source,
    read_all,
    said,
)

FRAMES = [
    (Kind.NOTE, 0, 1, b"opening"),
    (Kind.INTENT, 1, 0, b"a body with \xff\xc5 in it"),
    (Kind.INTENT, 2, 0, b"zeros \0\0\0\0\0\0\0\0 in the middle"),
    (Kind.OUTCOME, 1, 3, b"done"),
    (Kind.ABORT, 2, 0, b"aborted"),
]
SIZES = [FRAME_BYTES + len(body) for *_, body in FRAMES]
ENDS = [HEADER_BYTES + sum(SIZES[: n + 1]) for n in range(len(SIZES))]
ROOM = bytes(300)
SEGMENT = "00000000.spool"


def _given(source: SourceReader, max_bytes: int = 1 << 20) -> list[tuple[Kind, int, bytes]]:
    records, corruptions = read_all(source, max_bytes)
    assert corruptions == []
    return said(records)


def _whole(data: bytes) -> list[tuple[Kind, int, bytes]]:
    """The frames that stand whole at the front of ``data``."""
    return [
        (kind, sequence, body)
        for (kind, sequence, _, body), end in zip(FRAMES, ENDS, strict=True)
        if len(data) >= end
    ]


@contextmanager
def _owned(source: SourceReader) -> Iterator[None]:
    fd = take_lock(source.directory)
    try:
        yield
    finally:
        drop_lock(fd)


@settings(max_examples=examples(150))
@given(
    cut=st.integers(HEADER_BYTES, ENDS[-1] + len(ROOM)),
    room_bytes=st.sampled_from([0, 1, 2, 27, 28, 29, 300, 5_000]),
    live=st.booleans(),
    max_bytes=st.integers(1, 400),
)
def test_a_file_cut_anywhere_or_torn_in_its_room_gives_its_whole_frames(
    tmp_path_factory: pytest.TempPathFactory, cut: int, room_bytes: int, live: bool, max_bytes: int
) -> None:
    source = make_source(tmp_path_factory.mktemp("spool"), FRAMES)
    path = source.directory / SEGMENT
    whole = path.read_bytes()
    torn = (whole + ROOM)[:cut]
    path.write_bytes(torn + bytes(room_bytes))
    if not live:
        assert _given(source, max_bytes) == _whole(torn)
        return
    with _owned(source):
        assert _given(source, max_bytes) == _whole(torn)
        place = source.read(Position(0, 0), 1 << 20).next
        assert place.offset == max(end for end in (HEADER_BYTES, *ENDS) if end <= cut)
        path.write_bytes(whole + ROOM)  # its owner writes on
        rest = source.read(place, 1 << 20)
        assert _whole(torn) + said(rest.records) == _whole(whole)
        assert rest.corruptions == []
        assert rest.next == Position(0, ENDS[-1])
        assert source.read(rest.next, 1 << 20).next == rest.next


@pytest.mark.parametrize("pattern", [0x01, 0x80, 0xFF], ids=hex)
def test_whatever_byte_is_flipped_the_damage_shows(tmp_path: Path, pattern: int) -> None:
    source = make_source(tmp_path, FRAMES)
    path = source.directory / SEGMENT
    whole = path.read_bytes() + ROOM
    for index in range(HEADER_BYTES, len(whole)):
        flipped = bytearray(whole)
        flipped[index] ^= pattern
        path.write_bytes(flipped)
        records, corruptions = read_all(source, max_bytes=60)
        hit = [n for n, end in enumerate(ENDS) if end - SIZES[n] <= index < end]
        assert [r.sequence for r in records] == [
            sequence for n, (_, sequence, *_) in enumerate(FRAMES) if n not in hit
        ], index
        if flipped[ENDS[-1] :].rstrip(b"\0") == b"\xff":
            assert corruptions == []  # so begins a frame: one that is torn
            continue
        (corruption,) = corruptions
        assert corruption.offset <= index < corruption.offset + corruption.length


@pytest.mark.parametrize("live", [True, False], ids=["live", "dead"])
def test_zeros_in_front_of_a_frame_are_damage(tmp_path: Path, live: bool) -> None:
    source = make_source(tmp_path, FRAMES)
    path = source.directory / SEGMENT
    data = bytearray(path.read_bytes() + ROOM)
    data[ENDS[1] : ENDS[2]] = bytes(SIZES[2])
    path.write_bytes(data)
    with _owned(source) if live else nullcontext():
        records, corruptions = read_all(source)
    assert [(r.kind, r.sequence) for r in records] == [
        (Kind.NOTE, 0),
        (Kind.INTENT, 1),
        (Kind.OUTCOME, 1),
        (Kind.ABORT, 2),
    ]
    assert [(c.offset, c.length) for c in corruptions] == [(ENDS[1], SIZES[2])]


def test_zeros_at_the_end_of_a_segment_that_was_left_are_no_damage(tmp_path: Path) -> None:
    source = make_source(tmp_path, FRAMES, [(Kind.NOTE, 3, 4, b"next")])
    path = source.directory / SEGMENT
    whole = path.read_bytes()
    path.write_bytes(whole + ROOM)
    assert _given(source)[-1] == (Kind.NOTE, 3, b"next")
    path.write_bytes(whole[:-1] + ROOM)  # but a torn frame is, for its owner went on
    _, corruptions = read_all(source)
    assert [c.offset for c in corruptions] == [ENDS[-2]]


class NotedDisk(Disk):
    """Notes where zeros are written; syncs nothing."""

    def __init__(self) -> None:
        self.rooms: list[tuple[int, int]] = []
        self.ends: dict[int, int] = {}

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:  # type: ignore[override]
        inode = os.fstat(fd).st_ino
        if any(data):
            self.ends[inode] = offset + len(data)
        else:
            assert offset >= self.ends[inode]  # never over a frame
            self.rooms.append((offset, len(data)))
        return os.pwrite(fd, data, offset)

    def fdatasync(self, fd: int) -> None:  # type: ignore[override]
        pass

    def fsync(self, fd: int) -> None:  # type: ignore[override]
        pass


def test_the_room_grows_with_the_source_and_is_given_back(tmp_path: Path) -> None:
    disk = NotedDisk()
    writer = make_writer(
        tmp_path, durability=Durability.POWER, disk=disk, segment_bytes=4 * MOST_BYTES
    )
    bodies = [b"%05d" % n + b"x" * 3_000 for n in range(500)]
    writer.append_intent(bodies[0])
    folder = only_source(tmp_path).directory
    assert (folder / SEGMENT).stat().st_size <= 2 * LEAST_BYTES
    for body in bodies[1:]:
        writer.append_intent(body)
    assert len(disk.rooms) < 25
    assert max(size for _, size in disk.rooms) <= MOST_BYTES + 2 * 4_096
    assert acknowledged(read_all(only_source(tmp_path))[0]) == bodies
    assert (folder / "00000001.spool").stat().st_size > disk.ends[
        (folder / "00000001.spool").stat().st_ino
    ]
    writer.close()
    source = only_source(tmp_path)
    records, corruptions = read_all(source)
    assert corruptions == []
    assert acknowledged(records) == bodies
    for number in (0, 1):
        last = max(r.end.offset for r in records if r.position.segment == number)
        assert (folder / f"0000000{number}.spool").stat().st_size == last


def test_without_syncs_no_room_is_made(tmp_path: Path) -> None:
    disk = NotedDisk()
    writer = make_writer(tmp_path, durability=Durability.PROCESS, disk=disk)
    writer.append_intent(b"x")
    assert disk.rooms == []
    writer.close()


class _RoomlessDisk(NotedDisk):
    """Has place for frames only: a part of the zeros may reach it, but not all."""

    taken_bytes = 0
    cuts = True

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:  # type: ignore[override]
        if any(data):
            return super().pwrite(fd, data, offset)
        self.rooms.append((offset, len(data)))
        if 0 < self.taken_bytes < len(data):
            part, self.taken_bytes = self.taken_bytes, 0
            return os.pwrite(fd, data[:part], offset)
        raise OSError(errno.ENOSPC, "full")

    def ftruncate(self, fd: int, length: int) -> None:
        if not self.cuts:
            raise OSError(errno.EIO, "broken")
        os.ftruncate(fd, length)


@pytest.mark.parametrize("taken_bytes", [0, 1, 100])
@pytest.mark.parametrize("cuts", [True, False])
def test_where_the_disk_gives_no_room_frames_are_appended_as_they_come(
    tmp_path: Path, taken_bytes: int, cuts: bool
) -> None:
    disk = _RoomlessDisk()
    disk.taken_bytes, disk.cuts = taken_bytes, cuts
    writer = make_writer(tmp_path, durability=Durability.POWER, disk=disk)
    bodies = [b"%d" % n for n in range(20)]
    for body in bodies:
        writer.append_outcome(writer.append_intent(body), b"done")
    source = only_source(tmp_path)
    records, corruptions = read_all(source)
    assert (acknowledged(records), corruptions) == (bodies, [])
    assert len(disk.rooms) <= 2  # it is not asked again with each frame
    if cuts:
        assert (source.directory / SEGMENT).stat().st_size == records[-1].end.offset
    writer.close()
    assert acknowledged(read_all(source)[0]) == bodies


@settings(max_examples=examples(60))
@given(
    st.lists(
        st.tuples(
            st.sets(st.sampled_from(["pwrite", "ftruncate", "fdatasync", "fsync"])),
            st.integers(0, 400),
            st.binary(max_size=300),
        ),
        max_size=25,
    )
)
def test_faults_in_any_order_lose_no_acknowledged_intent(
    tmp_path_factory: pytest.TempPathFactory, turns: list[tuple[set[str], int, bytes]]
) -> None:
    root = tmp_path_factory.mktemp("spool")
    disk = FaultyDisk()
    writer = make_writer(root, durability=Durability.POWER, disk=disk)
    told = [b"first"]
    writer.append_intent(b"first")
    for number, (calls, short_bytes, body) in enumerate(turns):
        body = b"%d " % number + body + b"."
        disk.short_bytes = short_bytes
        disk.fail(*calls)
        try:
            intent = writer.append_intent(body)
            told.append(body)
            writer.append_outcome(intent, b"done")
        except SpoolUnavailable:
            pass
        records, corruptions = read_all(only_source(root))  # beside its living owner
        assert corruptions == []
        assert set(told) <= {record.body for record in records}
        disk.heal()
    writer.close()
    records, corruptions = read_all(only_source(root))
    assert (acknowledged(records), corruptions) == (told, [])
    given_ = [r.sequence for r in records if r.kind in (Kind.INTENT, Kind.NOTE)]
    assert given_ == list(range(len(given_)))


def test_a_reader_beside_the_owner_meets_neither_gap_nor_damage(tmp_path: Path) -> None:
    disk = NotedDisk()
    writer = make_writer(
        tmp_path, durability=Durability.POWER, disk=disk, segment_bytes=3 * LEAST_BYTES
    )
    writer.append_note(b"0")
    source = only_source(tmp_path)
    ended = threading.Event()

    def write() -> None:
        try:
            for number in range(1, 3_000):
                writer.append_note(b"%d" % number + b"." * (number % 97))
        finally:
            ended.set()

    thread = threading.Thread(target=write)
    thread.start()
    sequences: list[int] = []
    position = Position(0, 0)
    while True:
        was_over = ended.is_set()
        found = source.read(position, 1 << 14)
        assert found.corruptions == []
        sequences += [record.sequence for record in found.records]
        if was_over and found.next == position:
            break
        position = found.next
    thread.join()
    writer.close()
    assert sequences == list(range(3_001))
