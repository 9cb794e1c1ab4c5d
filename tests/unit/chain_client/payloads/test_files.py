"""`file:`: the conformance suite, and what only a folder can do wrong."""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chain_client import mounts
from chain_client.errors import (
    ConfigurationError,
    PayloadDamaged,
    PayloadMissing,
    PayloadStoreUnavailable,
)
from chain_client.payloads import PayloadStore, open_payload_store
from chain_client.payloads.files import FilePayloadStore
from chain_client.steps import STEPS
from chain_client.testing.payload_store_suite import (
    PayloadStoreSuite,
    StoreUnderTest,
    make_payload,
)
from chain_client.types import Digest
from tests.forked import in_fork, killed_at


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "payloads"
    made.mkdir()
    return made


def _files_of(folder: Path, digest: Digest) -> list[Path]:
    return [path for path in folder.rglob(f"{digest.hex()}*") if path.is_file()]


def _place(folder: Path, digest: Digest) -> Path:
    return folder / digest.hex()[:2] / digest.hex()


class TestFilePayloadStore(PayloadStoreSuite):
    @pytest.fixture
    def store(self, folder: Path, tmp_path: Path) -> StoreUnderTest:
        return StoreUnderTest(
            connect=lambda: open_payload_store("file:payloads", base=tmp_path),
            nowhere=lambda: open_payload_store("file:not-mounted", base=tmp_path),
            replace=lambda digest, data: _place(folder, digest).write_bytes(data),
            take_away=lambda digest: _place(folder, digest).unlink(),
            # Left in `incoming` it is no copy: nobody reads there; erasure is tried below.
            count=lambda digest: int(_place(folder, digest).exists()),
        )


@pytest.fixture
def store(folder: Path) -> FilePayloadStore:
    return FilePayloadStore("file:payloads", folder)


@pytest.mark.parametrize("uri", ["file:payloads", "file:./payloads", "file:{0}", "file://{0}"])
def test_the_folder_may_be_named_in_these_ways(folder: Path, tmp_path: Path, uri: str) -> None:
    digest, data = make_payload()
    opened = open_payload_store(uri.format(folder), base=tmp_path)
    assert opened.uri.startswith(f"file:{tmp_path}")
    opened.put(digest, data)
    assert _place(folder, digest).read_bytes() == data


@pytest.mark.parametrize("uri", ["file:", "file://", "file://elsewhere/payloads"])
def test_what_names_no_folder_of_this_machine_is_refused(tmp_path: Path, uri: str) -> None:
    with pytest.raises(ConfigurationError, match="names no folder"):
        open_payload_store(uri, base=tmp_path)


def test_a_scheme_that_nobody_opens_is_refused_without_showing_the_rest(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"known schemes:.*file:") as raised:
        open_payload_store("ftp://me:hunter2@host/x", base=tmp_path)
    assert "hunter2" not in str(raised.value)
    with pytest.raises(ConfigurationError, match="no scheme is named") as raised:
        open_payload_store("hunter2", base=tmp_path)
    assert "hunter2" not in str(raised.value)


