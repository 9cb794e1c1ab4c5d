"""Whether a source that was handed over arrived whole."""

from __future__ import annotations

import hashlib
import os

from chain_client.errors import DamagedParcel, SpoolUnavailable
from chain_client.log import Log
from chain_client.owners import find_opening
from chain_client.relay.lineage import GIVING
from chain_client.shipping.manifest import MANIFEST_NAME, Manifest, Segment
from chain_client.spool import Position, SourceReader
from chain_client.spool.opening import NotPlainError, find_odd, open_plain_file
from chain_client.spool.reader import SEGMENT_NAME
from chain_client.steps import step

_READ_BYTES = 1 << 20
_MOST_BYTES = 1 << 30
"""No segment is longer: a relay reads damage whole, and whoever may write here is not believed."""
_MOST_PARCEL_BYTES = 1 << 34
"""Empty files of any length cost whoever puts them here nothing, and a relay their reading."""
_MOST_LIST_BYTES = 1 << 24


def check_parcel(reader: SourceReader, log: Log, *, is_new: bool) -> None:
    """See that a source that was handed over is what was sent, frame by frame and without a gap.

    A folder that was put here by hand, without the list of what was sent, is looked at as well.

    Args:
        reader: the source.
        log: may hold the beginning of a source that arrives without it.
        is_new: the log has not met it, so it must say itself whose it is.

    Raises:
        DamagedParcel: it is not; the text says what is wrong.
        SchemaTooNew: a later version wrote it.
        SpoolUnavailable: it can't be read now.
    """
    try:
        _check_files(reader)
    except FileNotFoundError as exc:
        raise DamagedParcel(reader.source_id, "a segment is missing") from exc
    except NotPlainError as exc:
        raise DamagedParcel(reader.source_id, str(exc.strerror)) from exc
    except OSError as exc:
        raise SpoolUnavailable(f"can't read what was handed over: {exc.strerror}") from exc
    _check_frames(reader, log)
    if is_new and not isinstance(find_opening(reader).get("deployment"), str):
        raise DamagedParcel(reader.source_id, "its first record names no deployment")
    step("relay.parcel.checked")


def check_plain(reader: SourceReader) -> None:
    """See that a source that was handed over is a folder of plain files, before any is opened.

    Raises:
        DamagedParcel: it is not: whoever put it there would lead a relay elsewhere, or stop it.
        SpoolUnavailable: it can't be looked at now.
    """
    try:
        odd = find_odd(reader.directory, at_most_bytes=_MOST_BYTES, in_all_bytes=_MOST_PARCEL_BYTES)
    except OSError as exc:
        raise SpoolUnavailable(f"can't read what was handed over: {exc.strerror}") from exc
    if odd is not None:
        raise DamagedParcel(reader.source_id, odd)


def _check_files(reader: SourceReader) -> None:
    try:
        with open_plain_file(reader.directory / MANIFEST_NAME) as file:
            data = file.read(_MOST_LIST_BYTES)
    except FileNotFoundError:
        return
    try:
        manifest = Manifest.from_bytes(data)
    except ValueError as exc:
        raise DamagedParcel(reader.source_id, "the list of its segments is damaged") from exc
    if manifest.source_id != reader.source_id:
        raise DamagedParcel(reader.source_id, "the list of its segments is another source's")
    for name, wanted in manifest.segments.items():
        if not SEGMENT_NAME.fullmatch(name):
            raise DamagedParcel(reader.source_id, "the list of its segments is damaged")
        with open_plain_file(reader.directory / name) as file:
            if os.fstat(file.fileno()).st_size != wanted.size_bytes:
                raise DamagedParcel(reader.source_id, f"{name} is not what was sent")
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            found = Segment(file.tell(), digest)
        if found != wanted:
            raise DamagedParcel(reader.source_id, f"{name} is not what was sent")


def _check_frames(reader: SourceReader, log: Log) -> None:
    position, next_sequence = Position(0, 0), None
    while True:
        read = reader.read(position, _READ_BYTES)
        if read.corruptions:
            found = read.corruptions[0]
            place = f"segment {found.segment}, byte {found.offset}"
            raise DamagedParcel(reader.source_id, f"{found.reason} ({place})")
        given = [record.sequence for record in read.records if record.kind in GIVING]
        if given and next_sequence is None:
            next_sequence = given[0]
            if next_sequence > 0 and next_sequence - 1 not in log.known(
                reader.source_id, [next_sequence - 1]
            ):
                raise DamagedParcel(reader.source_id, f"its events before {given[0]} are missing")
        for sequence in given:
            if sequence != next_sequence:
                raise DamagedParcel(reader.source_id, f"its event {next_sequence} is missing")
            next_sequence += 1
        if read.next == position:
            break
        position = read.next
    if next_sequence is None:
        raise DamagedParcel(reader.source_id, "it holds no event")
