"""SQLite files where, or as, SQLite can't keep them: refused, with what to do."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from chain_client import mounts
from chain_client.errors import ConfigurationError, LogUnavailable
from chain_client.ledger.embedded_store import connect
from chain_client.log import Log
from chain_client.log.database import writing
from chain_client.mounts import find_file_system, may_share_locks_badly
from chain_client.sqlite_files import find_dangers, has_wal_reset_bug
from tests.unit.chain_client.log.logs import LogUnderTest, make_entry

_ROOT = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"


class MountTable:
    """A table of mounts instead of the kernel's."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._file = folder / "mountinfo"
        self._file.write_text(_ROOT)
        monkeypatch.setattr(mounts, "TABLE", self._file)

    def mount(self, point: Path | str, kind: str) -> None:
        escaped = str(point).replace("\\", r"\134").replace(" ", r"\040").replace("\n", r"\012")
        with self._file.open("a") as table:
            table.write(
                f"99 27 0:50 / {escaped} rw,relatime shared:9 - {kind} server:/x rw,vers=4\n"
            )


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MountTable:
    (tmp_path / "table").mkdir()
    return MountTable(tmp_path / "table", monkeypatch)


def test_the_kernels_own_table_is_read() -> None:
    if sys.platform == "linux":
        assert find_file_system(Path("/proc/self/mountinfo")) == "proc"
    else:
        assert find_file_system(Path("/")) is None


def test_the_nearest_mount_decides_and_the_latest_of_one_place(
    table: MountTable, tmp_path: Path
) -> None:
    table.mount(tmp_path / "a", "nfs4")
    table.mount(tmp_path / "a" / "local", "xfs")
    table.mount(tmp_path / "odd name\n", "cifs")
    table.mount(tmp_path / "twice", "nfs")
    table.mount(tmp_path / "twice", "ext4")
    kinds = {
        name: find_file_system(tmp_path / name)
        for name in ("a/log.db", "a/local/x/log.db", "ab/log.db", "odd name\n/log.db", "twice")
    }
    assert list(kinds.values()) == ["nfs4", "xfs", "ext4", "cifs", "ext4"]
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert find_file_system(tmp_path / "link" / "log.db") == "nfs4"


def test_a_table_that_cannot_be_read_refuses_nothing(
    under_test: LogUnderTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(mounts, "TABLE", tmp_path / "none")
    assert find_file_system(tmp_path) is None
    assert under_test.append([make_entry(0)]) == 1


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "afs"])
def test_a_file_on_a_network_file_system_is_refused(
    under_test: LogUnderTest, table: MountTable, tmp_path: Path, kind: str
) -> None:
    under_test.log.close()
    table.mount(tmp_path, kind)
    content = under_test.path.read_bytes()
    for act in (under_test.log.size, under_test.log.create, under_test.log.check_schema):
        with pytest.raises(ConfigurationError, match=rf"\({kind}\).*local disk.*Postgres"):
            act()
    missing = Log(f"sqlite:///{tmp_path}/new.db")
    with pytest.raises(ConfigurationError, match="local disk"):
        missing.create()
    assert not (tmp_path / "new.db").exists()
    chain = tmp_path / "chain.db"
    with pytest.raises(ConfigurationError, match=rf"the embedded chain .*\({kind}\).*local disk"):
        connect(chain, 1)
    assert under_test.path.read_bytes() == content


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "overlay", "tmpfs", "9p", "ceph", "apfs"])
def test_other_file_systems_are_used(
    under_test: LogUnderTest, table: MountTable, tmp_path: Path, kind: str
) -> None:
    table.mount(tmp_path, kind)
    under_test.log.close()
    assert under_test.append([make_entry(0)]) == 1
    shared = kind in ("9p", "ceph")
    assert may_share_locks_badly(kind) == shared
    assert bool(find_dangers(tmp_path, "the home")) == shared


@pytest.mark.parametrize(
    ("version", "has_it"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 0), False),
        ((4, 0, 0), False),
    ],
)
def test_versions_of_sqlite_that_lose_pages(version: tuple[int, ...], has_it: bool) -> None:
    assert has_wal_reset_bug(version) == has_it


def put_into_wal(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",)
    return connection


def mode_of(path: Path) -> str:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        [mode] = connection.execute("PRAGMA journal_mode").fetchone()
        return str(mode)


def test_a_log_in_wal_mode_is_refused_by_a_sqlite_that_loses_pages_and_the_text_helps(
    under_test: LogUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_test.log.close()
    put_into_wal(under_test.path).close()
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 40, 1))
    for act in (under_test.log.size, lambda: under_test.append([make_entry(0)])):
        with pytest.raises(ConfigurationError, match="WAL mode") as caught:
            act()
    [danger] = find_dangers(under_test.path, "mlflow's database")
    assert "mlflow's database" in danger
    assert "can lose pages" in danger
    with pytest.raises(ConfigurationError, match=r"the embedded chain .* WAL mode"):
        connect(under_test.path, 1)
    command = str(caught.value).partition("then run: ")[2]
    assert command.startswith("python -c ")
    subprocess.run(["sh", "-c", command.replace("python", sys.executable, 1)], check=True)
    assert mode_of(under_test.path) == "delete"
    assert under_test.append([make_entry(0)]) == 1


def test_a_log_in_wal_mode_is_taken_out_of_it_by_a_sqlite_that_is_mended(
    under_test: LogUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_test.log.close()
    put_into_wal(under_test.path).close()
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 3))
    assert find_dangers(under_test.path, "mlflow's database") == []
    assert under_test.append([make_entry(0)]) == 1
    assert mode_of(under_test.path) == "delete"


def test_the_constructor_looks_at_nothing(table: MountTable, tmp_path: Path) -> None:
    table.mount(tmp_path, "nfs4")
    Log(f"sqlite:///{tmp_path}/log.db").close()


def test_a_file_that_is_no_database_is_in_no_danger(tmp_path: Path) -> None:
    for number, content in enumerate((b"", b"SQLite format 3\0", b"text\0" * 9)):
        path = tmp_path / str(number)
        path.write_bytes(content)
        assert find_dangers(path, "it") == []
    assert find_dangers(tmp_path / "missing", "it") == []
    assert find_dangers(tmp_path, "it") == []


def test_a_look_at_the_mode_takes_no_lock_away(under_test: LogUnderTest) -> None:
    # A file that this process closes loses all of its locks: another one could write then.
    with writing(under_test.log.engine):
        assert find_dangers(under_test.path, "the log") == []
        other = Log(under_test.url, timeout_s=0.1)
        with pytest.raises(LogUnavailable, match="stayed locked"):
            other.raise_alarm("from", "this", "process")
        other.close()
        statement = "sqlite3.connect(sys.argv[1], timeout=0.1).execute('BEGIN IMMEDIATE')"
        words = [sys.executable, "-c", f"import sqlite3, sys; {statement}", str(under_test.path)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert "database is locked" in done.stderr
