"""Tables of the embedded chain's file: reads of one state, and what one new block adds.

Connections and locks live in `embedded_store`; what nodes mean to the EVM in `embedded_evm`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chain_client.errors import InvalidInput, LedgerUnavailable
from chain_client.ledger.base import Block, EventRecord, Receipt
from chain_client.signing.keccak import keccak256
from chain_client.types import Address, Digest, TxHash

FORMAT = 1
"""Version of the file's tables, in SQLite's ``user_version``."""
APPLICATION_ID = 0x6D6C6F70
"""In SQLite's header, so that ``file`` and we tell the file from others: "mlop"."""

SCHEMA = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
CREATE TABLE chain (chain_id TEXT NOT NULL);
CREATE TABLE nodes (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE blocks (
    number INTEGER PRIMARY KEY, hash BLOB NOT NULL,
    timestamp_s INTEGER NOT NULL, base_fee_wei INTEGER NOT NULL
);
CREATE TABLE transactions (
    hash BLOB PRIMARY KEY, block_number INTEGER NOT NULL, succeeded INTEGER NOT NULL,
    gas_used INTEGER NOT NULL, contract_address BLOB
) WITHOUT ROWID;
CREATE TABLE events (
    block_number INTEGER NOT NULL, position INTEGER NOT NULL, tx_hash BLOB NOT NULL,
    address BLOB NOT NULL, topics BLOB NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (block_number, position)
) WITHOUT ROWID;
CREATE INDEX events_by_address ON events (address, block_number);
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells one chain from another."""

    chain_id: int
    genesis_hash: Digest


class Snapshot:
    """Reads inside one transaction."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def identity(self) -> Identity:
        """Chain id and genesis hash.

        Raises:
            LedgerUnavailable: there is none (a damaged file).
        """
        row = self._connection.execute("SELECT chain_id FROM chain").fetchone()
        try:
            return Identity(int(row[0]), self.block(0).hash)
        except (TypeError, ValueError) as exc:
            raise self.damaged() from exc

    def node(self, key: bytes) -> bytes | None:
        """What the EVM stored under ``key``; 32-byte keys are the keccak-256 of their value.

        Raises:
            LedgerUnavailable: the value is not the one that was stored (a damaged disk).
        """
        row = self._connection.execute("SELECT value FROM nodes WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        value: bytes = row[0]
        if len(key) == 32 and keccak256(value) != key:
            raise self.damaged()
        return value

    def damaged(self) -> LedgerUnavailable:
        """The error for content that can't be what was once stored."""
        return LedgerUnavailable(
            f"the embedded chain {self._path} is damaged: a stored node is missing or changed; "
            "keep the file for inspection and put your backup back"
        )

    def block(self, number: int | None = None) -> Block:
        """The latest block, or that of a number.

        Raises:
            InvalidInput: there is no such block.
        """
        columns = "SELECT number, hash, timestamp_s, base_fee_wei FROM blocks "
        if number is None:
            row = self._connection.execute(columns + "ORDER BY number DESC LIMIT 1").fetchone()
        else:
            row = self._connection.execute(columns + "WHERE number = ?", (number,)).fetchone()
        if row is None:
            raise InvalidInput(f"the embedded chain {self._path} has no block {number}")
        return Block(row[0], Digest(row[1]), row[2], row[3])

    def has_transaction(self, tx_hash: bytes) -> bool:
        """True if the transaction is included."""
        query = "SELECT 1 FROM transactions WHERE hash = ?"
        return self._connection.execute(query, (tx_hash,)).fetchone() is not None

    def receipt(self, tx_hash: TxHash) -> Receipt | None:
        """Receipt of an included transaction."""
        row = self._connection.execute(
            "SELECT block_number, succeeded, gas_used, contract_address "
            "FROM transactions WHERE hash = ?",
            (tx_hash,),
        ).fetchone()
        if row is None:
            return None
        events = self._connection.execute(
            "SELECT address, topics, data, block_number, tx_hash FROM events "
            "WHERE block_number = ? AND tx_hash = ? ORDER BY position",
            (row[0], tx_hash),
        )
        return Receipt(
            tx_hash=tx_hash,
            block_number=row[0],
            block_hash=self.block(row[0]).hash,
            succeeded=bool(row[1]),
            gas_used=row[2],
            contract_address=None if row[3] is None else Address(row[3]),
            events=tuple(_event(*event) for event in events),
        )

    def events(self, address: Address, from_block: int, to_block: int) -> Iterator[EventRecord]:
        """A contract's events in a range of blocks, in chain order."""
        rows = self._connection.execute(
            "SELECT address, topics, data, block_number, tx_hash FROM events "
            "WHERE address = ? AND block_number BETWEEN ? AND ? ORDER BY block_number, position",
            (address, from_block, to_block),
        )
        return (_event(*row) for row in rows)


class NewBlock(Snapshot):
    """What one new block adds; written out by `flush`, before its commit."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        super().__init__(connection, path)
        self._nodes: dict[bytes, bytes] = {}

    def node(self, key: bytes) -> bytes | None:
        value = self._nodes.get(key)
        return super().node(key) if value is None else value

    def put_node(self, key: bytes, value: bytes) -> None:
        """Store what the EVM keeps under ``key``."""
        self._nodes[key] = value

    def add(self, block: Block, receipts: list[Receipt]) -> None:
        """Make a block findable by number, and its transactions and events by hash and address."""
        self._connection.execute(
            "INSERT INTO blocks VALUES (?, ?, ?, ?)",
            (block.number, block.hash, block.timestamp_s, block.base_fee_wei),
        )
        position = 0
        for receipt in receipts:
            self._connection.execute(
                "INSERT INTO transactions VALUES (?, ?, ?, ?, ?)",
                (
                    receipt.tx_hash,
                    block.number,
                    receipt.succeeded,
                    receipt.gas_used,
                    receipt.contract_address,
                ),
            )
            for event in receipt.events:
                self._connection.execute(
                    "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        block.number,
                        position,
                        receipt.tx_hash,
                        event.address,
                        b"".join(event.topics),
                        event.data,
                    ),
                )
                position += 1

    def flush(self) -> None:
        """Hand all nodes to SQLite."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO nodes VALUES (?, ?)", self._nodes.items()
        )


def _event(
    address: bytes, topics: bytes, data: bytes, block_number: int, tx_hash: bytes
) -> EventRecord:
    return EventRecord(
        address=Address(address),
        topics=tuple(Digest(topics[i : i + 32]) for i in range(0, len(topics), 32)),
        data=data,
        block_number=block_number,
        tx_hash=TxHash(tx_hash),
    )
