"""The rows of the transaction queue: one sender's transactions, and every attempt at each.

Every write re-reads the lease in its own SQL transaction, so that an owner who lost the key's
lease, however long it slept, changes nothing. No exception of SQLAlchemy crosses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, insert, select, update

from chain_client.errors import ConfigurationError, InvalidInput
from chain_client.ledger.base import Receipt
from chain_client.log.database import reading, writing
from chain_client.log.leases import fence
from chain_client.log.model import Lease
from chain_client.log.schema import alarms, attempts, transactions
from chain_client.signing import SignedTransaction, TransactionFields
from chain_client.transactions.model import Attempt, AttemptKind, StoredTransaction
from chain_client.transactions.records import list_attempts, select_transactions, to_stored
from chain_client.transactions.state import SETTLED_FOR_GOOD, TransactionStatus
from chain_client.types import Address, TxHash, to_hex

_REVERTED = "reverted"
_PURPOSE_MAX_CHARS = 200


def key_lease_name(address: Address) -> str:
    """Name of the lease that makes a process the only owner of a key."""
    return f"key:{to_hex(address)}"


class TransactionStore:
    """One sender's rows in the log database.

    Args:
        engine: of the log database.
        sender: address of the key.
        lease: gives the lease ``key:<address>`` that the caller holds and renews.
    """

    def __init__(self, engine: Engine, sender: Address, lease: Callable[[], Lease]) -> None:
        self._engine = engine
        self._sender = sender
        self._lease = lease
        self._open_from_nonce = 0
        """All rows below are settled for good; so a long history is not read again and again."""
        self._settled_more = True

    def add(
        self,
        purpose: str,
        fields: TransactionFields,
        signed: SignedTransaction,
        created_us: int,
        kind: AttemptKind = AttemptKind.CALL,
    ) -> StoredTransaction:
        """Store a signed transaction durably, before anything is sent.

        Raises:
            InvalidInput: the purpose is empty or too long.
            AnotherRelay: the key's lease is lost; nothing was stored.
            LogUnavailable: the database does not answer; nothing was stored.
        """
        if not 0 < len(purpose) <= _PURPOSE_MAX_CHARS:
            raise InvalidInput(f"a purpose has 1 to {_PURPOSE_MAX_CHARS} characters")
        values: dict[str, Any] = {
            "sender": self._sender,
            "nonce": fields.nonce,
            "purpose": purpose,
            "to": fields.to,
            "data": fields.data,
            "raw": signed.raw,
            "tx_hash": signed.tx_hash,
            "status": TransactionStatus.SIGNED.value,
            "created_us": created_us,
            "gas_limit": fields.gas_limit,
        }
        with self._writing() as connection:
            key = connection.execute(insert(transactions).values(values)).inserted_primary_key
            assert key is not None
            tx_id = int(key[0])
            connection.execute(
                insert(attempts).values(_attempt(tx_id, fields, signed, kind, created_us))
            )
        self._open_from_nonce = min(self._open_from_nonce, fields.nonce)  # one that fills a gap
        return self.get(tx_id)

    def add_attempt(
        self,
        tx_id: int,
        fields: TransactionFields,
        signed: SignedTransaction,
        created_us: int,
        kind: AttemptKind,
    ) -> StoredTransaction:
        """Store a replacement durably, before it is sent; it becomes the row's bytes.

        Raises:
            AnotherRelay: the key's lease is lost; nothing was stored.
            LogUnavailable: the database does not answer; nothing was stored.
        """
        with self._writing() as connection:
            connection.execute(
                insert(attempts).values(_attempt(tx_id, fields, signed, kind, created_us))
            )
            connection.execute(
                update(transactions)
                .where(self._is(tx_id))
                .values(raw=signed.raw, tx_hash=signed.tx_hash)
            )
        return self.get(tx_id)

    def attempts(self, tx_id: int) -> list[Attempt]:
        """Everything that was signed at a row's nonce, the oldest first."""
        return list_attempts(self._engine, tx_id)

    def gas_between(self, first_us: int, last_us: int) -> int:
        """Gas of what was first signed in a time: as it was used, else as it may be used."""
        gas = func.coalesce(transactions.c.gas_used, transactions.c.gas_limit, 0)
        query = select(func.coalesce(func.sum(gas), 0)).where(
            transactions.c.sender == self._sender,
            transactions.c.created_us >= first_us,
            transactions.c.created_us <= last_us,
        )
        with reading(self._engine) as connection:
            return int(connection.execute(query).scalar_one())

    def set_status(
        self, tx_id: int, status: TransactionStatus, receipt: Receipt | None
    ) -> StoredTransaction:
        """Set what is known of a row; without a receipt its block is cleared.

        With one, the bytes that the chain holds become the row's.

        Raises:
            AnotherRelay: the key's lease is lost; nothing was changed.
            LogUnavailable: the database does not answer; nothing was changed.
        """
        values: dict[str, Any] = {
            "status": status.value,
            "block_number": receipt.block_number if receipt else None,
            "block_hash": receipt.block_hash if receipt else None,
            "gas_used": receipt.gas_used if receipt else None,
            "error": _REVERTED if receipt and not receipt.succeeded else None,
        }
        with self._writing() as connection:
            if receipt is not None:
                values |= _bytes_of(connection, tx_id, receipt.tx_hash)
            connection.execute(update(transactions).where(self._is(tx_id)).values(values))
        self._settled_more = self._settled_more or status in SETTLED_FOR_GOOD
        row = self.get(tx_id)
        if status not in SETTLED_FOR_GOOD:  # it may have been, before a reorg took what was final
            self._open_from_nonce = min(self._open_from_nonce, row.nonce)
        return row

    def remove(self, tx_id: int) -> None:
        """Forget a row that no chain can ever take; its nonce is free again.

        Raises:
            AnotherRelay: the key's lease is lost; nothing was changed.
            LogUnavailable: the database does not answer; nothing was changed.
        """
        with self._writing() as connection:
            connection.execute(delete(attempts).where(attempts.c.transaction_id == tx_id))
            connection.execute(delete(transactions).where(self._is(tx_id)))

    def get(self, tx_id: int) -> StoredTransaction:
        """The row.

        Raises:
            InvalidInput: this sender has no such row.
            LogUnavailable: the database does not answer.
        """
        row = self.find(tx_id)
        if row is None:
            raise InvalidInput(f"no transaction {tx_id} of {to_hex(self._sender)} is stored")
        return row

    def find(self, tx_id: int) -> StoredTransaction | None:
        """The row, if this sender has it."""
        rows = self._rows(transactions.c.id == tx_id)
        return rows[0] if rows else None

    def at_nonce(self, nonce: int) -> StoredTransaction | None:
        """The row that has a nonce, if one has."""
        rows = self._rows(transactions.c.nonce == nonce)
        return rows[0] if rows else None

    def lowest_above(self, nonce: int) -> int | None:
        """The lowest stored nonce above one, if there is one."""
        query = select(func.min(transactions.c.nonce)).where(
            transactions.c.sender == self._sender, transactions.c.nonce > nonce
        )
        with reading(self._engine) as connection:
            found = connection.execute(query).scalar_one()
        return None if found is None else int(found)

    def was_alarm_cleared(self, kind: str, detail: str) -> bool:
        """Whether an alarm of this key with this very text was raised, and stands no more."""
        query = select(alarms.c.cleared_us).where(
            alarms.c.kind == kind,
            alarms.c.subject == to_hex(self._sender),
            alarms.c.detail == detail,
        )
        with reading(self._engine) as connection:
            return connection.execute(query).scalar_one_or_none() is not None

    def with_status(
        self, statuses: Iterable[TransactionStatus], *, up_to_nonce: int | None = None
    ) -> list[StoredTransaction]:
        """Rows in these states, none of which is for good, in the order of their nonces."""
        self._skip_settled()
        where: list[Any] = [
            transactions.c.nonce >= self._open_from_nonce,
            transactions.c.status.in_([status.value for status in statuses]),
        ]
        if up_to_nonce is not None:
            where.append(transactions.c.nonce <= up_to_nonce)
        return self._rows(*where)

    def with_purpose(self, purpose: str, *, prefix: bool = False) -> list[StoredTransaction]:
        """Rows of this purpose (or of all that begin with it), in the order of their nonces."""
        column = transactions.c.purpose
        return self._rows(
            column.startswith(purpose, autoescape=True) if prefix else column == purpose
        )

    def nonces(self) -> list[tuple[int, TransactionStatus]]:
        """Nonce and status of the newest row, and of the newest that is settled for good."""
        newest = (
            select(transactions.c.nonce, transactions.c.status)
            .where(transactions.c.sender == self._sender)
            .order_by(transactions.c.nonce.desc())
            .limit(1)
        )
        settled = newest.where(transactions.c.status.in_(sorted(SETTLED_FOR_GOOD)))
        with reading(self._engine) as connection:
            rows = [*connection.execute(newest), *connection.execute(settled)]
        return [(int(nonce), TransactionStatus(status)) for nonce, status in rows]

    def _skip_settled(self) -> None:
        if not self._settled_more:
            return
        ours = transactions.c.sender == self._sender
        lowest_open = select(func.min(transactions.c.nonce)).where(
            ours,
            transactions.c.nonce >= self._open_from_nonce,
            transactions.c.status.not_in(sorted(SETTLED_FOR_GOOD)),
        )
        with reading(self._engine) as connection:
            nonce = connection.execute(lowest_open).scalar_one()
            if nonce is None:
                highest = connection.execute(
                    select(func.max(transactions.c.nonce)).where(ours)
                ).scalar_one()
                nonce = self._open_from_nonce if highest is None else highest + 1
        self._open_from_nonce = nonce
        self._settled_more = False

    def _is(self, tx_id: int) -> Any:
        return (transactions.c.id == tx_id) & (transactions.c.sender == self._sender)

    def _rows(self, *where: Any) -> list[StoredTransaction]:
        query = (
            select_transactions()
            .where(transactions.c.sender == self._sender, *where)
            .order_by(transactions.c.nonce)
        )
        with reading(self._engine) as connection:
            return [to_stored(row) for row in connection.execute(query).mappings()]

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        lease = self._lease()
        needed = key_lease_name(self._sender)
        if lease.name != needed:
            raise ConfigurationError(f"the lease {needed!r} is needed here, not {lease.name!r}")
        with writing(self._engine) as connection:
            fence(connection, lease)
            yield connection


def _attempt(
    tx_id: int,
    fields: TransactionFields,
    signed: SignedTransaction,
    kind: AttemptKind,
    created_us: int,
) -> dict[str, Any]:
    return {
        "tx_hash": signed.tx_hash,
        "transaction_id": tx_id,
        "raw": signed.raw,
        "kind": kind.value,
        "max_fee_wei": fields.max_fee_wei,
        "max_priority_fee_wei": fields.max_priority_fee_wei,
        "created_us": created_us,
    }


def _bytes_of(connection: Connection, tx_id: int, tx_hash: TxHash) -> dict[str, Any]:
    query = select(attempts.c.raw, attempts.c.tx_hash).where(
        attempts.c.transaction_id == tx_id, attempts.c.tx_hash == tx_hash
    )
    return dict(connection.execute(query).mappings().one())
