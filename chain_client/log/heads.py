"""Rows of `heads`: which heads were chosen for anchoring, and how far each has come."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from chain_client.errors import InvalidInput, LogMismatch
from chain_client.log.model import EntryStatus, LogHead
from chain_client.log.schema import heads
from chain_client.types import Digest

STAGES = (
    EntryStatus.SEQUENCED,
    EntryStatus.BROADCAST,
    EntryStatus.INCLUDED,
    EntryStatus.FINALIZED,
)
"""What a head can be, the least first."""


def write_head(connection: Connection, size: int, root: Digest, now_us: int) -> None:
    """Note a head that was chosen; nothing happens if it is known.

    Raises:
        InvalidInput: the empty log has no head to anchor.
        LogMismatch: another root was chosen for that size.
    """
    if size < 1 or len(root) != 32:
        raise InvalidInput("expected a head of at least one entry, with a root of 32 bytes")
    known = connection.execute(
        select(heads.c.root).where(heads.c.size == size)
    ).scalar_one_or_none()
    if known is None:
        connection.execute(
            insert(heads).values(
                size=size, root=root, status=EntryStatus.SEQUENCED.value, created_us=now_us
            )
        )
    elif known != root:
        raise LogMismatch(
            f"the log had another root at {size} entries before: entries were edited. "
            "Run: mlops-chain verify"
        )


def write_status(
    connection: Connection,
    size: int,
    status: EntryStatus,
    *,
    transaction_id: int | None,
    block_number: int | None,
    block_hash: bytes | None,
) -> None:
    """Set how far a head has come; what is None stays, but a head in no block loses its block.

    Raises:
        InvalidInput: no such head, no such status of a head, or the head is final already and
            would no longer be.
    """
    if status not in STAGES:
        raise InvalidInput(f"a head is never {status.value}")
    values: dict[str, Any] = {"status": status.value}
    if transaction_id is not None:
        values["transaction_id"] = transaction_id
    if status in (EntryStatus.INCLUDED, EntryStatus.FINALIZED):
        if block_number is not None:
            values["block_number"] = block_number
        if block_hash is not None:
            values["block_hash"] = block_hash
    else:
        values.update(block_number=None, block_hash=None)
    where = [heads.c.size == size]
    if status is not EntryStatus.FINALIZED:
        where.append(heads.c.status != EntryStatus.FINALIZED.value)
    if not connection.execute(update(heads).where(*where).values(**values)).rowcount:
        raise InvalidInput(f"no head of {size} entries can become {status.value}")


def find_latest(connection: Connection, status: EntryStatus | None) -> LogHead | None:
    """The greatest head, of this status or of any."""
    query = select(heads).order_by(heads.c.size.desc()).limit(1)
    if status is not None:
        query = query.where(heads.c.status == status.value)
    row = connection.execute(query).one_or_none()
    return None if row is None else _head(row)


def find_unfinal(connection: Connection, *, everywhere: bool) -> list[LogHead]:
    """Heads that were sent and are not final, the least first.

    Args:
        connection: in a transaction.
        everywhere: also below the greatest final head, where only a process that died leaves any.
    """
    query = (
        select(heads)
        .where(heads.c.status.in_([EntryStatus.BROADCAST.value, EntryStatus.INCLUDED.value]))
        .order_by(heads.c.size)
    )
    final = None if everywhere else find_latest(connection, EntryStatus.FINALIZED)
    if final is not None:
        query = query.where(heads.c.size > final.size)
    return [_head(row) for row in connection.execute(query)]


def write_final(connection: Connection, first_size: int, last_size: int) -> int:
    """Mark the included heads of these sizes, both ends too, final; how many there were."""
    return connection.execute(
        update(heads)
        .where(
            heads.c.size.between(first_size, last_size),
            heads.c.status == EntryStatus.INCLUDED.value,
        )
        .values(status=EntryStatus.FINALIZED.value)
    ).rowcount


def all_heads(connection: Connection, limit: int | None) -> list[LogHead]:
    """Heads, the greatest first."""
    query = select(heads).order_by(heads.c.size.desc()).limit(limit)
    return [_head(row) for row in connection.execute(query)]


def reached(connection: Connection) -> dict[EntryStatus, int]:
    """How many entries have come at least so far, for each of `STAGES` but the first."""
    rows = connection.execute(
        select(heads.c.status, func.max(heads.c.size)).group_by(heads.c.status)
    )
    greatest = {str(status): int(size) for status, size in rows}
    found = {}
    size = 0
    for stage in reversed(STAGES[1:]):
        size = max(size, greatest.get(stage.value, 0))
        found[stage] = size
    return found


def _head(row: Row[Any]) -> LogHead:
    return LogHead(
        size=row.size,
        root=Digest(row.root),
        status=EntryStatus(row.status),
        transaction_id=row.transaction_id,
        block_number=row.block_number,
        block_hash=row.block_hash,
        created_us=row.created_us,
    )