def test_to_make_a_store_touches_nothing(tmp_path: Path) -> None:
    open_payload_store("file:payloads", base=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_missing_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(PayloadStoreUnavailable, match="mounted"):
        open_payload_store("file:payloads", base=tmp_path).put(*make_payload())
    assert list(tmp_path.iterdir()) == []


def test_payloads_are_for_their_owner_alone(folder: Path, store: PayloadStore) -> None:
    before = os.umask(0)
    try:
        digest, data = make_payload()
        store.put(digest, data)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
    assert modes.pop("incoming") == modes.pop(digest.hex()[:2]) == 0o700
    assert set(modes.values()) == {0o600}


def test_an_empty_mount_point_is_away_and_no_store_that_lost_everything(
    folder: Path, store: PayloadStore
) -> None:
    digest, data = make_payload()
    store.put(digest, data)
    shutil.move(folder, folder.with_name("unmounted"))
    folder.mkdir()
    for opened in (store, FilePayloadStore("file:payloads", folder)):
        for use in (opened.get, opened.erase):
            with pytest.raises(PayloadStoreUnavailable, match="not mounted"):
                use(digest)
    with pytest.raises(PayloadStoreUnavailable, match="mounted"):
        store.put(*make_payload())
    assert list(folder.iterdir()) == [], "nothing is written where the mount is missing"


@pytest.mark.parametrize("step_name", [name for name in STEPS if name.startswith("payload.file.")])
def test_killed_at_a_step_a_payload_is_whole_or_unseen_and_what_is_left_of_it_is_erased(
    folder: Path, store: PayloadStore, step_name: str
) -> None:
    store.put(*make_payload())
    digest, data = make_payload()
    # A store that has put before passes each step once a payload.
    killed_at(step_name, 1, lambda: store.put(digest, data))
    if step_name.endswith("written"):
        with pytest.raises(PayloadMissing):
            store.get(digest)
        assert len(_files_of(folder, digest)) == 1, "what the dead process was writing"
    else:
        assert store.get(digest) == data
    store.erase(digest)
    assert _files_of(folder, digest) == []


def test_what_the_dead_left_half_written_is_tidied_up_when_it_is_old(
    folder: Path, store: PayloadStore
) -> None:
    store.put(*make_payload())
    old, young = (folder / "incoming" / name for name in ("0a.old", "0b.young"))
    for path in (old, young):
        path.write_bytes(b"half")
    long_ago = time.time() - 86_400
    os.utime(old, (long_ago, long_ago))
    FilePayloadStore("file:payloads", folder).put(*make_payload())
    assert [path.name for path in (folder / "incoming").iterdir()] == ["0b.young"]


def test_a_full_disk_leaves_nothing_and_a_later_put_succeeds(
    folder: Path, store: PayloadStore
) -> None:
    store.put(*make_payload())
    digest, data = make_payload(200_000)

    def put_on_a_full_disk() -> str:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # then write() says EFBIG
        try:
            store.put(digest, data)
        except PayloadStoreUnavailable as exc:
            return str(exc)
        return "stored"

    assert "can't store payloads" in in_fork(put_on_a_full_disk)
    assert _files_of(folder, digest) == []
    store.put(digest, data)
    assert store.get(digest) == data


@pytest.mark.parametrize(
    "replace",
    [
        lambda path: path.symlink_to("/etc/hostname"),
        lambda path: path.mkdir(),
        lambda path: os.mkfifo(path),
    ],
    ids=["link", "folder", "fifo"],
)
def test_what_is_no_file_in_a_payloads_place_is_damage_and_holds_nobody_up(
    folder: Path, store: PayloadStore, replace: Callable[[Path], None]
) -> None:
    digest, data = make_payload()
    store.put(digest, data)
    place = _place(folder, digest)
    place.unlink()
    replace(place)
    with pytest.raises(PayloadDamaged, match=digest.hex()):
        store.get(digest)


def test_a_put_is_durable_before_it_returns(
    folder: Path, store: PayloadStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file before its name, its folder after it, and the store's folder for a new folder."""
    events: list[str] = []
    sync, replace = os.fsync, Path.replace

    def note_sync(fd: int) -> None:
        name = Path(f"/proc/self/fd/{fd}").readlink()
        events.append(f"sync {name.name.partition('.')[0] if name.is_file() else name.name}")
        sync(fd)

    def note_rename(self: Path, target: Path) -> Path:
        events.append(f"name {target.name}")
        return replace(self, target)

    data = b"in a folder of its own"
    digest = Digest(hashlib.sha256(data).digest())
    store.put(Digest(hashlib.sha256(b"first").digest()), b"first")
    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_rename)
    store.put(digest, data)
    name = digest.hex()
    assert events == [f"sync {name}", "sync payloads", f"name {name}", f"sync {name[:2]}"]
    events.clear()
    FilePayloadStore("file:payloads", folder).put(digest, data)
    wanted = [f"sync {name}", "sync payloads", f"sync {name[:2]}"]
    assert events[-3:] == wanted, "another process may have written it, and died"
    events.clear()
    store.erase(digest)
    assert f"sync {name[:2]}" in events


def test_a_file_system_over_an_object_store_is_refused(
    folder: Path, store: PayloadStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text("36 20 98:1 / / rw - fuse.s3fs s3fs rw\n")
    monkeypatch.setattr(mounts, "TABLE", table)
    for use in (store.check, lambda: store.put(*make_payload())):
        with pytest.raises(ConfigurationError, match=r"is on fuse\.s3fs"):
            use()
    assert list(folder.iterdir()) == []


def test_a_check_finds_what_is_no_folder_and_what_may_not_be_written(
    folder: Path, store: PayloadStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="is no folder"):
        FilePayloadStore("file:file", tmp_path / "file").check()
    # The tests may run as root, whom no mode stops.
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    with pytest.raises(ConfigurationError, match="may not write"):
        store.check()
