"""``folder:<path>``: a folder that the worker and the receiving relay both reach.

A mounted network file system, a volume, or a folder that something else carries away. Nothing of it
needs locks. It needs that a renamed folder is there whole or not at all, as POSIX says.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from chain_client.errors import ShippingUnavailable, SpoolUnavailable
from chain_client.mounts import WITHOUT_FOLDERS, find_file_system
from chain_client.shipping.arriving import MOST_MANIFEST_BYTES, take_in
from chain_client.shipping.base import IsOver, Parcel, Shipment, Unfinished
from chain_client.shipping.manifest import (
    MANIFEST_NAME,
    STAGED_PREFIX,
    Manifest,
    Segment,
    staged_name,
)
from chain_client.shipping.reading import chunks, digest_of, read_manifest, reading
from chain_client.spool import list_sources, remove_taken
from chain_client.spool.opening import NotPlainError, open_plain_file, remove_folder
from chain_client.spool.reader import TAKEN_PREFIX
from chain_client.steps import step
from chain_client.synced_folders import sync_folder
from chain_client.types import SourceId

_PART = ".part"
_STAGED = re.compile(re.escape(STAGED_PREFIX) + r"([0-9a-f]{32})-[0-9a-f]{16}")


class FolderShipper:
    """Brings sources into a folder, each as a folder of its own.

    A source is built under a temporary name that its content determines: each segment is written
    beside its place, synced and renamed into it, and at last the folder is renamed to the
    source's id. So a copy that was broken off is gone on with, and two that run at once meet.

    The files are as open to group members as the folder itself is; never to others.

    Args:
        uri: as it was configured.
        path: the folder. It is not made: a mount that is missing must not look like one that is
            empty.
    """

    def __init__(self, uri: str, path: Path) -> None:
        self.uri = uri
        self._path = path

    def ship(self, shipment: Shipment, is_over: IsOver) -> None:
        """As `Shipper.ship`."""
        file_system = find_file_system(self._path)
        if file_system in WITHOUT_FOLDERS:
            raise ShippingUnavailable(
                f"{self._path} is on {file_system}, where a renamed folder is not whole at once; "
                "nothing is handed over there"
            )
        manifest = read_manifest(shipment, is_over)
        with self._errors():
            mode = (self._path.stat().st_mode & 0o770) | 0o700
            target = self._path / shipment.source_id.hex()
            if not self._is_there(target, manifest):
                staged = self._stage(shipment, manifest, mode, is_over)
                self._publish(staged, target, manifest)
            sync_folder(self._path)
        step("shipping.published")

    def _stage(self, shipment: Shipment, manifest: Manifest, mode: int, is_over: IsOver) -> Path:
        staged = self._path / staged_name(manifest)
        staged.mkdir(exist_ok=True)
        staged.chmod(mode)
        step("shipping.begun")
        for segment in shipment.segments:
            place = staged / segment.name
            if not _is_equal(place, manifest.segments[segment.name], is_over):
                with reading(segment):
                    source = segment.open("rb")
                with source:
                    _write(place, chunks(source.fileno(), is_over), mode)
        _write(staged / MANIFEST_NAME, iter([manifest.to_bytes()]), mode)
        # What was there before, or was written anew, is seen to be what was to be shipped.
        for name, wanted in manifest.segments.items():
            if not _is_equal(staged / name, wanted, is_over):
                raise ShippingUnavailable(f"the destination does not keep what is written: {name}")
        sync_folder(staged)
        return staged

    def _publish(self, staged: Path, target: Path, manifest: Manifest) -> None:
        step("shipping.before_publish")
        try:
            staged.rename(target)
        except OSError:
            # Another process that ships the same has just been faster.
            if not self._is_there(target, manifest):
                raise

    def _is_there(self, target: Path, manifest: Manifest) -> bool:
        """Whether the very same source is at the destination already.

        Raises:
            ShippingUnavailable: another one is, under the same id.
        """
        try:
            found = (target / MANIFEST_NAME).read_bytes()
        except FileNotFoundError:
            if not target.exists():
                return False
            found = b""
        if found != manifest.to_bytes():
            raise ShippingUnavailable(
                f"the destination holds source {target.name} with another content, or is just "
                "taking it; it is shipped again when that one was taken"
            )
        return True

    def arrived(self) -> Iterator[Parcel]:
        """As `Receiver.arrived`. A source without the list of what was sent is none."""
        with self._errors("does not show what arrived"):
            self._path.stat()  # a mount that is missing is not an empty one
            try:
                remove_taken(self._path)
                sources = list_sources(self._path)
            except SpoolUnavailable as exc:
                raise ShippingUnavailable(str(exc)) from exc
            for source in sources:
                data = _read_list(source.directory)
                if data is not None:
                    yield Parcel(source.source_id, hashlib.sha256(data).hexdigest())

    def unfinished(self) -> Iterator[Unfinished]:
        """As `Receiver.unfinished`."""
        with self._errors("does not show what arrived"):
            self._path.stat()
            yield from list_unfinished(self._path)

    def fetch(self, parcel: Parcel, folder: Path, is_over: IsOver) -> None:
        """As `Receiver.fetch`."""
        source = self._path / parcel.source_id.hex()

        def read_list() -> bytes:
            data = _read_list(source)
            if data is None:
                raise ShippingUnavailable(f"source {source.name} is there no more")
            return data

        def read_segment(_: Manifest, name: str) -> Iterator[bytes]:
            with self._errors("does not give what arrived"), open_plain_file(source / name) as file:
                yield from chunks(file.fileno(), is_over)

        take_in(parcel, folder, read_list, read_segment, is_over)

    def remove(self, parcel: Parcel) -> None:
        """As `Receiver.remove`."""
        source = self._path / parcel.source_id.hex()
        taken = source.with_name(f"{TAKEN_PREFIX}{source.name}")
        with self._errors("does not let go of what arrived"):
            self._path.stat()
            data = _read_list(source)
            if data is None or hashlib.sha256(data).hexdigest() != parcel.digest:
                return
            remove_folder(taken)
            with contextlib.suppress(FileNotFoundError):
                source.rename(taken)
            sync_folder(self._path)
            remove_folder(taken)

    @contextlib.contextmanager
    def _errors(self, what: str = "does not take what is shipped") -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise ShippingUnavailable(f"{self._path} {what}: {exc.strerror or exc}") from exc


def list_unfinished(folder: Path) -> Iterator[Unfinished]:
    """Sources that somebody began to bring into a folder, and that are not there whole.

    Raises:
        OSError: the folder can't be read.
    """
    for staged in folder.glob(f"{STAGED_PREFIX}*"):
        name = _STAGED.fullmatch(staged.name)
        sizes = None if name is None else _sizes(staged)
        if name is not None and sizes is not None:
            yield Unfinished(SourceId(bytes.fromhex(name[1])), repr(sizes), len(sizes))


def _sizes(folder: Path) -> list[tuple[str, int]] | None:
    """Names and sizes of a shipment's files; None if it is there no more, or its sender goes on.

    Others may write here: what is no folder does not grow, and where a link leads nobody looks.
    """
    try:
        if not stat.S_ISDIR(folder.lstat().st_mode):
            return []
        return sorted((file.name, file.lstat().st_size) for file in folder.iterdir())
    except FileNotFoundError:
        return None
    except OSError:
        return []


def _read_list(source: Path) -> bytes | None:
    """The list of a source's segments; None if there is no such source, or no list."""
    try:
        if not stat.S_ISDIR(source.lstat().st_mode):
            return None
        with open_plain_file(source / MANIFEST_NAME) as file:
            return file.read(MOST_MANIFEST_BYTES + 1)
    except (FileNotFoundError, NotPlainError):
        return None


def _is_equal(path: Path, wanted: Segment, is_over: IsOver) -> bool:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != wanted.size_bytes:
                return False
            return digest_of(chunks(file.fileno(), is_over)) == wanted
    except FileNotFoundError:
        return False


def _write(place: Path, chunks: Iterator[bytes], mode: int) -> None:
    """Write a file durably, whole or not at all."""
    part = place.with_name(place.name + _PART)
    try:
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as file:
            os.fchmod(fd, mode & 0o660)
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(fd)
    except BaseException:
        # A disk that is full gets its room back.
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    step("shipping.segment.written")
    part.replace(place)
    step("shipping.segment.named")
