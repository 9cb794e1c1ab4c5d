"""``file:<folder>``: payloads as files, one each, in a folder of this machine or a mounted one.

::

    <folder>/mlops-chain-payloads    says that this folder is a store
    <folder>/incoming/               what is just being written
    <folder>/3f/3f2a…                a payload, under its digest in hex

The folder itself is never made here: a mount that is missing must not look like a store that lost
everything. For the same reason nothing is called missing in a folder without the file that says
what it is; the first put writes it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from chain_client.errors import (
    ConfigurationError,
    PayloadDamaged,
    PayloadMissing,
    PayloadStoreUnavailable,
)
from chain_client.mounts import WITHOUT_FOLDERS, find_file_system
from chain_client.payloads.base import MAX_PAYLOAD_BYTES, check_payload
from chain_client.steps import step
from chain_client.synced_folders import sync_folder
from chain_client.types import Digest

_MARK: Final = "mlops-chain-payloads"
_MARK_TEXT: Final = b"mlops-chain payloads 1\n"
_INCOMING: Final = "incoming"
_SHARD_DIGITS: Final = 2
_ABANDONED_S: Final = 3600
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class FilePayloadStore:
    """A payload store in a folder.

    A payload is written beside its place, synced, renamed into it, and the folder is synced: it is
    there whole or not at all, whatever dies. Files are for their owner alone (0600).

    Args:
        uri: as it was configured.
        path: the folder.
    """

    def __init__(self, uri: str, path: Path) -> None:
        self.uri = uri
        self._path = path
        self._is_prepared = False
        self._synced: set[str] = set()
        """Folders of payloads that are known to be durable themselves."""

    def put(self, digest: Digest, data: bytes) -> None:
        """As `PayloadStore.put`."""
        check_payload(digest, data)
        place = self._place(digest)
        with self._errors("store"):
            if not self._is_prepared:
                self._prepare()
            if _holds(place, digest):
                # Another process may have renamed it just now, and not synced it yet.
                self._make_folder(place.parent)
            else:
                self._write(place, data)
            sync_folder(place.parent)

    def get(self, digest: Digest, longest: int = MAX_PAYLOAD_BYTES) -> bytes:
        """As `PayloadStore.get`."""
        place = self._place(digest)
        with self._errors("read"):
            try:
                data = _read(place, longest)
            except FileNotFoundError:
                self._expect_mark()
                raise PayloadMissing(f"{self.uri} holds no payload {digest.hex()}") from None
        if data is None or hashlib.sha256(data).digest() != digest:
            raise PayloadDamaged(
                f"{self.uri} holds other bytes than were stored as payload {digest.hex()}"
            )
        return data

    def erase(self, digest: Digest) -> None:
        """As `PayloadStore.erase`. What a put that was killed left of it is removed too."""
        place = self._place(digest)
        with self._errors("erase"):
            self._expect_mark()
            incoming = self._path / _INCOMING
            for path in (place, *self._unfinished(digest.hex())):
                path.unlink(missing_ok=True)
            for folder in (place.parent, incoming):
                with contextlib.suppress(FileNotFoundError):
                    sync_folder(folder)
            self._expect_mark()
            if os.path.lexists(place) or any(self._unfinished(digest.hex())):
                raise PayloadStoreUnavailable(
                    f"{self.uri} got payload {digest.hex()} again while it was erased; erase again"
                )

    def check(self) -> None:
        """As `PayloadStore.check`."""
        with self._errors("look at"):
            self._refuse_file_system()
            if not stat.S_ISDIR(self._path.stat().st_mode):
                raise ConfigurationError(f"{self._path} is no folder; expected file:<folder>")
        if not os.access(self._path, os.R_OK | os.W_OK | os.X_OK):
            raise ConfigurationError(
                f"payloads can't be stored in {self._path}: this process may not write there"
            )

    def _place(self, digest: Digest) -> Path:
        name = digest.hex()
        return self._path / name[:_SHARD_DIGITS] / name

    def _prepare(self) -> None:
        """What the first put of a process does: see to the folder, and tidy up behind the dead."""
        self._refuse_file_system()
        incoming = self._path / _INCOMING
        with contextlib.suppress(FileExistsError):
            incoming.mkdir(mode=0o700)
        if not (self._path / _MARK).exists():
            self._write(self._path / _MARK, _MARK_TEXT)
        sync_folder(self._path)
        long_ago = time.time() - _ABANDONED_S
        for path in self._unfinished():
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < long_ago:
                    path.unlink()
        self._is_prepared = True

    def _refuse_file_system(self) -> None:
        file_system = find_file_system(self._path)
        if file_system in WITHOUT_FOLDERS:
            raise ConfigurationError(
                f"{self._path} is on {file_system}, where a renamed file is not there whole at "
                "once: name that store itself, as s3://bucket/prefix does"
            )

    def _expect_mark(self) -> None:
        if not (self._path / _MARK).exists():
            raise PayloadStoreUnavailable(
                f"{self._path} holds no payload at all: if there were some, its file system is "
                "not mounted, or log.payloads names another folder than it did"
            )

    def _unfinished(self, name: str = "") -> Iterator[Path]:
        with contextlib.suppress(FileNotFoundError):
            yield from (self._path / _INCOMING).glob(f"{name}*")

    def _make_folder(self, folder: Path) -> None:
        if folder == self._path or (folder.name in self._synced and folder.exists()):
            return
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        sync_folder(self._path)
        self._synced.add(folder.name)

    def _write(self, place: Path, data: bytes) -> None:
        """Bring bytes to their place, whole or not at all; the folder is not synced yet."""
        part = self._path / _INCOMING / f"{place.name}.{secrets.token_hex(8)}"
        try:
            fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb", buffering=0) as file:
                rest = memoryview(data)
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(fd)
            step("payload.file.written")
            self._make_folder(place.parent)
            part.replace(place)
        except BaseException:
            # A disk that is full gets its room back.
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise
        step("payload.file.named")

    @contextlib.contextmanager
    def _errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except PermissionError as exc:
            raise ConfigurationError(
                f"this process may not {verb} payloads in {self._path}: {exc.strerror}"
            ) from exc
        except FileNotFoundError as exc:
            raise PayloadStoreUnavailable(
                f"{self._path} is not there, or not as it was left: is its file system mounted? "
                "A new store needs an empty folder"
            ) from exc
        except OSError as exc:
            raise PayloadStoreUnavailable(
                f"can't {verb} payloads in {self._path} now: {exc.strerror or type(exc).__name__}"
            ) from exc


def _read(place: Path, longest: int = MAX_PAYLOAD_BYTES) -> bytes | None:
    """The bytes of a file; None if it can be no payload (a link, a folder, too long)."""
    try:
        fd = os.open(place, _READ)
    except OSError as exc:
        if exc.errno in (errno.ELOOP, errno.EMLINK, errno.ENXIO):
            return None
        raise
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_size > longest:
            return None
        with os.fdopen(fd, "rb", closefd=False) as file:
            return file.read(longest)
    finally:
        os.close(fd)


def _holds(place: Path, digest: Digest) -> bool:
    """Whether the payload is there already; its bytes are durable then."""
    try:
        data = _read(place)
    except FileNotFoundError:
        return False
    if data is None or hashlib.sha256(data).digest() != digest:
        return False
    fd = os.open(place, _READ)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    return True
