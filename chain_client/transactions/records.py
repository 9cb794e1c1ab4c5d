"""Looking at stored transactions, whoever owns their keys. Nothing here writes or sends."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, Select, func, select

from chain_client.errors import InvalidInput
from chain_client.log.database import reading
from chain_client.log.schema import attempts, transactions
from chain_client.transactions.model import Attempt, AttemptKind, StoredTransaction
from chain_client.transactions.state import SETTLED_FOR_GOOD, TransactionStatus
from chain_client.types import Address, Digest, TxHash


def list_transactions(
    engine: Engine,
    *,
    sender: Address | None = None,
    open_only: bool = False,
    limit: int = 100,
) -> list[StoredTransaction]:
    """Stored transactions of all keys, the newest first.

    Args:
        engine: of the log database.
        sender: of this key only.
        open_only: without those that are settled for good.
        limit: at most so many.

    Raises:
        LogUnavailable: the database does not answer.
    """
    query = select_transactions().order_by(transactions.c.id.desc()).limit(limit)
    if sender is not None:
        query = query.where(transactions.c.sender == sender)
    if open_only:
        query = query.where(transactions.c.status.not_in(sorted(SETTLED_FOR_GOOD)))
    with reading(engine) as connection:
        return [to_stored(row) for row in connection.execute(query).mappings()]


def get_transaction(engine: Engine, tx_id: int) -> StoredTransaction:
    """A stored transaction, whoever signed it.

    Raises:
        InvalidInput: there is none of this id.
        LogUnavailable: the database does not answer.
    """
    query = select_transactions().where(transactions.c.id == tx_id)
    with reading(engine) as connection:
        for row in connection.execute(query).mappings():
            return to_stored(row)
    raise InvalidInput(f"no transaction {tx_id} is stored; see: mlops-chain tx list")


def list_attempts(engine: Engine, tx_id: int) -> list[Attempt]:
    """Everything that was signed at a transaction's nonce, the oldest first.

    Raises:
        LogUnavailable: the database does not answer.
    """
    query = (
        select(attempts)
        .where(attempts.c.transaction_id == tx_id)
        .order_by(attempts.c.max_fee_wei, attempts.c.created_us)
    )
    with reading(engine) as connection:
        return [_to_attempt(row) for row in connection.execute(query).mappings()]


def select_transactions() -> Select[Any]:
    """Rows for `to_stored`."""
    every = attempts.alias()
    count = (
        select(func.count())
        .select_from(every)
        .where(every.c.transaction_id == transactions.c.id)
        .scalar_subquery()
    )
    return select(
        transactions,
        attempts.c.kind,
        attempts.c.max_fee_wei,
        attempts.c.max_priority_fee_wei,
        attempts.c.created_us.label("signed_us"),
        count.label("attempts"),
    ).join(attempts, attempts.c.tx_hash == transactions.c.tx_hash)


def to_stored(row: Any) -> StoredTransaction:
    """A row of `select_transactions`."""
    return StoredTransaction(
        id=row["id"],
        sender=Address(row["sender"]),
        nonce=row["nonce"],
        purpose=row["purpose"],
        raw=row["raw"],
        tx_hash=TxHash(row["tx_hash"]),
        status=TransactionStatus(row["status"]),
        block_number=row["block_number"],
        block_hash=None if row["block_hash"] is None else Digest(row["block_hash"]),
        gas_used=row["gas_used"],
        failed=row["error"] is not None,
        created_us=row["created_us"],
        gas_limit=row["gas_limit"],
        max_fee_wei=row["max_fee_wei"],
        max_priority_fee_wei=row["max_priority_fee_wei"],
        signed_us=row["signed_us"],
        attempts=row["attempts"],
        is_cancel=row["kind"] == AttemptKind.CANCEL,
    )


def _to_attempt(row: Any) -> Attempt:
    return Attempt(
        tx_hash=TxHash(row["tx_hash"]),
        raw=row["raw"],
        kind=AttemptKind(row["kind"]),
        max_fee_wei=row["max_fee_wei"],
        max_priority_fee_wei=row["max_priority_fee_wei"],
        created_us=row["created_us"],
    )
