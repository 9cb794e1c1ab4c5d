"""When a free lock means that the owner of a source is gone."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from chain_client import mounts, records
from chain_client.events import Json
from chain_client.owners import SHARED_LEASE_S, Owners, find_opening, is_lock_conclusive
from chain_client.spool import Durability, Kind, SourceReader, SpoolWriter, list_sources
from tests.unit.chain_client.spool.journals import make_source, make_writer

NFS = "36 35 98:0 / / rw,noatime master:1 - nfs4 server:/export rw\n"
EXT4 = "36 35 98:0 / / rw,noatime master:1 - ext4 /dev/vda1 rw\n"
HOUR_US = 3_600_000_000


class TestClock:
    """A clock that a test moves."""

    __test__ = False

    def __init__(self, time_us: int) -> None:
        self.wall_us, self.running_us = time_us, 1_000_000

    def time_us(self) -> int:
        return self.wall_us

    def monotonic_us(self) -> int:
        return self.running_us

    def go(self, seconds: float) -> None:
        self.wall_us += int(seconds * 1e6)
        self.running_us += int(seconds * 1e6)


@pytest.fixture
def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Puts the test's folder onto a file system of another kind."""

    def put(table: str) -> None:
        path = tmp_path / "mountinfo"
        path.write_text(table)
        monkeypatch.setattr(mounts, "TABLE", path)

    put(EXT4)
    return put


OWN: dict[str, Json] = {"host": socket.gethostname(), "boot": records.boot_id(), "pid": 1}
REBOOTED: dict[str, Json] = {**OWN, "boot": "another"}
NEIGHBOUR: dict[str, Json] = {**OWN, "host": "a container on this machine"}
ELSEWHERE: dict[str, Json] = {"host": "elsewhere", "boot": "another", "pid": 1}


@pytest.mark.parametrize(
    ("table", "opening", "conclusive"),
    [
        (EXT4, OWN, True),
        (EXT4, NEIGHBOUR, True),
        (EXT4, REBOOTED, True),
        (EXT4, ELSEWHERE, False),
        (EXT4, {}, True),
        (NFS, OWN, True),
        (NFS, NEIGHBOUR, True),
        # A machine of the same name, or this one before it was started again: nobody can tell.
        (NFS, REBOOTED, False),
        (NFS, ELSEWHERE, False),
        (NFS, {}, False),
        (NFS, {"host": socket.gethostname(), "pid": os.getpid()}, False),
    ],
)
def test_a_free_lock_is_believed_under_one_kernel_or_on_a_disk_of_this_machine(
    tmp_path: Path, on: object, table: str, opening: dict[str, Json], conclusive: bool
) -> None:
    assert callable(on)
    on(table)
    assert is_lock_conclusive(tmp_path, opening) is conclusive


def _source(root: Path) -> SourceReader:
    found = make_source(root, [(Kind.NOTE, 0, 1, b"anything")])
    (found.directory / "owner.lock").touch()
    return found


def _touch(reader: SourceReader, time_us: int) -> None:
    for path in reader.directory.iterdir():
        os.utime(path, ns=(time_us * 1000, time_us * 1000))


@pytest.mark.parametrize(
    ("table", "lease_s", "skew_us"),
    [
        (EXT4, 15.0, 0),
        (NFS, SHARED_LEASE_S, 0),
        (NFS, SHARED_LEASE_S, -HOUR_US),
        (NFS, SHARED_LEASE_S, HOUR_US),
    ],
    ids=["here", "shared", "shared, an hour behind", "shared, an hour ahead"],
)
def test_an_owner_elsewhere_is_gone_when_it_was_seen_silent_for_a_lease_whatever_the_clocks_say(
    tmp_path: Path, on: object, table: str, lease_s: float, skew_us: int
) -> None:
    assert callable(on)
    on(table)
    clock = TestClock(1_700_000_000_000_000)
    reader, owners = _source(tmp_path), Owners(tmp_path, clock, 15.0)
    _touch(reader, clock.wall_us + skew_us)
    for _ in range(40):  # it lives, and only touches its lock
        stamp_us = (clock.wall_us + skew_us) * 1000
        os.utime(reader.directory / "owner.lock", ns=(stamp_us, stamp_us))
        assert not owners.may_be_gone(reader, ELSEWHERE)
        clock.go(lease_s - 1)
    assert not owners.may_be_gone(reader, ELSEWHERE)
    clock.go(2)
    assert owners.may_be_gone(reader, ELSEWHERE)
    _touch(reader, clock.wall_us + skew_us)
    assert not owners.may_be_gone(reader, ELSEWHERE), "it was only away for a while"


def test_a_relay_that_has_no_time_to_watch_believes_a_silence_that_no_clock_explains(
    tmp_path: Path, on: object
) -> None:
    assert callable(on)
    on(NFS)
    clock = TestClock(1_700_000_000_000_000)
    reader = _source(tmp_path)
    _touch(reader, clock.wall_us)
    clock.go(3600)
    assert not Owners(tmp_path, clock, 15.0).may_be_gone(reader, ELSEWHERE)
    on(EXT4)
    assert Owners(tmp_path, clock, 15.0).may_be_gone(reader, ELSEWHERE), "one clock stamps them"
    on(NFS)
    clock.go(3700)
    assert Owners(tmp_path, clock, 15.0).may_be_gone(reader, ELSEWHERE)


def test_the_opening_record_says_whose_it_is(tmp_path: Path) -> None:
    writer = SpoolWriter(
        tmp_path / "real",
        opening=lambda: records.encode_opening("a deployment"),
        closing=records.encode_closing,
        durability=Durability.PROCESS,
    )
    writer.append_note(b"x")
    (reader,) = list_sources(tmp_path / "real")
    assert find_opening(reader) | OWN | {"pid": os.getpid()} == find_opening(reader)
    writer.close()
    odd = make_writer(tmp_path / "odd")
    odd.append_note(b"x")
    (reader,) = list_sources(tmp_path / "odd")
    assert find_opening(reader) == {}
    odd.close()
    assert find_opening(_source(tmp_path / "none")) == {}
