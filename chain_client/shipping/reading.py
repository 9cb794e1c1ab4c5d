"""Reading a source that is to be shipped."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from chain_client.errors import NotInTime, SpoolUnavailable
from chain_client.shipping.base import IsOver, Shipment
from chain_client.shipping.manifest import Manifest, Segment

_CHUNK_BYTES = 256 * 1024


def read_manifest(shipment: Shipment, is_over: IsOver) -> Manifest:
    """Read all of a source, and say what it is.

    Raises:
        NotInTime: the time was over before.
        SpoolUnavailable: it can't be read.
    """
    segments = {}
    for path in shipment.segments:
        with reading(path), path.open("rb") as file:
            segments[path.name] = digest_of(chunks(file.fileno(), is_over))
    return Manifest(shipment.source_id, segments)


def digest_of(parts: Iterator[bytes]) -> Segment:
    """Size and hash of bytes."""
    hashed, size_bytes = hashlib.sha256(), 0
    for part in parts:
        hashed.update(part)
        size_bytes += len(part)
    return Segment(size_bytes, hashed.hexdigest())


def chunks(fd: int, is_over: IsOver) -> Iterator[bytes]:
    """A file's bytes, in pieces between which the time is asked for.

    Raises:
        NotInTime: it is over.
    """
    offset = 0
    while True:
        if is_over():
            raise NotInTime("the time for shipping is over")
        chunk = os.pread(fd, _CHUNK_BYTES, offset)
        if not chunk:
            return
        yield chunk
        offset += len(chunk)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Let no OSError out."""
    try:
        yield
    except OSError as exc:
        raise SpoolUnavailable(f"can't read the spool: {exc.strerror} ({path})") from exc
