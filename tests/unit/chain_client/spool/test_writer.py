"""What is recorded can be read, in order and once."""

from __future__ import annotations

import signal
import stat
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_client.errors import InvalidInput, SpoolUnavailable
from chain_client.spool import MAX_BODY_BYTES, Durability, Kind, SpoolWriter, list_sources
from chain_client.spool.frames import FRAME_BYTES, HEADER_BYTES
from tests.strategies import examples
from tests.unit.chain_client.spool.journals import (
    OPENING,
    FaultyDisk,
    in_threads,
    make_writer,
    only_source,
    read_all,
    said,
)


def test_brackets_and_notes_come_back_in_order(tmp_path: Path) -> None:
    writer = make_writer(tmp_path)
    first = writer.append_intent(b"first")
    second = writer.append_intent(b"second")
    writer.append_outcome(second, b"second done")
    note = writer.append_note(b"by the way")
    writer.append_outcome(first, b"first done")
    writer.close()
    assert (first, second, note) == (1, 2, 3)
    records, corruptions = read_all(only_source(tmp_path))
    assert said(records) == [
        (Kind.NOTE, 0, OPENING),
        (Kind.INTENT, 1, b"first"),
        (Kind.INTENT, 2, b"second"),
        (Kind.OUTCOME, 2, b"second done"),
        (Kind.NOTE, 3, b"by the way"),
        (Kind.OUTCOME, 1, b"first done"),
        (Kind.NOTE, 4, b"closing 4"),
    ]
    assert corruptions == []


def test_the_mark_tells_how_many_sequences_were_given(tmp_path: Path) -> None:
    writer = make_writer(tmp_path)
    first = writer.append_intent(b"")
    writer.append_intent(b"")
    writer.append_outcome(first, b"")
    writer.append_note(b"")
    writer.close()
    records, _ = read_all(only_source(tmp_path))
    assert [(record.kind.name, record.mark) for record in records] == [
        ("NOTE", 1),
        ("INTENT", 0),
        ("INTENT", 0),
        ("OUTCOME", 3),
        ("NOTE", 4),
        ("NOTE", 5),
    ]


@settings(max_examples=examples(40))
@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=80)), max_size=12))
def test_any_bodies_come_back(
    tmp_path_factory: pytest.TempPathFactory, calls: list[tuple[bool, bytes]]
) -> None:
    root = tmp_path_factory.mktemp("spool")
    writer = make_writer(root, segment_bytes=400)
    expected = [(Kind.NOTE, 0, OPENING)]
    for bracketed, body in calls:
        if bracketed:
            sequence = writer.append_intent(body)
            writer.append_outcome(sequence, body[::-1])
            expected += [(Kind.INTENT, sequence, body), (Kind.OUTCOME, sequence, body[::-1])]
        else:
            expected.append((Kind.NOTE, writer.append_note(body), body))
    if not calls:
        writer.append_note(b"")
        expected.append((Kind.NOTE, 1, b""))
    writer.close()
    records, corruptions = read_all(only_source(root), max_bytes=64)
    assert said(records)[:-1] == expected
    assert corruptions == []


def test_nothing_is_touched_before_the_first_append(tmp_path: Path) -> None:
    root = tmp_path / "home" / "spool"
    writer = make_writer(root)
    writer.sync()
    writer.append_outcome(0, b"of nothing")
    writer.close()
    assert writer.source_id is None
    assert not root.exists()
    writer.append_note(b"")
    assert writer.source_id == only_source(root).source_id
    writer.close()
    assert writer.source_id is None


def test_only_the_owner_may_read_what_is_recorded(tmp_path: Path) -> None:
    root = tmp_path / "spool"
    writer = make_writer(root, segment_bytes=1)
    writer.append_note(b"")
    folder = only_source(root).directory
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {
        "owner.lock": 0o600,
        "00000000.spool": 0o600,
        "00000001.spool": 0o600,
    }
    assert [stat.S_IMODE(path.stat().st_mode) for path in (root, folder)] == [0o700, 0o700]
    writer.close()


def test_after_close_the_next_append_opens_another_source(tmp_path: Path) -> None:
    writer = make_writer(tmp_path)
    writer.append_note(b"one")
    one = writer.source_id
    writer.close()
    writer.close()
    writer.append_note(b"two")
    assert writer.source_id != one
    writer.close()
    assert len(list_sources(tmp_path)) == 2


def test_an_intent_gets_one_outcome(tmp_path: Path) -> None:
    writer = make_writer(tmp_path)
    number = writer.append_intent(b"")
    writer.append_outcome(number, b"done")
    writer.append_outcome(number, b"done again")
    writer.append_outcome(99, b"of no intent")
    writer.close()
    records, _ = read_all(only_source(tmp_path))
    outcomes = [record.body for record in records if record.kind is Kind.OUTCOME]
    assert outcomes == [b"done"]


def test_an_intent_of_an_earlier_source_gets_no_outcome_in_a_later_one(tmp_path: Path) -> None:
    writer = make_writer(tmp_path)
    earlier = writer.append_intent(b"")
    writer.close()
    later = writer.append_intent(b"")
    assert earlier == later
    writer.append_outcome(earlier, b"of the earlier")
    writer.close()
    for source in list_sources(tmp_path):
        records, _ = read_all(source)
        assert Kind.OUTCOME not in {record.kind for record in records}


def test_an_outcome_may_be_given_by_the_plain_number(tmp_path: Path) -> None:
    writer = make_writer(tmp_path)
    writer.append_outcome(int(writer.append_intent(b"")), b"done")
    writer.close()
    records, _ = read_all(only_source(tmp_path))
    assert (Kind.OUTCOME, 1, b"done") in said(records)


