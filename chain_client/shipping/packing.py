"""A source as one object, for stores where an object appears whole or not at all.

A line that names the format and the length of the manifest, the manifest, and the segments in the
order of their names. So nobody meets a manifest without its segments, whatever is put and removed
at the same time, by whomever.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

from chain_client.errors import DamagedParcel, NotInTime, SpoolUnavailable
from chain_client.shipping.arriving import MOST_MANIFEST_BYTES
from chain_client.shipping.base import IsOver, Parcel, Shipment
from chain_client.shipping.manifest import Manifest
from chain_client.shipping.reading import reading

_HEAD = b"mlops-chain parcel 1 %010d\n"
_HEAD_BYTES = len(_HEAD % 0)
_IS_HEAD = re.compile(rb"mlops-chain parcel 1 ([0-9]{10})\n")
_CHUNK_BYTES = 256 * 1024


class ByteStream(Protocol):
    """Bytes that arrive one after the other."""

    def read(self, size: int, /) -> bytes:
        """At most so many, none only at the end."""

    def close(self) -> None:
        """End it."""


class OpenAt(Protocol):
    """Opens an object's bytes from an offset on."""

    def __call__(self, offset: int, /) -> ByteStream:
        """The bytes from there to the end."""


def pack_head(manifest: Manifest) -> bytes:
    """What comes before the segments."""
    data = manifest.to_bytes()
    return _HEAD % len(data) + data


class PackedSource:
    """What a shipment is as one object; its bytes are read where they are wanted.

    Args:
        shipment: the source.
        manifest: of it.
    """

    def __init__(self, shipment: Shipment, manifest: Manifest) -> None:
        self._head = pack_head(manifest)
        paths = {path.name: path for path in shipment.segments}
        self._files = [
            (paths[name], manifest.segments[name].size_bytes) for name in sorted(manifest.segments)
        ]
        self.size_bytes = len(self._head) + sum(size for _, size in self._files)

    def read(self, offset: int, size: int, is_over: IsOver) -> bytes:
        """So many bytes from there on; fewer only at the end.

        Raises:
            NotInTime: the time was over before.
            SpoolUnavailable: the source can't be read, or has changed.
        """
        found = bytearray(self._head[offset : offset + size])
        start = len(self._head)
        for path, file_size in self._files:
            first = max(offset + len(found) - start, 0)
            wanted = min(size - len(found), file_size - first)
            if wanted > 0:
                with reading(path), path.open("rb") as file:
                    file.seek(first)
                    _read_into(found, file, wanted, is_over)
            start += file_size
        if len(found) != max(0, min(size, self.size_bytes - offset)):
            raise SpoolUnavailable("the spool has changed while it was shipped")
        return bytes(found)


class PackedReader:
    """Reads a packed parcel in one go, or from the first segment on that is asked for.

    Args:
        parcel: which is expected.
        open_at: opens it.
    """

    def __init__(self, parcel: Parcel, open_at: OpenAt) -> None:
        self._parcel = parcel
        self._open_at = open_at
        self._stream: ByteStream | None = None
        self._offset = 0

    def read_manifest(self) -> bytes:
        """The manifest's bytes, whatever they are.

        Raises:
            DamagedParcel: there are none, or too many.
        """
        found = _IS_HEAD.fullmatch(self._take(0, _HEAD_BYTES))
        if found is None or int(found[1]) > MOST_MANIFEST_BYTES:
            raise DamagedParcel(self._parcel.source_id, "it does not begin as one that was sent")
        return self._take(_HEAD_BYTES, int(found[1]))

    def read_segment(self, manifest: Manifest, name: str) -> Iterator[bytes]:
        """A segment's bytes, as far as they are there."""
        offset = len(pack_head(manifest))
        for other in sorted(manifest.segments):
            if other == name:
                break
            offset += manifest.segments[other].size_bytes
        left = manifest.segments[name].size_bytes
        while left > 0:
            chunk = self._read(offset, min(left, _CHUNK_BYTES))
            if not chunk:
                return
            offset += len(chunk)
            left -= len(chunk)
            yield chunk

    def close(self) -> None:
        """End the stream, if there is one."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _take(self, offset: int, size: int) -> bytes:
        """So many bytes, or as many as are there."""
        found = bytearray()
        while len(found) < size:
            chunk = self._read(offset + len(found), size - len(found))
            if not chunk:
                break
            found += chunk
        return bytes(found)

    def _read(self, offset: int, size: int) -> bytes:
        if self._stream is None or self._offset != offset:
            self.close()
            self._stream, self._offset = self._open_at(offset), offset
        chunk = self._stream.read(size)
        self._offset += len(chunk)
        return chunk


def _read_into(found: bytearray, file: ByteStream, size: int, is_over: IsOver) -> None:
    while size > 0:
        if is_over():
            raise NotInTime("the time for shipping is over")
        chunk = file.read(min(size, _CHUNK_BYTES))
        if not chunk:
            return
        found += chunk
        size -= len(chunk)
