"""Events that a payload store keeps: put there before their rows, fetched with them.

A row then has, in place of the event, its beginning (which queries look at), and of the object
digest and size. What an object is: `chain_client.payloads.encryption`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from chain_client.errors import (
    ConfigurationError,
    InvalidInput,
    PayloadDamaged,
    PayloadMissing,
    PayloadStoreUnavailable,
    PayloadsUnavailable,
)
from chain_client.event_codec import TYPE_AT
from chain_client.log.at_once import at_once
from chain_client.log.model import Entry, Fault, NewEntry, PayloadFault, StoredObject
from chain_client.log.payload_mark import check_mark, provide_mark
from chain_client.log.payload_place import PayloadPlace
from chain_client.steps import step
from chain_client.types import Digest, LeafHash

if TYPE_CHECKING:
    from chain_client.payloads.base import PayloadStore

_AT_ONCE = 16
"""Most requests to a store that run at once; each holds one object in memory."""
_AHEAD = 256
_AHEAD_BYTES = 16 << 20
"""Most objects, and most of their bytes, that are fetched before they are asked for."""
_READ_ANYWAY = 64 << 10
"""So long an object is read, whatever its row says."""
_WAIT_S = 1.0
_PATIENCE_S = 90.0
"""So long nothing may come of any put before the store counts as away."""
_MOST_BYTES = 1 << 29
"""A longer event stays in the database: no store need take it."""


class Marks:
    """How the mark of the log's store is kept; the log's cursors."""

    def __init__(self, read: Callable[[], str | None], put: Callable[[str], str]) -> None:
        self.read = read
        self.put = put


class PayloadObjects:
    """The objects of one log in its payload store. Threads and forked children may share one.

    Args:
        place: the store; None: everything is in the database.
        marks: by which a store is known to be this log's.
    """

    def __init__(self, place: PayloadPlace | None, marks: Marks) -> None:
        self.place = place
        self._marks = marks
        self._store: PayloadStore | None = None
        self._is_marked = False
        self._put: set[Digest] = set()
        self._hanging: list[threading.Thread] = []

    def store(self) -> PayloadStore:
        """The store.

        Raises:
            PayloadsUnavailable: none is named, or none of that scheme is known here.
        """
        if self._store is None:
            if self.place is None:
                raise PayloadsUnavailable(
                    "events of this log are in a payload store, and log.payloads names none: set "
                    "it as on the log's other machines"
                )
            try:
                self._store = self.place.open()
            except ConfigurationError as exc:
                raise PayloadsUnavailable(f"log.payloads: {exc}") from exc
        return self._store

    def check(self) -> None:
        """See that the store answers, is fit, and is this log's.

        Raises:
            PayloadsUnavailable: it is not, or does not answer.
        """
        with _Asking():
            self.store().check()
            check_mark(self.store(), self._marks.read())

    def leaving(self, entries: Sequence[NewEntry]) -> list[NewEntry]:
        """Those whose events go to the store."""
        if self.place is None:
            return []
        least = self.place.from_bytes
        return [entry for entry in entries if least <= len(entry.event) <= _MOST_BYTES]

    def put(
        self, entries: Sequence[NewEntry], on_wait: Callable[[], None]
    ) -> dict[LeafHash, StoredObject]:
        """Store the events of entries, several at once.

        Guarantee: all are stored when this returns. What was stored for the same entries before,
        and not committed, is not stored again.

        Args:
            entries: with the seeds that their rows will have.
            on_wait: called about once a second meanwhile.

        Returns:
            what each row has to name, by leaf.

        Raises:
            PayloadsUnavailable: one could not be stored; the others may be.
        """
        store = self.store()
        self._hanging = [thread for thread in self._hanging if thread.is_alive()]
        if self._hanging:
            # No more are begun beside them; what they store in the end is not stored again.
            raise self._hangs(store)
        with _Asking():
            if not self._is_marked:
                provide_mark(store, self._marks.read, self._marks.put)
                self._is_marked = True
        step("log.payloads.begun")
        return self._put_all(store, entries, on_wait)

    def _put_all(
        self, store: PayloadStore, entries: Sequence[NewEntry], on_wait: Callable[[], None]
    ) -> dict[LeafHash, StoredObject]:
        stored: dict[LeafHash, StoredObject] = {}
        told_s = time.monotonic()
        putting = at_once(
            lambda entry: self._put_one(store, entry),
            *(entries, _AT_ONCE, _WAIT_S, _PATIENCE_S, self._hanging),
        )
        try:
            with closing(putting):
                for found in putting:
                    if found is not None:
                        stored[found[0]] = found[1]
                        step("log.payload.stored")
                    if time.monotonic() - told_s >= _WAIT_S:
                        on_wait()
                        told_s = time.monotonic()
        except TimeoutError as exc:
            raise self._hangs(store) from exc
        step("log.payloads.stored")
        return stored

    def _hangs(self, store: PayloadStore) -> PayloadsUnavailable:
        return PayloadsUnavailable(
            f"the payload store {store.uri} took nothing for {_PATIENCE_S:g} s, and did not say "
            "why: it hangs"
        )

    def _put_one(self, store: PayloadStore, entry: NewEntry) -> tuple[LeafHash, StoredObject]:
        from chain_client.payloads.encryption import encrypt_payload

        sealed = encrypt_payload(entry.event, entry.seed)
        if sealed.digest not in self._put:
            with _Asking():
                store.put(sealed.digest, sealed.data)
            self._put.add(sealed.digest)
        return entry.leaf_hash, StoredObject(sealed.digest, len(sealed.data))

    def committed(self) -> None:
        """Rows name what was put."""
        self._put.clear()

    def fill(self, entries: Sequence[Entry]) -> Iterator[Entry]:
        """The entries with their events, those of the store fetched some at a time.

        Raises:
            PayloadsUnavailable: the store does not answer, or is not this log's.
        """
        if not any(entry.stored is not None for entry in entries):
            yield from entries
            return
        for part in _parts(entries):
            yield from self._fetch(part)

    def _fetch(self, entries: list[Entry]) -> list[Entry]:
        outside = [
            entry for entry in entries if entry.stored is not None and entry.seed is not None
        ]
        if outside and self.place is None and self._marks.read() is None:
            return [_of_no_store(entry) for entry in entries]
        with _Asking():
            store = self.store() if outside else None
            if store is None:
                found = []
            elif len(outside) == 1:
                found = [_get(store, outside[0])]
            else:
                got = at_once(lambda entry: _get(store, entry), outside, _AT_ONCE)
                found = [entry for entry in got if entry is not None]
            if store is not None and any(_is_missing(entry) for entry in found):
                # An empty folder where a disk should be mounted has lost nothing.
                check_mark(store, self._marks.read())
        filled = {entry.index: entry for entry in found}
        return [filled.get(entry.index) or _without_event(entry) for entry in entries]


def head_of(event: bytes) -> bytes:
    """The beginning of a stored event, up to its type: what rows keep for queries."""
    return event[: event.index(b'"', TYPE_AT) + 1]


def _parts(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    part: list[Entry] = []
    objects = size_bytes = 0
    for entry in entries:
        if entry.stored is not None:
            told = entry.stored.size_bytes
            more = told if 0 <= told <= _AHEAD_BYTES else _AHEAD_BYTES
            if objects and (objects == _AHEAD or size_bytes + more > _AHEAD_BYTES):
                yield part
                part, objects, size_bytes = [], 0, 0
            objects += 1
            size_bytes += more
        part.append(entry)
    yield part


def _without_event(entry: Entry) -> Entry:
    """An entry that lost its seed, and with it what the store keeps of it; any other as it is."""
    return entry if entry.stored is None else replace(entry, event=None)


def _of_no_store(entry: Entry) -> Entry:
    """An entry of a log that never had a store: nobody but who edited its row names an object."""
    if entry.stored is None:
        return entry
    text = "the row names an object, and the log has no payload store"
    return _at_fault(entry, None, Fault.OBJECT_MISSING, text)


def _get(store: PayloadStore, entry: Entry) -> Entry:
    from chain_client.payloads.encryption import decrypt_payload

    stored, seed, head = entry.stored, entry.seed, entry.event
    assert stored is not None
    assert seed is not None
    if len(stored.digest) != 32:
        text = "the row names no object of a payload store by a digest of 32 bytes"
        return _at_fault(entry, b"", Fault.OBJECT_DAMAGED, text)
    named = f"object 0x{stored.digest.hex()} of the payload store {store.uri}"
    try:
        data = store.get(stored.digest, _longest(stored))
    except PayloadMissing:
        return _at_fault(entry, None, Fault.OBJECT_MISSING, f"{named} is missing")
    except PayloadDamaged:
        return _at_fault(entry, b"", Fault.OBJECT_DAMAGED, f"{named} was changed")
    try:
        event = decrypt_payload(data, seed)
    except (PayloadDamaged, InvalidInput):
        text = f"{named} is not what was stored for this entry, or the entry's seed was changed"
        return _at_fault(entry, b"", Fault.OBJECT_DAMAGED, text)
    if head is None or stored.size_bytes != len(data) or not _begins(event, head):
        text = f"what the row says of the type, the id or the size of {named} was changed"
        return _at_fault(entry, event, Fault.HEAD_CHANGED, text)
    return replace(entry, event=event)


def _longest(stored: StoredObject) -> int:
    """Most bytes that are read for a row: others may put there what fills the memory."""
    from chain_client.payloads.base import MAX_PAYLOAD_BYTES

    # A little more than the row says, so that a row that was edited is told from an object.
    return min(max(stored.size_bytes, _READ_ANYWAY), MAX_PAYLOAD_BYTES)


def _begins(event: bytes, head: bytes) -> bool:
    return b'"' in event[TYPE_AT:] and head == head_of(event)


def _at_fault(entry: Entry, event: bytes | None, kind: Fault, text: str) -> Entry:
    return replace(entry, event=event, fault=PayloadFault(kind, text))


def _is_missing(entry: Entry) -> bool:
    return entry.fault is not None and entry.fault.kind is Fault.OBJECT_MISSING


class _Asking:
    """What goes wrong with a store is the log's not answering: nothing is said of any payload."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        if isinstance(exc, PayloadStoreUnavailable | ConfigurationError | PayloadDamaged):
            raise PayloadsUnavailable(str(exc)) from exc
