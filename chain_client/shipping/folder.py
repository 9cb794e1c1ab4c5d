"""``folder:<path>``: a folder that the worker and the receiving relay both reach.

A mounted network file system, a volume, or a folder that something else carries away. Nothing of it
needs locks. It needs that a renamed folder is there whole or not at all, as POSIX says.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from chain_client.errors import NotInTime, ShippingUnavailable, SpoolUnavailable
from chain_client.mounts import WITHOUT_FOLDERS, find_file_system
from chain_client.shipping.base import IsOver, Shipment
from chain_client.shipping.manifest import MANIFEST_NAME, Manifest, Segment, staged_name
from chain_client.steps import step

_CHUNK_BYTES = 256 * 1024
_PART = ".part"


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
        manifest = _read_manifest(shipment, is_over)
        with self._errors():
            mode = (self._path.stat().st_mode & 0o770) | 0o700
            target = self._path / shipment.source_id.hex()
            if not self._is_there(target, manifest):
                staged = self._stage(shipment, manifest, mode, is_over)
                self._publish(staged, target, manifest)
            _sync(self._path)
        step("shipping.published")

    def _stage(self, shipment: Shipment, manifest: Manifest, mode: int, is_over: IsOver) -> Path:
        staged = self._path / staged_name(manifest)
        staged.mkdir(exist_ok=True)
        staged.chmod(mode)
        step("shipping.begun")
        for segment in shipment.segments:
            place = staged / segment.name
            if not _is_equal(place, manifest.segments[segment.name], is_over):
                with _reading(segment):
                    source = segment.open("rb")
                with source:
                    _write(place, _chunks(source.fileno(), is_over), mode)
        _write(staged / MANIFEST_NAME, iter([manifest.to_bytes()]), mode)
        # What was there before, or was written anew, is seen to be what was to be shipped.
        for name, wanted in manifest.segments.items():
            if not _is_equal(staged / name, wanted, is_over):
                raise ShippingUnavailable(f"the destination does not keep what is written: {name}")
        _sync(staged)
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

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise ShippingUnavailable(
                f"{self._path} does not take what is shipped: {exc.strerror or exc}"
            ) from exc


def _read_manifest(shipment: Shipment, is_over: IsOver) -> Manifest:
    segments = {}
    for path in shipment.segments:
        with _reading(path), path.open("rb") as file:
            segments[path.name] = _digest(_chunks(file.fileno(), is_over))
    return Manifest(shipment.source_id, segments)


def _is_equal(path: Path, wanted: Segment, is_over: IsOver) -> bool:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != wanted.size_bytes:
                return False
            return _digest(_chunks(file.fileno(), is_over)) == wanted
    except FileNotFoundError:
        return False


def _digest(chunks: Iterator[bytes]) -> Segment:
    hashed, size_bytes = hashlib.sha256(), 0
    for chunk in chunks:
        hashed.update(chunk)
        size_bytes += len(chunk)
    return Segment(size_bytes, hashed.hexdigest())


def _chunks(fd: int, is_over: IsOver) -> Iterator[bytes]:
    offset = 0
    while True:
        if is_over():
            raise NotInTime("the time for shipping is over")
        chunk = os.pread(fd, _CHUNK_BYTES, offset)
        if not chunk:
            return
        yield chunk
        offset += len(chunk)


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


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise SpoolUnavailable(f"can't read the spool: {exc.strerror} ({path})") from exc
