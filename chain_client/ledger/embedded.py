"""A chain in a file: the ledger that needs no network.

It runs real contract bytecode and keeps real blocks and receipts, for several processes at
once. What it can't promise: whoever owns the file, and the machine's clock, owns the chain.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from chain_client.clock import Clock, SystemClock
from chain_client.errors import ConfigurationError
from chain_client.ledger.base import Block, BlockTag, Call, EventRecord, Fees, Receipt
from chain_client.ledger.embedded_store import CHAIN, INSTEAD, ChainStore, unavailable
from chain_client.ledger.embedded_tables import SCHEMA, NewBlock, Snapshot
from chain_client.signing.keccak import keccak256, prefer_fast_keccak
from chain_client.sqlite_files import check_place
from chain_client.synced_folders import sync_folder
from chain_client.types import Address, Digest, TxHash

if TYPE_CHECKING:
    from chain_client.ledger.embedded_evm import Evm


class EmbeddedLedger:
    """A connection to an embedded chain; see `Ledger` for the contract of each method.

    Each transaction sent is mined at once, into a block of its own; a committed block is
    final. Threads and forked children may share an instance.

    Args:
        path: the chain's file; `create_embedded` makes it, nothing else does.
        timeout_s: how long to wait for another process's block.
        clock: gives the time of blocks and views.
    """

    def __init__(self, path: Path, *, timeout_s: float = 10, clock: Clock | None = None) -> None:
        self.url = f"embedded:{path}"
        self._clock: Clock = clock or SystemClock()
        self._store = ChainStore(path, timeout_s=timeout_s)

    def __repr__(self) -> str:
        return f"EmbeddedLedger({self.url!r})"

    def chain_id(self) -> int:
        with self._store.reading() as snapshot:
            return snapshot.identity().chain_id

    def block(self, at: BlockTag | int = "latest") -> Block:
        with self._store.reading() as snapshot:
            return snapshot.block(_number(at))

    def code(self, address: Address) -> bytes:
        with self._evm() as evm:
            return evm.code(address)

    def balance_wei(self, address: Address) -> int:
        with self._evm() as evm:
            return evm.balance_wei(address)

    def nonce(self, address: Address, at: BlockTag = "latest") -> int:
        with self._evm() as evm:
            return evm.nonce(address)

    def fees(self) -> Fees:
        return Fees(max_fee_wei=2 * self.block().base_fee_wei, max_priority_fee_wei=0)

    def estimate_gas(self, call: Call, sender: Address) -> int:
        with self._evm() as evm:
            return evm.estimate_gas(call, sender)

    def call(
        self, call: Call, at: BlockTag | int = "latest", sender: Address | None = None
    ) -> bytes:
        with self._evm() as evm:
            return evm.call(call, sender, _number(at))

    def send(self, raw: bytes) -> TxHash:
        tx_hash = TxHash(keccak256(raw))
        with self._store.reading() as snapshot:
            if snapshot.has_transaction(tx_hash):
                return tx_hash
        with self._store.writing() as block:
            if not block.has_transaction(tx_hash):
                self._evm_on(block).include(raw, block)
        return tx_hash

    def receipt(self, tx_hash: TxHash) -> Receipt | None:
        with self._store.reading() as snapshot:
            return snapshot.receipt(tx_hash)

    def events(
        self, address: Address, topics: tuple[Digest | None, ...], from_block: int, to_block: int
    ) -> list[EventRecord]:
        with self._store.reading() as snapshot:
            return [
                event
                for event in snapshot.events(address, from_block, to_block)
                if len(event.topics) >= len(topics)
                and all(want in (None, has) for want, has in zip(topics, event.topics))
            ]

    def close(self) -> None:
        self._store.close()

    @contextmanager
    def _evm(self) -> Iterator[Evm]:
        with self._store.reading() as snapshot:
            yield self._evm_on(snapshot)

    def _evm_on(self, snapshot: Snapshot) -> Evm:
        prefer_fast_keccak()
        from chain_client.ledger.embedded_evm import Evm

        return Evm(snapshot, snapshot.identity().chain_id, self._clock.time_us() // 1_000_000)


def _number(at: BlockTag | int) -> int | None:
    return at if isinstance(at, int) else None


def create_embedded(
    path: Path, *, chain_id: int, funded: Sequence[Address], clock: Clock | None = None
) -> None:
    """Make a new chain in a new file of mode 0600.

    After a crash the file is whole or absent; an existing file is never replaced.

    Args:
        path: the file to make, in an existing folder.
        chain_id: positive, best a random one that no other chain has: signatures are bound to it.
        funded: accounts that get a million ether each. (Gas costs nothing here.)
        clock: gives the time of the first block.

    Raises:
        ConfigurationError: the file, or the journal of a lost one, exists, or the folder can't
            be written.
    """
    prefer_fast_keccak()
    from chain_client.ledger.embedded_evm import write_genesis

    if chain_id <= 0:
        raise ConfigurationError(f"a chain id is positive, got {chain_id}")
    check_place(path, CHAIN, INSTEAD)
    journal = path.with_name(path.name + "-journal")
    if not path.exists() and journal.exists() and journal.stat().st_size:
        raise ConfigurationError(
            f"{journal} belongs to a chain that is missing at {path}; "
            "put that chain back from your backup, or move its journal away to make a new one"
        )
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            connection = sqlite3.connect(temporary, isolation_level=None)
            try:
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("BEGIN")
                for statement in SCHEMA.split(";"):
                    connection.execute(statement)
                connection.execute("INSERT INTO chain VALUES (?)", (str(chain_id),))
                genesis = NewBlock(connection, path)
                write_genesis(
                    genesis,
                    chain_id=chain_id,
                    funded=list(funded),
                    now_s=(clock or SystemClock()).time_us() // 1_000_000,
                    salt=secrets.token_bytes(32),
                )
                genesis.flush()
                connection.execute("COMMIT")
            finally:
                connection.close()
            os.link(temporary, path)  # unlike a rename, this never replaces a file
        finally:
            temporary.unlink()
            temporary.with_name(temporary.name + "-journal").unlink(missing_ok=True)
        sync_folder(path.parent)
    except FileExistsError as exc:
        raise ConfigurationError(f"the chain {path} exists already; it is not replaced") from exc
    except sqlite3.Error as exc:
        raise ConfigurationError(str(unavailable(path, exc, 0))) from exc
    except OSError as exc:
        raise ConfigurationError(f"the chain {path} can't be made: {exc.strerror}") from exc
