"""The log: one door to its database. What each part does lives in the modules beside it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from sqlalchemy import select

from chain_client.clock import Clock
from chain_client.errors import InvalidInput
from chain_client.log import appending, entries, leases, sources
from chain_client.log.anchor_state import AnchorState
from chain_client.log.cursors import Cursors
from chain_client.log.database import reading, writing
from chain_client.log.holders import ingester_of
from chain_client.log.model import Entry, Lease, NewEntry, SourceProgress, StoredObject
from chain_client.log.payload_mark import CURSOR
from chain_client.log.payload_objects import Marks, PayloadObjects
from chain_client.log.payload_place import PayloadPlace
from chain_client.log.postgres import lock_appends
from chain_client.log.relay_state import RelayState
from chain_client.log.schema import sources as sources_table
from chain_client.log.tiles import Edge, TileSource, read_size
from chain_client.merkle import consistency_proof_from, inclusion_proof_from, root_from
from chain_client.steps import step
from chain_client.types import Digest, EventId, LeafHash, SourceId


class Log(AnchorState, RelayState, Cursors):
    """The sequenced log of one deployment.

    Guarantee: entries are only ever added, at the end and whole batches at once; each event of a
    source is there once; every write is refused to a process that lost its lease. A commit is on
    disk when the method returns. Threads and forked children may share an object.

    Every method raises `LogUnavailable` when the database does not answer (its child
    `PayloadsUnavailable`: the payload store beside it), and `LogCorrupt` when the database is
    damaged; no exception of the database driver crosses.

    Args:
        url: ``sqlite:///<path>`` or ``postgresql+psycopg://…``.
        clock: gives the times that are stored, and decides when a lease has expired; leases in
            a server expire by the server's clock.
        timeout_s: how long a locked database, or a connection, is waited for.
        payloads: where events are kept that are not in the database.

    Example:
        >>> log = Log("sqlite:////var/lib/mlops-chain/log.db")
        >>> log.create()
        >>> lease = log.acquire_lease("relay", "host:1234", ttl_s=30)
        >>> log.append(new_entries, progress, lease)
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        timeout_s: float = 5,
        payloads: PayloadPlace | None = None,
    ) -> None:
        super().__init__(url, clock=clock, timeout_s=timeout_s)
        marks = Marks(lambda: self.cursor(CURSOR), lambda mark: self.put_cursor_once(CURSOR, mark))
        self.payloads = PayloadObjects(payloads, marks)
        self._appending = threading.Lock()
        self._edge: Edge | None = None

    def renew_locks(self) -> None:
        """In a forked child: replace what a thread of the parent may hold."""
        super().renew_locks()
        self._appending = threading.Lock()

    def append(
        self,
        entries: Sequence[NewEntry],
        progress: Sequence[SourceProgress],
        lease: Lease,
        *,
        on_wait: Callable[[], None] = lambda: None,
    ) -> int:
        """Add entries at the end and note how far their sources were read, in one transaction.

        Guarantee: all of it is on disk when this returns, or nothing of it if it raises. An event
        that the log holds already (same source, sequence and event id) is skipped. Sources that
        were not met before are noted. What goes to a payload store is there before the transaction
        begins; if this then raises, it is there for nothing, and nobody can read it.

        Args:
            entries: what happened.
            progress: how far which source was read.
            lease: the right to do it.
            on_wait: called about once a second while a payload store is waited for.

        Returns:
            how many entries were added.

        Raises:
            SourceForked: a source gave a sequence to another event than the log holds.
            AnotherRelay: the lease was taken over.
            LogMismatch: the stored tree is not whole, so nothing can be added to it.
            InvalidInput: an entry that can't be stored.
        """
        appending.check_entries(entries)
        stored = self._store_events(entries, on_wait)
        with self._appending:
            edge, self._edge = self._edge, None
            with writing(self.engine) as connection:
                leases.fence(connection, lease)
                lock_appends(connection)
                now_us = self._clock.time_us()
                named = [entry.source_id for entry in entries]
                named += [row.source_id for row in progress]
                numbers = sources.source_numbers(connection, named, now_us)
                fresh = appending.without_known(connection, entries, numbers)
                if edge is None or not edge.is_of(connection):
                    edge = Edge.read(connection)
                if fresh:
                    appending.write_entries(connection, edge, fresh, numbers, stored)
                ingester = ingester_of(lease.name)
                for row in progress:
                    number = numbers[row.source_id]
                    sources.write_progress(connection, row, number, now_us, ingester)
                step("log.append.before_commit")
            self._edge = edge
        step("log.append.committed")
        if stored:
            self.payloads.committed()
        return len(fresh)

    def _store_events(
        self, entries: Sequence[NewEntry], on_wait: Callable[[], None]
    ) -> dict[LeafHash, StoredObject]:
        """Put into the payload store what goes there and the log does not hold."""
        leaving = self.payloads.leaving(entries)
        if not leaving:
            return {}
        held = {
            source_id: self.known(source_id, [e.sequence for e in leaving])
            for source_id in {entry.source_id for entry in leaving}
        }
        new = [entry for entry in leaving if entry.sequence not in held[entry.source_id]]
        return self.payloads.put(new, on_wait) if new else {}

    def known(self, source_id: SourceId, sequences: Iterable[int]) -> set[int]:
        """Those of the source's sequences that the log holds."""
        with reading(self.engine) as connection:
            number = connection.execute(
                select(sources_table.c.source_no).where(sources_table.c.source_id == source_id)
            ).scalar_one_or_none()
            if number is None:
                return set()
            return appending.held_sequences(connection, number, sequences)

    def event_ids(self, source_id: SourceId, sequences: Iterable[int]) -> dict[int, EventId | None]:
        """Event ids of those of the source's sequences that the log holds.

        None stands for an event that was erased or edited so that its id can't be told.
        """
        wanted = list(sequences)
        with reading(self.engine) as connection:
            number = connection.execute(
                select(sources_table.c.source_no).where(sources_table.c.source_id == source_id)
            ).scalar_one_or_none()
            if number is None or not wanted:
                return {}
            return {
                sequence: None if event_id is None else EventId(event_id)
                for sequence, event_id in appending.held_ids(connection, number, wanted)
            }

    def size(self) -> int:
        """Number of entries."""
        with reading(self.engine) as connection:
            return read_size(connection)

    def row_count(self) -> int:
        """Number of rows of entries: less than `size` if some are missing."""
        with reading(self.engine) as connection:
            return entries.count_rows(connection)

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[Entry]:
        """Entries of ``start:stop`` in log order, in constant memory.

        An index without a row, as tampering leaves it, is passed over.

        Args:
            start: first index.
            stop: index after the last; by default the size when this is called.
        """
        size = self.size()
        stop = size if stop is None else min(stop, size)
        return entries.read_range(lambda: self.engine, self.payloads, max(start, 0), stop)

    def entry(self, index: int) -> Entry:
        """One entry.

        Raises:
            InvalidInput: the log has no entry there.
        """
        for found in entries.read_some(lambda: self.engine, self.payloads, [index]):
            return found
        raise InvalidInput(f"the log has no entry {index}")

    def find_events(
        self, subject_prefix: str, *, exact: bool = False, types: Collection[str] = ()
    ) -> Iterator[Entry]:
        """Entries whose subject key begins with ``subject_prefix``, in log order.

        Args:
            subject_prefix: the beginning, as `Subject.to_key` gives it.
            exact: give only those whose key is that, and no longer.
            types: give only events of these types, and with ``exact`` also what has lost its
                event; empty for all.

        Takes 8 bytes of memory for each of them.
        """
        with reading(self.engine) as connection:
            if types:
                indexes = entries.indexes_of_types(connection, subject_prefix, types, exact=exact)
            else:
                indexes = entries.indexes_of_subjects(connection, subject_prefix, exact=exact)
        return entries.read_some(lambda: self.engine, self.payloads, indexes)

    def of_source(self, source_id: SourceId, sequences: Collection[int]) -> Iterator[Entry]:
        """Entries that have these few sequences of a source, in log order."""
        with reading(self.engine) as connection:
            indexes = entries.indexes_of_source(connection, source_id, sequences)
        return entries.read_some(lambda: self.engine, self.payloads, indexes)

    def subject_indexes(self, subject_key: str) -> Sequence[int]:
        """The indexes of the entries with that subject, in log order; no entry is read."""
        with reading(self.engine) as connection:
            return entries.indexes_of_subjects(connection, subject_key, exact=True)

    def subject_keys(self, prefix: str) -> list[str]:
        """Every key of a subject that begins with ``prefix``, in order; once each.

        As entries are only ever added, the answer stays right while `size` stays the same.
        """
        with reading(self.engine) as connection:
            return entries.keys_of_subjects(connection, prefix)

    def stores(self) -> set[str]:
        """Ids of the host databases that the entries' subjects name."""
        with reading(self.engine) as connection:
            return entries.stores_of_subjects(connection)

    def root(self, size: int | None = None) -> Digest:
        """Root over the first ``size`` entries, by default over all.

        Raises:
            InvalidInput: the log is shorter.
            LogMismatch: stored nodes that it needs are missing.
        """
        with reading(self.engine) as connection:
            size = _within(size, read_size(connection))
            return root_from(TileSource(connection), size)

    def inclusion_proof(self, index: int, size: int | None = None) -> list[Digest]:
        """Proof that the entry is in the tree of the first ``size`` entries, by default of all.

        Raises:
            InvalidInput: index or size out of range.
            LogMismatch: stored nodes that it needs are missing.
        """
        with reading(self.engine) as connection:
            size = _within(size, read_size(connection))
            return inclusion_proof_from(TileSource(connection), index, size)

    def consistency_proof(self, old_size: int, new_size: int | None = None) -> list[Digest]:
        """Proof that the log of ``old_size`` entries is a prefix of the one of ``new_size``.

        Raises:
            InvalidInput: sizes out of range.
            LogMismatch: stored nodes that it needs are missing.
        """
        with reading(self.engine) as connection:
            new_size = _within(new_size, read_size(connection))
            return consistency_proof_from(TileSource(connection), old_size, new_size)


def _within(size: int | None, available: int) -> int:
    if size is None:
        return available
    if not 0 <= size <= available:
        raise InvalidInput(f"expected a size from 0 to {available}, got {size}")
    return size