def test_a_body_that_is_too_long_takes_no_sequence(tmp_path: Path) -> None:
    writer = make_writer(tmp_path)
    with pytest.raises(InvalidInput):
        writer.append_intent(bytes(MAX_BODY_BYTES + 1))
    assert writer.append_note(b"") == 1
    writer.close()
    records, corruptions = read_all(only_source(tmp_path))
    assert [record.sequence for record in records] == [0, 1, 2]
    assert corruptions == []


def test_threads_share_one_gap_free_sequence(tmp_path: Path) -> None:
    writer = make_writer(tmp_path, segment_bytes=4_096)

    def work(thread: int) -> None:
        for call in range(100):
            number = writer.append_intent(b"%d/%d" % (thread, call))
            writer.append_outcome(number, b"%d/%d" % (thread, call))
            writer.append_note(b"")

    in_threads(6, work)
    writer.close()
    records, corruptions = read_all(only_source(tmp_path), max_bytes=3_000)
    assert corruptions == []
    given = [record.sequence for record in records if record.kind is not Kind.OUTCOME]
    assert given == list(range(1_202))
    intents = {r.sequence: r.body for r in records if r.kind is Kind.INTENT}
    outcomes = {r.sequence: r.body for r in records if r.kind is Kind.OUTCOME}
    assert intents == outcomes
    assert len(intents) == 600


def test_a_segment_is_left_before_it_grows_too_large(tmp_path: Path) -> None:
    writer = make_writer(tmp_path, segment_bytes=300)
    for call in range(20):
        writer.append_note(b"%20d" % call)
    writer.append_note(bytes(5_000))  # more than a segment: gets one of its own
    writer.close()
    source = only_source(tmp_path)
    sizes = [path.stat().st_size for path in sorted(source.directory.glob("*.spool"))]
    assert len(sizes) > 3
    assert sorted(sizes)[-1] == HEADER_BYTES + FRAME_BYTES + 5_000
    assert sorted(sizes)[-2] <= 300
    records, corruptions = read_all(source)
    assert [record.sequence for record in records] == list(range(23))
    assert corruptions == []


def test_a_spool_that_cannot_be_opened_leaves_nothing_behind(tmp_path: Path) -> None:
    disk = FaultyDisk()
    disk.fail("pwrite")
    writer = make_writer(tmp_path / "spool", disk=disk)
    with pytest.raises(SpoolUnavailable, match="no spool can be opened"):
        writer.append_note(b"")
    assert list((tmp_path / "spool").iterdir()) == []
    assert writer.source_id is None
    disk.heal()
    assert writer.append_note(b"") == 1
    writer.close()


def test_a_root_that_is_a_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("")
    with pytest.raises(SpoolUnavailable):
        make_writer(tmp_path / "spool").append_note(b"")


class _InterruptedDisk(FaultyDisk):
    """A signal arrives in the middle of a write."""

    armed = False

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:  # type: ignore[override]
        if self.armed:
            self.armed = False
            signal.raise_signal(signal.SIGUSR1)
        return super().pwrite(fd, data, offset)


def test_a_signal_handler_that_records_never_waits_for_its_own_thread(tmp_path: Path) -> None:
    disk = _InterruptedDisk()
    writer = make_writer(tmp_path, disk=disk)
    writer.append_note(b"before")
    refused: list[SpoolUnavailable] = []

    def handler(signum: int, frame: FrameType | None) -> None:
        try:
            writer.append_note(b"from the handler")
        except SpoolUnavailable as exc:
            refused.append(exc)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        disk.armed = True
        assert writer.append_note(b"interrupted") == 2
    finally:
        signal.signal(signal.SIGUSR1, before)
    writer.close()
    assert len(refused) == 1
    records, corruptions = read_all(only_source(tmp_path))
    assert [record.body for record in records][1:-1] == [b"before", b"interrupted"]
    assert corruptions == []


@pytest.mark.parametrize("durability", Durability)
@pytest.mark.parametrize("behind", [False, True], ids=["before the write", "behind the write"])
def test_an_interrupted_intent_is_not_recorded(
    tmp_path: Path, behind: bool, durability: Durability
) -> None:
    class Interrupted(FaultyDisk):
        def pwrite(self, fd: int, data: bytes, offset: int) -> int:  # type: ignore[override]
            if data.endswith(b"interrupted"):
                if behind:
                    super().pwrite(fd, data, offset)
                raise KeyboardInterrupt
            return super().pwrite(fd, data, offset)

    writer = make_writer(tmp_path, disk=Interrupted(), durability=durability)
    writer.append_note(b"")
    with pytest.raises(KeyboardInterrupt):
        writer.append_intent(b"interrupted")
    assert writer.append_intent(b"next") == (3 if behind else 2)
    writer.close()
    records, corruptions = read_all(only_source(tmp_path))
    assert corruptions == []
    kinds = [record.kind for record in records if record.sequence == 2]
    assert kinds == ([Kind.INTENT, Kind.ABORT] if behind else [Kind.INTENT])


def test_process_durability_never_syncs_a_bracket(tmp_path: Path) -> None:
    disk = FaultyDisk()
    writer = make_writer(tmp_path, durability=Durability.PROCESS, disk=disk)
    disk.fail("fdatasync", "fsync")
    number = writer.append_intent(b"")
    writer.append_outcome(number, b"")
    disk.heal()
    writer.close()


def test_the_constructor_does_no_input_or_output(tmp_path: Path) -> None:
    def never() -> bytes:
        raise AssertionError("opened")

    SpoolWriter(
        tmp_path / "spool", opening=never, closing=lambda _: b"", durability=Durability.POWER
    )
    assert list(tmp_path.iterdir()) == []
