"""The bytes of a spool: segment header and frames. Pure; files are `journal` and `reader`.

All integers are little-endian.

Segment header, 44 bytes::

    magic 8 | version u16 | zero u16 | source id 16 | segment u32 | first sequence u64 | crc32 u32

Frame, 28 bytes and the body::

    magic 2 | kind u8 | check u8 | length u32 | crc32 u32 | sequence u64 | mark u64 | body

``crc32`` covers kind, length, sequence, mark and body, and starts from a seed made of the source
id and the segment number, so that a frame copied from elsewhere is never valid. ``check`` is the
low byte of the checksum of kind and length alone: it tells a frame whose end is not there yet
from one whose length was damaged. The frame's magic holds 0xFF, which no UTF-8 text contains.

Behind the last frame there may be zeros, which its owner wrote to have room for the next ones. So
a frame should end in another byte: then one that was damaged is told from one that is torn, of
which zeros follow what was written.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple
from zlib import crc32

from chain_client.errors import InvalidInput, SchemaTooNew
from chain_client.types import SourceId

SEGMENT_MAGIC = b"mlcspool"
VERSION = 1
FRAME_MAGIC = b"\xff\xc5"
MAX_BODY_BYTES = 64 * 1024 * 1024
"""Longest body of a frame; a longer length is damage."""

ABORT_BODY = b"aborted"

_HEADER = struct.Struct("<8sHH16sIQ")
_CRC = struct.Struct("<I")
_FRAME = struct.Struct("<2sBBIIQQ")
_FRONT = struct.Struct("<2sBBII")
_BACK = struct.Struct("<QQ")
_CHECKED = struct.Struct("<BI")
_SEED = struct.Struct("<16sI")

HEADER_BYTES = _HEADER.size + _CRC.size
FRAME_BYTES = _FRAME.size
_BACK_OFFSET = _FRONT.size


class Kind(IntEnum):
    """What a frame says."""

    INTENT = 1
    """A call of the host is about to be made. Takes the next sequence."""
    OUTCOME = 2
    """How the call of the intent with this sequence ended."""
    NOTE = 3
    """An event that needs no bracket. Takes the next sequence."""
    ABORT = 4
    """`SpoolWriter.append_intent` raised after the intent with this sequence was written: its
    caller was told that nothing is recorded."""


class Position(NamedTuple):
    """A place in a source; ``Position(0, 0)`` is its beginning. Positions are ordered."""

    segment: int
    offset: int


class Record(NamedTuple):
    """One whole frame.

    Args:
        kind: what it says.
        sequence: number of the event in its source.
        mark: of an outcome or a note, how many sequences the source had given once it was
            written (`Timing.settled_at`); 0 of an intent.
        body: bytes as the recorder gave them.
        position: where it begins.
        end: where the next one begins.
    """

    kind: Kind
    sequence: int
    mark: int
    body: bytes
    position: Position
    end: Position


@dataclass(frozen=True, slots=True)
class Corruption:
    """A range of a segment that holds no valid frame.

    Args:
        segment: number of the segment.
        offset: first damaged byte in it.
        length: number of bytes that were passed over.
        reason: what is wrong with them.
    """

    segment: int
    offset: int
    length: int
    reason: str


class Frame(NamedTuple):
    """A valid frame within a buffer; ``end`` is the offset behind it."""

    kind: Kind
    sequence: int
    mark: int
    body: bytes
    end: int


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The buffer ends within a frame that is sound so far.

    Args:
        needed_bytes: bytes from the frame's begin that are needed to know more.
    """

    needed_bytes: int


def frame_seed(source_id: SourceId, segment: int) -> int:
    """The value from which the checksums of a segment's frames start."""
    return crc32(_SEED.pack(source_id, segment))


def encode_header(source_id: SourceId, segment: int, first_sequence: int) -> bytes:
    """The bytes with which a segment begins."""
    header = _HEADER.pack(SEGMENT_MAGIC, VERSION, 0, source_id, segment, first_sequence)
    return header + _CRC.pack(crc32(header))


def check_header(data: bytes, source_id: SourceId, segment: int) -> str | None:
    """Why a segment's header is not valid, or None if it is.

    Raises:
        SchemaTooNew: it is sound, and of a later version.
    """
    header, (checksum,) = data[: _HEADER.size], _CRC.unpack_from(data, _HEADER.size)
    if not header.startswith(SEGMENT_MAGIC) or crc32(header) != checksum:
        return "segment header is damaged"
    _, version, _, found_id, found_segment, _ = _HEADER.unpack(header)
    if version > VERSION:
        raise SchemaTooNew(
            f"the spool was written in version {version}; this mlops-chain reads {VERSION}: "
            "upgrade it"
        )
    if (found_id, found_segment) != (source_id, segment):
        return "segment belongs to another source or place"
    return None


def encode_frame(kind: int, sequence: int, mark: int, body: bytes, seed: int) -> bytes:
    """The bytes of a frame.

    Raises:
        InvalidInput: the body is longer than `MAX_BODY_BYTES`.
    """
    length = len(body)
    if length > MAX_BODY_BYTES:
        raise InvalidInput(f"a spool record holds at most {MAX_BODY_BYTES} bytes, got {length}")
    front = crc32(_CHECKED.pack(kind, length), seed)
    back = _BACK.pack(sequence, mark) + body
    return _FRONT.pack(FRAME_MAGIC, kind, front & 0xFF, length, crc32(back, front)) + back


def decode_frame(data: memoryview, offset: int, seed: int) -> Frame | Unfinished | None:
    """The frame that begins at ``offset``, or None if those bytes are damaged."""
    available = len(data) - offset
    if available < FRAME_BYTES:
        magic = bytes(data[offset : offset + len(FRAME_MAGIC)])
        return Unfinished(FRAME_BYTES) if FRAME_MAGIC.startswith(magic) else None
    magic, kind, check, length, checksum, sequence, mark = _FRAME.unpack_from(data, offset)
    if magic != FRAME_MAGIC:
        return None
    front = crc32(_CHECKED.pack(kind, length), seed)
    if check != front & 0xFF or length > MAX_BODY_BYTES:
        return None
    if available < FRAME_BYTES + length:
        return Unfinished(FRAME_BYTES + length)
    end = offset + FRAME_BYTES + length
    if crc32(data[offset + _BACK_OFFSET : end], front) != checksum:
        return None
    try:
        known = _KINDS[kind]
    except KeyError:
        return None
    return Frame(known, sequence, mark, bytes(data[offset + FRAME_BYTES : end]), end)


def find_frame(data: bytes, offset: int, seed: int) -> int | None:
    """Where the next valid frame begins, at or behind ``offset``; None if there is none."""
    view = memoryview(data)
    at = data.find(FRAME_MAGIC, offset)
    while at >= 0:
        if isinstance(decode_frame(view, at, seed), Frame):
            return at
        at = data.find(FRAME_MAGIC, at + 1)
    return None


_KINDS = {int(kind): kind for kind in Kind}
