"""How far the log is anchored: heads, and what follows from them for entries."""

from __future__ import annotations

from chain_client.errors import InvalidInput
from chain_client.event_codec import decode_event
from chain_client.log import entries, heads, leases
from chain_client.log.database import reading, writing
from chain_client.log.model import EntryStatus, Lease, LogHead
from chain_client.log.opened_database import OpenedDatabase
from chain_client.log.payload_objects import PayloadObjects
from chain_client.log.tiles import read_size
from chain_client.types import Digest


class AnchorState(OpenedDatabase):
    """The part of `Log` that knows heads."""

    payloads: PayloadObjects
    """Events that are not in the database."""

    def add_head(self, size: int, root: Digest, lease: Lease) -> None:
        """Note a head that is going to be anchored; nothing happens if it is known.

        Raises:
            LogMismatch: another root was noted for that size.
            AnotherRelay: the lease was taken over.
        """
        with writing(self.engine) as connection:
            leases.fence(connection, lease)
            heads.write_head(connection, size, root, self._clock.time_us())

    def set_head_status(
        self,
        size: int,
        status: EntryStatus,
        lease: Lease,
        *,
        transaction_id: int | None = None,
        block_number: int | None = None,
        block_hash: bytes | None = None,
    ) -> None:
        """Note how far a head has come. What is not given stays; out of a block, its block goes.

        Raises:
            InvalidInput: there is no such head, or it is final and would no longer be.
            AnotherRelay: the lease was taken over.
        """
        with writing(self.engine) as connection:
            leases.fence(connection, lease)
            heads.write_status(
                connection,
                size,
                status,
                transaction_id=transaction_id,
                block_number=block_number,
                block_hash=block_hash,
            )

    def finalise_heads(self, first_size: int, last_size: int, lease: Lease) -> int:
        """Mark every included head of these sizes, both ends too, final; how many there were.

        Raises:
            AnotherRelay: the lease was taken over.
        """
        with writing(self.engine) as connection:
            leases.fence(connection, lease)
            return heads.write_final(connection, first_size, last_size)

    def unfinal_heads(self, *, everywhere: bool = False) -> list[LogHead]:
        """Heads that are broadcast or included and not final, the least first.

        Args:
            everywhere: also below the greatest final head, where only a process that died leaves
                any; reads every head.
        """
        with reading(self.engine) as connection:
            return heads.find_unfinal(connection, everywhere=everywhere)

    def latest_head(self, status: EntryStatus | None = None) -> LogHead | None:
        """The greatest head that has exactly this status, or any."""
        with reading(self.engine) as connection:
            return heads.find_latest(connection, status)

    def heads(self, limit: int | None = None) -> list[LogHead]:
        """Heads, the greatest first."""
        with reading(self.engine) as connection:
            return heads.all_heads(connection, limit)

    def counts(self) -> dict[EntryStatus, int]:
        """How many entries are in each state; SPOOLED is not the log's to know, and is 0."""
        with reading(self.engine) as connection:
            size, reached = read_size(connection), heads.reached(connection)
        counts = dict.fromkeys(EntryStatus, 0)
        counted = 0
        for stage in reversed(heads.STAGES):
            up_to = min(reached.get(stage, size), size)
            counts[stage] = up_to - counted
            counted = up_to
        return counts

    def status_of(self, index: int) -> EntryStatus:
        """How far an entry has come.

        Raises:
            InvalidInput: the log has no entry there.
        """
        with reading(self.engine) as connection:
            size, reached = read_size(connection), heads.reached(connection)
        if not 0 <= index < size:
            raise InvalidInput(f"the log has no entry {index}")
        for stage in reversed(heads.STAGES):
            if index < reached.get(stage, size):
                return stage
        raise AssertionError("every entry is sequenced")

    def oldest_unfinal_us(self) -> int | None:
        """Claimed wall time of the first entry that is not final, in µs; None if all are.

        Raises:
            InvalidEvent: its payload is damaged.
        """
        counts = self.counts()
        size = sum(counts.values())
        if size == counts[EntryStatus.FINALIZED]:
            return None
        # Entries of several sources are not in the order of time; the first is close enough.
        final = counts[EntryStatus.FINALIZED]
        for entry in entries.read_range(lambda: self.engine, self.payloads, final, size):
            if entry.event is not None:
                return decode_event(entry.event).time_us
        return None
