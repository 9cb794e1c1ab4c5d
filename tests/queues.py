"""Transaction queues for tests: the key's next owner, and what its log has stored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy

from chain_client.ledger import Ledger
from chain_client.log import Lease, Log
from chain_client.signing import Signer
from chain_client.transactions import TransactionQueue, key_lease_name
from tests.embedded_chains import OWNER


def make_log(folder: Path) -> Path:
    """A new log's file."""
    path = folder / "log.db"
    log = Log(f"sqlite:///{path}")
    log.create()
    log.close()
    return path


def url_of(log: Path | str) -> str:
    """URL of a log that is named by it, or by its file."""
    return log if isinstance(log, str) else f"sqlite:///{log}"


@dataclass(frozen=True)
class Owner:
    """One life of a key's owner: its connection to the log, its lease and its queue."""

    log: Log
    lease: Lease
    queue: TransactionQueue


def own(
    log: Path | str,
    ledger: Ledger,
    *,
    signer: Signer = OWNER,
    chain_id: int | None = None,
    log_timeout_s: float = 5,
    **options: Any,
) -> Owner:
    """Take the key over, as after the death of its owner.

    Args:
        log: its file, as `make_log` gave it, or its URL.
        ledger: the chain.
        signer: the key.
        chain_id: by default the ledger's.
        log_timeout_s: how long a locked log is waited for.
        options: further ones of `TransactionQueue`.
    """
    opened = Log(url_of(log), timeout_s=log_timeout_s)
    name = key_lease_name(signer.address())
    lease = opened.acquire_lease(name, "test", 60, replace_dead=lambda holder: True)
    queue = TransactionQueue(
        opened.engine,
        ledger,
        signer,
        lease=lambda: lease,
        chain_id=ledger.chain_id() if chain_id is None else chain_id,
        alarm=opened.raise_alarm,
        clear_alarm=opened.clear_alarm,
        **options,
    )
    return Owner(opened, lease, queue)


@dataclass(frozen=True)
class Row:
    """A stored transaction, read past the queue."""

    nonce: int
    purpose: str
    raw: bytes
    status: str


def stored(log: Path | str) -> list[Row]:
    """All stored transactions, in the order of their nonces."""
    query = "SELECT nonce, purpose, raw, status FROM transactions ORDER BY sender, nonce"
    return [Row(*row) for row in _select(log, query)]


@dataclass(frozen=True)
class StoredAttempt:
    """What was signed at a nonce, read past the queue."""

    purpose: str
    nonce: int
    kind: str
    raw: bytes


def stored_attempts(log: Path | str) -> list[StoredAttempt]:
    """All that was ever signed and kept, lowest nonce and lowest offer first."""
    query = (
        "SELECT purpose, nonce, kind, a.raw FROM attempts a JOIN transactions t "
        "ON t.id = a.transaction_id ORDER BY sender, nonce, a.max_fee_wei"
    )
    return [StoredAttempt(*row) for row in _select(log, query)]


def _select(log: Path | str, query: str) -> list[Any]:
    engine = sqlalchemy.create_engine(url_of(log), poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        return list(connection.exec_driver_sql(query))
