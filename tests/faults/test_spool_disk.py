"""A disk that refuses: the caller is told, nothing half is left, and it goes on later."""

from __future__ import annotations

import errno
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chain_client.errors import SpoolUnavailable
from chain_client.spool import Durability, Kind, SpoolWriter
from chain_client.spool.frames import FRAME_BYTES
from tests.unit.chain_client.spool.journals import (
    FaultyDisk,
    acknowledged,
    make_writer,
    only_source,
    read_all,
)

ERRORS = [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT]


def _opened(root: Path, disk: FaultyDisk, durability: Durability) -> SpoolWriter:
    writer = make_writer(root, durability=durability, disk=disk)
    assert writer.append_intent(b"before") == 1
    return writer


def _size_bytes(root: Path) -> int:
    return (only_source(root).directory / "00000000.spool").stat().st_size


def _written_bytes(root: Path) -> bytes:
    """What stands before the room."""
    return (only_source(root).directory / "00000000.spool").read_bytes().rstrip(b"\0")


@pytest.mark.parametrize("error", ERRORS, ids=[errno.errorcode[error] for error in ERRORS])
@pytest.mark.parametrize("short_bytes", [0, 1, FRAME_BYTES, FRAME_BYTES + 3])
def test_a_refused_write_takes_no_sequence_and_leaves_no_part_of_a_frame(
    tmp_path: Path, error: int, short_bytes: int
) -> None:
    disk = FaultyDisk()
    writer = _opened(tmp_path, disk, Durability.PROCESS)
    size_bytes = _size_bytes(tmp_path)
    for append in (writer.append_intent, writer.append_note):
        disk.short_bytes = short_bytes
        disk.fail("pwrite", error=error)
        with pytest.raises(SpoolUnavailable) as caught:
            append(b"refused")
        assert caught.value.__cause__ is not None
        assert b"refused" not in repr(caught.value).encode()
        assert _size_bytes(tmp_path) == size_bytes
        disk.heal()
    assert writer.append_intent(b"after") == 2
    writer.close()
    records, corruptions = read_all(only_source(tmp_path))
    assert corruptions == []
    assert acknowledged(records) == [b"before", b"after"]
    assert Kind.ABORT not in {record.kind for record in records}


def test_a_refused_outcome_may_be_given_again(tmp_path: Path) -> None:
    disk = FaultyDisk()
    writer = _opened(tmp_path, disk, Durability.PROCESS)
    disk.fail("pwrite", error=errno.ENOSPC)
    with pytest.raises(SpoolUnavailable):
        writer.append_outcome(1, b"refused")
    disk.heal()
    writer.append_outcome(1, b"done")
    writer.close()
    records, _ = read_all(only_source(tmp_path))
    assert [r.body for r in records if r.kind is Kind.OUTCOME] == [b"done"]


def test_a_part_of_a_frame_that_cannot_be_cut_off_is_cut_off_later(tmp_path: Path) -> None:
    disk = FaultyDisk()
    writer = _opened(tmp_path, disk, Durability.POWER)
    written = _written_bytes(tmp_path)
    disk.short_bytes = 10
    disk.fail("pwrite", "ftruncate", error=errno.EIO)
    with pytest.raises(SpoolUnavailable):
        writer.append_intent(b"refused")
    assert len(_written_bytes(tmp_path)) > len(written)
    records, corruptions = read_all(only_source(tmp_path))
    assert (acknowledged(records), corruptions) == ([b"before"], [])
    disk.heal()
    disk.fail("ftruncate", error=errno.EIO)
    with pytest.raises(SpoolUnavailable, match="mended"):
        writer.append_intent(b"refused again")
    disk.heal()
    assert writer.append_intent(b"after") == 2
    writer.close()
    records, corruptions = read_all(only_source(tmp_path))
    assert (acknowledged(records), corruptions) == ([b"before", b"after"], [])


@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
def test_a_new_segment_that_the_disk_refuses_is_tried_again(tmp_path: Path, call: str) -> None:
    disk = FaultyDisk()
    writer = make_writer(tmp_path, durability=Durability.POWER, disk=disk, segment_bytes=1)
    writer.append_note(b"before", sync=True)
    disk.fail(call)
    for _ in range(2):
        with pytest.raises(SpoolUnavailable):
            writer.append_intent(b"refused")
    names = {path.name for path in only_source(tmp_path).directory.iterdir()}
    assert not [name for name in names if name.endswith(".new")]
    disk.heal()
    writer.append_intent(b"after")
    writer.close()
    records, corruptions = read_all(only_source(tmp_path))
    assert (acknowledged(records), corruptions) == ([b"after"], [])
    given = [r.sequence for r in records if r.kind in (Kind.INTENT, Kind.NOTE)]
    assert given == list(range(len(given)))


