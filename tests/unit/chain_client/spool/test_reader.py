"""Reading a source beside its owner, and after it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from chain_client.errors import InvalidInput, SchemaTooNew, SpoolUnavailable
from chain_client.spool import (
    Corruption,
    Kind,
    Position,
    SourceReader,
    keep_aside,
    list_sources,
    remove_unborn,
)
from chain_client.spool.frames import FRAME_BYTES, HEADER_BYTES, encode_header
from chain_client.spool.ownership import drop_lock, take_lock, unborn_path
from tests.unit.chain_client.spool.journals import (
    SOURCE_ID,
    make_source,
    make_writer,
    only_source,
    read_all,
    said,
)

NOTE = Kind.NOTE


def _notes(first: int, count: int) -> list[tuple[Kind, int, int, bytes]]:
    return [(NOTE, n, n + 1, b"note %03d" % n) for n in range(first, first + count)]


def test_a_reading_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    writer = make_writer(tmp_path)
    writer.append_note(b"one")
    source = only_source(tmp_path)
    first = source.read(Position(0, 0), 1 << 20)
    assert [record.body for record in first.records] == [b"opening", b"one"]
    assert source.read(first.next, 1 << 20).records == []
    assert source.read(first.next, 1 << 20).next == first.next
    writer.append_note(b"two")
    second = source.read(first.next, 1 << 20)
    assert [record.body for record in second.records] == [b"two"]
    assert second.records[0].position == first.next
    assert second.records[0].end == second.next
    writer.close()


def test_a_read_is_bounded_by_bytes_but_gives_one_record_at_least(tmp_path: Path) -> None:
    make_source(tmp_path, _notes(0, 40), _notes(40, 40))
    source = only_source(tmp_path)
    size = FRAME_BYTES + 8
    found = source.read(Position(0, 0), 10 * size)
    assert len(found.records) == 10
    assert found.next == Position(0, HEADER_BYTES + 10 * size)
    one = source.read(found.next, 1)
    assert [record.sequence for record in one.records] == [10]
    across = source.read(Position(0, HEADER_BYTES + 38 * size), 4 * size)
    assert [record.sequence for record in across.records] == [38, 39, 40, 41]
    for max_bytes in (1, size - 1, size, size + 1, 7 * size, 1 << 20):
        records, corruptions = read_all(source, max_bytes)
        assert [record.sequence for record in records] == list(range(80))
        assert corruptions == []


def test_a_missing_segment_shows_by_the_sequences(tmp_path: Path) -> None:
    source = make_source(tmp_path, _notes(0, 3), _notes(3, 3), _notes(6, 3))
    (source.directory / "00000001.spool").unlink()
    records, corruptions = read_all(source)
    assert [record.sequence for record in records] == [0, 1, 2, 6, 7, 8]
    assert corruptions == []


def test_a_position_in_a_removed_segment_goes_on_in_the_next(tmp_path: Path) -> None:
    source = make_source(tmp_path, _notes(0, 3), _notes(3, 3))
    (source.directory / "00000000.spool").unlink()
    records = source.read(Position(0, HEADER_BYTES + 36), 1 << 20).records
    assert [record.sequence for record in records] == [3, 4, 5]


def test_segments_are_removed_up_to_the_newest(tmp_path: Path) -> None:
    source = make_source(tmp_path, *(_notes(3 * n, 3) for n in range(4)))
    source.remove_segments_before(2)
    source.remove_segments_before(2)
    names = sorted(path.name for path in source.directory.iterdir())
    assert names == ["00000002.spool", "00000003.spool"]
    source.remove_segments_before(99)
    assert sorted(path.name for path in source.directory.iterdir()) == ["00000003.spool"]


def test_a_live_source_is_not_removed_and_a_dead_one_is(tmp_path: Path) -> None:
    writer = make_writer(tmp_path)
    writer.append_note(b"")
    source = only_source(tmp_path)
    assert source.is_live()
    with pytest.raises(InvalidInput, match="live owner"):
        source.remove()
    writer.close()
    assert not source.is_live()
    source.remove()
    source.remove()
    assert list_sources(tmp_path) == []
    assert source.read(Position(0, 0), 100).records == []
    assert not source.is_live()


def test_looking_at_the_owner_never_keeps_it_waiting(tmp_path: Path) -> None:
    writer = make_writer(tmp_path)
    writer.append_note(b"")
    source = only_source(tmp_path)
    for _ in range(50):
        assert source.is_live()
        writer.append_note(b"")
    writer.close()


def test_sources_are_listed_and_nothing_else(tmp_path: Path) -> None:
    assert list_sources(tmp_path / "missing") == []
    make_source(tmp_path, _notes(0, 1))
    (tmp_path / "corrupt").mkdir()
    (tmp_path / ".new-0123").mkdir()
    (tmp_path / "notes.txt").write_text("")
    assert [source.source_id for source in list_sources(tmp_path)] == [SOURCE_ID]
    with pytest.raises(InvalidInput, match="named by a source id"):
        SourceReader(tmp_path / "corrupt")


def test_a_newer_format_asks_for_an_upgrade(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_source(tmp_path, _notes(0, 2), _notes(2, 2))
    with monkeypatch.context() as later:
        later.setattr("chain_client.spool.frames.VERSION", 2)
        header = encode_header(SOURCE_ID, 1, 2)
    path = source.directory / "00000001.spool"
    path.write_bytes(header + path.read_bytes()[HEADER_BYTES:])
    with pytest.raises(SchemaTooNew, match="upgrade it"):
        source.read(Position(0, 0), 1 << 20)
    assert len(source.read(Position(0, 0), 40).records) == 1  # what is older can be read


def test_a_segment_of_another_place_is_reported(tmp_path: Path) -> None:
    source = make_source(tmp_path, _notes(0, 2), _notes(2, 2))
    first = (source.directory / "00000000.spool").read_bytes()
    (source.directory / "00000001.spool").write_bytes(first)
    records, corruptions = read_all(source)
    assert [record.sequence for record in records] == [0, 1]
    assert corruptions[0] == Corruption(
        1, 0, HEADER_BYTES, "segment belongs to another source or place"
    )
    assert corruptions[1].offset == HEADER_BYTES
    assert sum(c.length for c in corruptions) == len(first)


def test_damaged_bytes_are_kept_aside(tmp_path: Path) -> None:
    root = tmp_path / "spool"
    source = make_source(root, _notes(0, 5))
    path = source.directory / "00000000.spool"
    data = bytearray(path.read_bytes())
    damaged = slice(HEADER_BYTES + 36, HEADER_BYTES + 72)
    data[damaged] = b"\x55" * 36
    path.write_bytes(data)
    records, corruptions = read_all(source)
    assert [record.sequence for record in records] == [0, 2, 3, 4]
    assert corruptions == [Corruption(0, damaged.start, 36, "no valid frame in these bytes")]
    for _ in range(2):
        kept = keep_aside(source, corruptions[0])
    assert kept == root / "corrupt" / f"{SOURCE_ID.hex()}-00000000-{damaged.start}.bin"
    assert kept.read_bytes() == b"\x55" * 36
    assert list(kept.parent.iterdir()) == [kept]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert len(list_sources(root)) == 1


def test_what_the_disk_refuses_is_reported_as_ours(tmp_path: Path) -> None:
    source = make_source(tmp_path, _notes(0, 2), _notes(2, 1))
    (source.directory / "00000000.spool").unlink()
    (source.directory / "00000000.spool").mkdir()
    for act in (
        lambda: source.read(Position(0, 0), 100),
        lambda: source.remove_segments_before(1),
        lambda: source.remove(),
        lambda: keep_aside(source, Corruption(7, 0, 1, "")),
        lambda: list_sources(source.directory / "00000001.spool"),
    ):
        with pytest.raises(SpoolUnavailable) as caught:
            act()
        assert isinstance(caught.value.__cause__, OSError)


def test_a_segment_that_is_removed_once_it_was_listed_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_source(tmp_path, _notes(0, 2), _notes(2, 1))
    real = SourceReader.segment_numbers

    def listed_a_moment_before(reader: SourceReader) -> list[int]:
        numbers = real(reader)
        (reader.directory / "00000000.spool").unlink(missing_ok=True)
        return numbers

    monkeypatch.setattr(SourceReader, "segment_numbers", listed_a_moment_before)
    read = source.read(Position(0, 0), 1 << 20)
    assert [record.sequence for record in read.records] == [2]
    assert not read.corruptions


def test_the_readable_part_can_be_made_durable(tmp_path: Path) -> None:
    source = make_source(tmp_path, _notes(0, 2), _notes(2, 1))
    source.fsync()
    source.remove()
    source.fsync()  # gone: so the log holds it


def test_what_unborn_sources_leave_is_removed_beside_living_ones(tmp_path: Path) -> None:
    make_source(tmp_path, _notes(0, 1))
    abandoned = unborn_path(tmp_path, SOURCE_ID)
    abandoned.mkdir()
    drop_lock(take_lock(abandoned))
    (abandoned / "00000000.spool").write_bytes(b"part")
    lockless = unborn_path(tmp_path, type(SOURCE_ID)(b"\x01" * 16))
    lockless.mkdir()
    living = unborn_path(tmp_path, type(SOURCE_ID)(b"\x02" * 16))
    living.mkdir()
    held = take_lock(living)
    assert remove_unborn(tmp_path) == 2
    assert not abandoned.exists()
    assert not lockless.exists()
    assert living.exists()
    drop_lock(held)
    assert remove_unborn(tmp_path) == 1
    assert remove_unborn(tmp_path / "missing") == 0
    assert said(read_all(only_source(tmp_path))[0]) == [(NOTE, 0, b"note 000")]


def test_a_writer_whose_unborn_folder_was_swept_takes_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[Path] = []

    def sweep_then_take(directory: Path) -> int:
        if not swept:
            swept.append(directory)
            assert remove_unborn(tmp_path) == 1
        return take_lock(directory)

    monkeypatch.setattr("chain_client.spool.ownership.take_lock", sweep_then_take)
    writer = make_writer(tmp_path)
    assert writer.append_note(b"") == 1
    writer.close()
    assert swept
    assert [path.name for path in tmp_path.iterdir()] == [only_source(tmp_path).directory.name]
