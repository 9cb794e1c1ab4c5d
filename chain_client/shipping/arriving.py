"""Taking a parcel from elsewhere into a folder of this machine, whole or not at all.

It is staged beside its place under a name that its digest determines. Then a note of it is made
durable, and it gets its place by one renaming. While the note is there, and neither the staged
folder nor the place, somebody has taken the parcel from its place: it is in hand no more.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from chain_client.errors import DamagedParcel, NotInTime, SpoolUnavailable
from chain_client.shipping.base import IsOver, Parcel
from chain_client.shipping.manifest import MANIFEST_NAME, Manifest, Segment
from chain_client.spool.opening import open_plain_file, remove_folder, write_into
from chain_client.spool.reader import SEGMENT_NAME
from chain_client.steps import step
from chain_client.synced_folders import sync_folder
from chain_client.types import SourceId

MOST_SEGMENT_BYTES = 1 << 30
"""No segment is longer: a relay reads damage whole, and whoever may write there is not believed."""
MOST_PARCEL_BYTES = 1 << 34
"""Segments of a parcel together."""
MOST_MANIFEST_BYTES = 1 << 24

_STAGED_PREFIX = ".fetching-"
_NOTES = ".fetched"
_NAME = re.compile(r"([0-9a-f]{32})-([0-9a-f]{64})")
_CHUNK_BYTES = 256 * 1024

ReadManifest = Callable[[], bytes]
ReadSegment = Callable[[Manifest, str], Iterator[bytes]]


def name_of(parcel: Parcel) -> str:
    """A name that no other parcel has: the source in hex, a hyphen, and the digest."""
    return f"{parcel.source_id.hex()}-{parcel.digest}"


def find_parcel(name: str) -> Parcel | None:
    """The inverse of `name_of`; None if it is no such name."""
    found = _NAME.fullmatch(name)
    return None if found is None else Parcel(SourceId(bytes.fromhex(found[1])), found[2])


def take_in(
    parcel: Parcel,
    folder: Path,
    read_manifest: ReadManifest,
    read_segment: ReadSegment,
    is_over: IsOver,
) -> None:
    """Bring a parcel into a folder; see `chain_client.shipping.base.Receiver.fetch`.

    Segments that an earlier call has brought whole are not asked for again. Nothing is asked for
    that is larger than a source can be, and no more of it is written than its manifest says.

    Args:
        parcel: which.
        folder: into which.
        read_manifest: gives the bytes of its manifest, at most `MOST_MANIFEST_BYTES` and one.
        read_segment: gives the bytes of a segment; asked in the order of their names.
        is_over: whether the time for it is over.

    Raises:
        DamagedParcel: what is given is not what the digest says.
        NotInTime: the time was over before.
        SpoolUnavailable: the folder can't be written.
        ShippingUnavailable: as the two callables raise it.
    """
    staged = folder / f"{_STAGED_PREFIX}{name_of(parcel)}"
    with _disk_errors():
        staged.mkdir(mode=0o700, exist_ok=True)
    step("receiving.begun")
    try:
        manifest = _manifest(parcel, staged, read_manifest)
        for name in sorted(manifest.segments):
            wanted = manifest.segments[name]
            if not _is_there(staged / name, wanted, is_over):
                chunks = _checked(parcel, name, wanted, read_segment(manifest, name), is_over)
                _write(staged / name, chunks)
    except DamagedParcel:
        with contextlib.suppress(OSError):
            remove_folder(staged)
        raise
    with _disk_errors():
        sync_folder(staged)
        write_into(folder / _NOTES, name_of(parcel), b"")
        sync_folder(folder)
        step("receiving.before_publish")
        staged.rename(folder / parcel.source_id.hex())
        sync_folder(folder)
    step("receiving.published")


def is_in_hand(parcel: Parcel, folder: Path) -> bool:
    """Whether a folder holds the source of a parcel, taken from there or by another way."""
    with _disk_errors():
        return os.path.lexists(folder / parcel.source_id.hex())


def is_noted(parcel: Parcel, folder: Path) -> bool:
    """Whether a parcel was taken into a folder, and not forgotten since."""
    with _disk_errors():
        return (folder / _NOTES / name_of(parcel)).exists()


def is_staged(parcel: Parcel, folder: Path) -> bool:
    """Whether a parcel was begun to be taken in, and has not got its place."""
    with _disk_errors():
        return os.path.lexists(folder / f"{_STAGED_PREFIX}{name_of(parcel)}")


def taken_from(folder: Path) -> list[Parcel]:
    """Parcels that were taken in here, and that somebody has taken from their place since."""
    with _disk_errors():
        try:
            names = sorted(path.name for path in (folder / _NOTES).iterdir())
        except FileNotFoundError:
            return []
        noted = [parcel for name in names if (parcel := find_parcel(name)) is not None]
        return [
            parcel
            for parcel in noted
            if not os.path.lexists(folder / parcel.source_id.hex())
            and not os.path.lexists(folder / f"{_STAGED_PREFIX}{name_of(parcel)}")
        ]


def forget(parcel: Parcel, folder: Path) -> None:
    """End the note of a parcel."""
    with _disk_errors():
        (folder / _NOTES / name_of(parcel)).unlink(missing_ok=True)


def clear_staged(folder: Path, wanted: Callable[[Parcel], bool]) -> None:
    """Remove what was begun of parcels that are not wanted any more."""
    with _disk_errors():
        for staged in folder.glob(f"{_STAGED_PREFIX}*"):
            parcel = find_parcel(staged.name.removeprefix(_STAGED_PREFIX))
            if parcel is None or not wanted(parcel):
                with contextlib.suppress(OSError):
                    remove_folder(staged)


def _manifest(parcel: Parcel, staged: Path, read_manifest: ReadManifest) -> Manifest:
    place, data = staged / MANIFEST_NAME, b""
    with contextlib.suppress(OSError), open_plain_file(place) as file:
        data = file.read(MOST_MANIFEST_BYTES)
    is_there = hashlib.sha256(data).hexdigest() == parcel.digest
    if not is_there:
        data = read_manifest()
    manifest = check_manifest(parcel, data)
    if not is_there:
        _write(place, iter([data]))
    return manifest


def check_manifest(parcel: Parcel, data: bytes) -> Manifest:
    """What a manifest says that came from elsewhere.

    Raises:
        DamagedParcel: it is not the parcel's, or names what can't be a segment.
    """
    if len(data) > MOST_MANIFEST_BYTES:
        raise DamagedParcel(parcel.source_id, "the list of its segments is too long")
    if hashlib.sha256(data).hexdigest() != parcel.digest:
        raise DamagedParcel(parcel.source_id, "the list of its segments is not what was sent")
    try:
        manifest = Manifest.from_bytes(data)
    except ValueError as exc:
        raise DamagedParcel(parcel.source_id, "the list of its segments is damaged") from exc
    if manifest.source_id != parcel.source_id:
        raise DamagedParcel(parcel.source_id, "the list of its segments is another source's")
    for name, segment in manifest.segments.items():
        if not SEGMENT_NAME.fullmatch(name) or len(name) > 30 or segment.size_bytes < 0:
            raise DamagedParcel(parcel.source_id, "the list of its segments is damaged")
        if segment.size_bytes > MOST_SEGMENT_BYTES:
            raise DamagedParcel(parcel.source_id, f"{name} has {segment.size_bytes:,} bytes")
    if sum(segment.size_bytes for segment in manifest.segments.values()) > MOST_PARCEL_BYTES:
        raise DamagedParcel(parcel.source_id, f"it has more than {MOST_PARCEL_BYTES:,} bytes")
    return manifest


def _checked(
    parcel: Parcel, name: str, wanted: Segment, chunks: Iterator[bytes], is_over: IsOver
) -> Iterator[bytes]:
    """The same bytes, as long as they can be what is wanted."""
    hashed, left = hashlib.sha256(), wanted.size_bytes
    while True:
        if is_over():
            raise NotInTime("the time for fetching is over")
        chunk = next(chunks, b"")
        if not chunk:
            break
        left -= len(chunk)
        if left < 0:
            break
        hashed.update(chunk)
        yield chunk
    if left != 0 or hashed.hexdigest() != wanted.sha256:
        raise DamagedParcel(parcel.source_id, f"{name} is not what was sent")


def _is_there(place: Path, wanted: Segment, is_over: IsOver) -> bool:
    try:
        with open_plain_file(place) as file:
            if os.fstat(file.fileno()).st_size != wanted.size_bytes:
                return False
            hashed = hashlib.sha256()
            while chunk := file.read(_CHUNK_BYTES):
                if is_over():
                    raise NotInTime("the time for fetching is over")
                hashed.update(chunk)
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise SpoolUnavailable(f"can't read what was fetched: {exc.strerror}") from exc
    return hashed.hexdigest() == wanted.sha256


def _write(place: Path, chunks: Iterator[bytes]) -> None:
    """Write a file durably, whole or not at all. A disk that is full gets its room back."""
    part = place.with_name(f"{place.name}.part")
    try:
        with _disk_errors(), part.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
            part.replace(place)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    step("receiving.segment.written")


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        said = exc.strerror or type(exc).__name__
        raise SpoolUnavailable(f"can't write what is fetched into the inbox: {said}") from exc