def test_an_abort_that_the_disk_refuses_stands_before_the_next_record(tmp_path: Path) -> None:
    disk = FaultyDisk()
    writer = _opened(tmp_path, disk, Durability.POWER)
    disk.fail("fdatasync", "pwrite")
    disk.failing.pop("pwrite")
    with pytest.raises(SpoolUnavailable):
        writer.append_intent(b"refused")  # its new segment can't be synced: no place for the mark
    records, _ = read_all(only_source(tmp_path))
    assert Kind.ABORT not in {record.kind for record in records}
    disk.heal()
    writer.append_note(b"after")
    records, corruptions = read_all(only_source(tmp_path))
    assert [(r.kind, r.sequence) for r in records[-3:]] == [
        (Kind.INTENT, 2),
        (Kind.ABORT, 2),
        (Kind.NOTE, 3),
    ]
    assert corruptions == []
    writer.close()


def test_a_closing_note_that_the_disk_refuses_still_lets_go_of_the_source(tmp_path: Path) -> None:
    disk = FaultyDisk()
    writer = _opened(tmp_path, disk, Durability.PROCESS)
    disk.fail("pwrite", error=errno.ENOSPC)
    with pytest.raises(SpoolUnavailable):
        writer.close()
    source = only_source(tmp_path)
    assert not source.is_live()
    assert writer.source_id is None
    records, corruptions = read_all(source)
    assert [record.body for record in records] == [b"opening", b"before"]
    assert corruptions == []


def test_faults_that_come_and_go_lose_no_acknowledged_intent(tmp_path: Path) -> None:
    disk = FaultyDisk()
    writer = make_writer(tmp_path, durability=Durability.POWER, disk=disk, segment_bytes=400)
    writer.append_note(b"opens")
    told: list[bytes] = []
    refused: list[bytes] = []
    for turn in range(120):
        body = b"%d" % turn
        if turn % 3:
            disk.short_bytes = turn % 40
            disk.fail(*(("pwrite",), ("fdatasync",), ("pwrite", "ftruncate"))[turn % 7 % 3])
        try:
            number = writer.append_intent(body)
        except SpoolUnavailable:
            refused.append(body)
        else:
            told.append(body)
            writer.append_outcome(number, b"done " + body)
        disk.heal()
    writer.close()
    records, corruptions = read_all(only_source(tmp_path), max_bytes=500)
    assert corruptions == []
    assert acknowledged(records) == told
    assert len(told) >= 40
    assert len(refused) >= 40
    given = [r.sequence for r in records if r.kind in (Kind.INTENT, Kind.NOTE)]
    assert given == list(range(len(given)))
    assert len([r for r in records if r.kind is Kind.OUTCOME]) == len(told)


_LIMITED = """
import sys
from pathlib import Path
from chain_client.errors import SpoolUnavailable
from tests.unit.chain_client.spool.journals import make_writer
from chain_client.spool import Durability
writer = make_writer(Path(sys.argv[1]), durability=Durability.POWER)
told = 0
try:
    while True:
        writer.append_intent(b"%05d" % told)
        told += 1
except SpoolUnavailable as exc:
    print(told, exc)
for _ in range(3):
    try:
        writer.append_intent(b"refused")
        print("accepted")
    except SpoolUnavailable:
        pass
"""


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def test_a_real_limit_of_the_file_size_cuts_back_to_the_last_whole_frame(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-B", "-c", _LIMITED, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[2],
        preexec_fn=_limit,
    )
    assert done.returncode == 0, done.stderr
    told = int(done.stdout.split()[0])
    assert "File too large" in done.stdout
    assert "accepted" not in done.stdout
    assert told > 30
    source = only_source(tmp_path)
    records, corruptions = read_all(source)
    assert corruptions == []
    assert acknowledged(records) == [b"%05d" % n for n in range(told)]
    assert records[-1].end.offset == (source.directory / "00000000.spool").stat().st_size
