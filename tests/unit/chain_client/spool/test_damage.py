"""Torn tails and damaged bytes: never a wrong record, and the rest is read."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_client.spool import Kind, Position, Record, SourceReader
from chain_client.spool.frames import (
    FRAME_BYTES,
    HEADER_BYTES,
    Frame,
    Unfinished,
    decode_frame,
    encode_frame,
    frame_seed,
)
from tests.strategies import examples
from tests.unit.chain_client.spool.journals import (
    SOURCE_ID,
    make_source,
    make_writer,
    only_source,
    read_all,
)

FRAMES = [
    (Kind.NOTE, 0, 1, b"opening"),
    (Kind.INTENT, 1, 0, b"a body with \xff\xc5 in it"),
    (Kind.OUTCOME, 1, 2, b""),
    (Kind.NOTE, 2, 3, b"\xff\xc5\x03" + bytes(30)),
    (Kind.NOTE, 3, 4, b"closing"),
]
SIZES = [FRAME_BYTES + len(body) for *_, body in FRAMES]
ENDS = [HEADER_BYTES + sum(SIZES[: n + 1]) for n in range(len(SIZES))]


def _source(root: Path) -> tuple[SourceReader, Path, bytes]:
    source = make_source(root, FRAMES)
    path = source.directory / "00000000.spool"
    return source, path, path.read_bytes()


def _as_given(records: list[Record]) -> list[tuple[Kind, int, int, bytes]]:
    return [(r.kind, r.sequence, r.mark, r.body) for r in records]


def _in_order(records: list[Record]) -> bool:
    places = [place for record in records for place in (record.position, record.end)]
    return all(a <= b for a, b in pairwise(places))


def test_a_tail_torn_anywhere_is_no_corruption_of_a_dead_source(tmp_path: Path) -> None:
    source, path, whole = _source(tmp_path)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        records, corruptions = read_all(source)
        assert _as_given(records) == [f for f, end in zip(FRAMES, ENDS) if end <= length], length
        assert corruptions == [], length


def test_a_tail_of_zeros_is_no_corruption_of_a_dead_source(tmp_path: Path) -> None:
    # a power cut may leave a file that has its new length, but not its bytes
    source, path, whole = _source(tmp_path)
    for end in (0, HEADER_BYTES, *ENDS):
        path.write_bytes(whole[:end] + bytes(100))
        records, corruptions = read_all(source)
        assert _as_given(records) == [f for f, at in zip(FRAMES, ENDS) if at <= end]
        assert corruptions == [], end


def test_the_same_tail_is_corruption_once_a_later_segment_exists(tmp_path: Path) -> None:
    source = make_source(tmp_path, FRAMES, [(Kind.NOTE, 4, 5, b"next")])
    path = source.directory / "00000000.spool"
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        records, corruptions = read_all(source)
        kept = [f for f, end in zip(FRAMES, ENDS) if end <= length]
        assert _as_given(records) == [*kept, (Kind.NOTE, 4, 5, b"next")], length
        last_end = ([HEADER_BYTES] + [end for end in ENDS if end <= length])[-1]
        if length in (HEADER_BYTES, *ENDS):
            assert corruptions == [], length  # the sequences show it
        elif length < HEADER_BYTES:
            assert [c.reason for c in corruptions] == ["segment header is cut off"]
        else:
            assert [(c.segment, c.offset, c.length) for c in corruptions] == [
                (0, last_end, length - last_end)
            ], length


@pytest.mark.parametrize("pattern", [0x01, 0x80, 0xFF], ids=hex)
def test_whatever_byte_is_flipped_no_wrong_record_is_read(tmp_path: Path, pattern: int) -> None:
    source, path, whole = _source(tmp_path)
    for index in range(len(whole)):
        flipped = bytearray(whole)
        flipped[index] ^= pattern
        path.write_bytes(flipped)
        records, corruptions = read_all(source, max_bytes=60)
        hit = [n for n, end in enumerate(ENDS) if end - SIZES[n] <= index < end]
        assert _as_given(records) == [f for n, f in enumerate(FRAMES) if n not in hit], index
        assert _in_order(records), index
        assert len(corruptions) == 1, index
        (corruption,) = corruptions
        assert corruption.offset <= index < corruption.offset + corruption.length


@settings(max_examples=examples(150))
@given(st.data())
def test_rubbish_anywhere_never_makes_or_alters_a_record(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    source, path, whole = _source(tmp_path_factory.mktemp("spool"))
    start = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(start, len(whole)))
    seed = frame_seed(SOURCE_ID, 1)
    rubbish = data.draw(
        st.binary(max_size=64)
        | st.sampled_from([encode_frame(*frame, seed) for frame in FRAMES])  # of another place
        | st.just(b"\xff\xc5" * 20)
    )
    path.write_bytes(whole[:start] + rubbish + whole[stop:])
    records, corruptions = read_all(source, max_bytes=data.draw(st.integers(1, 300)))
    assert [frame for frame in _as_given(records) if frame not in FRAMES] == []
    before = [f for f, end in zip(FRAMES, ENDS) if end <= start and start >= HEADER_BYTES]
    assert _as_given(records)[: len(before)] == before
    if start >= HEADER_BYTES:
        behind = [f for f, end, n in zip(FRAMES, ENDS, SIZES) if end - n >= stop]
        assert behind == [] or _as_given(records)[-len(behind) :] == behind
    assert _in_order(records)
    for corruption in corruptions:
        assert corruption.offset >= 0
        assert corruption.offset + corruption.length <= path.stat().st_size


def test_a_whole_segment_of_rubbish_is_passed_over(tmp_path: Path) -> None:
    source = make_source(tmp_path, FRAMES[:1], FRAMES[1:3], FRAMES[3:])
    (source.directory / "00000001.spool").write_bytes(os.urandom(10_000))
    records, corruptions = read_all(source)
    assert _as_given(records) == FRAMES[:1] + FRAMES[3:]
    assert {c.segment for c in corruptions} == {1}
    assert sum(c.length for c in corruptions) == 10_000


def test_an_unfinished_tail_of_a_live_owner_waits_for_its_rest(tmp_path: Path) -> None:
    writer = make_writer(tmp_path)
    number = writer.append_intent(b"whole")
    source = only_source(tmp_path)
    path = source.directory / "00000000.spool"
    known = source.read(Position(0, 0), 1 << 20).next
    frame = encode_frame(Kind.OUTCOME, number, 2, b"rest", frame_seed(source.source_id, 0))
    for length in range(1, len(frame)):
        with path.open("r+b") as file:
            file.seek(known.offset)
            file.write(frame[:length])
            file.truncate()
        found = source.read(known, 1 << 20)
        assert (found.records, found.next, found.corruptions) == ([], known, []), length
    with path.open("r+b") as file:
        file.seek(known.offset)
        file.write(frame)
    (record,) = source.read(known, 1 << 20).records
    assert (record.kind, record.body) == (Kind.OUTCOME, b"rest")
    os.truncate(path, known.offset)
    writer.close()


def test_a_frame_that_is_finished_while_it_is_looked_at_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = make_writer(tmp_path)
    writer.append_note(b"known")
    source = only_source(tmp_path)
    path = source.directory / "00000000.spool"
    known = source.read(Position(0, 0), 1 << 20).next
    with path.open("ab") as file:  # a part of a frame, which its owner then writes anew
        file.write(encode_frame(Kind.NOTE, 2, 3, b"one", frame_seed(source.source_id, 0))[:20])
    looks: list[int] = []

    def decode_then_write(data: memoryview, offset: int, seed: int) -> Frame | Unfinished | None:
        found = decode_frame(data, offset, seed)
        if not looks:
            looks.append(offset)
            os.truncate(path, known.offset)
            writer.append_note(b"one")
            writer.append_note(b"two")
        return found

    monkeypatch.setattr("chain_client.spool.segments.decode_frame", decode_then_write)
    found = source.read(known, 1 << 20)
    assert [record.body for record in found.records] == [b"one", b"two"]
    assert found.corruptions == []
    writer.close()


def test_damage_in_the_middle_of_a_live_source_is_reported_at_once(tmp_path: Path) -> None:
    writer = make_writer(tmp_path)
    for number in range(3):
        writer.append_note(b"note %d" % number)
    source = only_source(tmp_path)
    records, _ = read_all(source)
    with (source.directory / "00000000.spool").open("r+b") as file:
        file.seek(records[2].position.offset + 5)
        file.write(b"\x99")
    found, corruptions = read_all(source)
    assert [record.sequence for record in found] == [0, 1, 3]
    assert [(c.offset, c.length) for c in corruptions] == [
        (records[2].position.offset, records[2].end.offset - records[2].position.offset)
    ]
    writer.close()
