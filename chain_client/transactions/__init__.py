"""The durable transaction queue: everything sent to a chain goes through it."""

from __future__ import annotations

from chain_client.transactions.limits import TransactionLimits
from chain_client.transactions.model import (
    Attempt,
    AttemptKind,
    SettledTransaction,
    StoredTransaction,
)
from chain_client.transactions.queue import TransactionQueue
from chain_client.transactions.records import get_transaction, list_attempts, list_transactions
from chain_client.transactions.state import TransactionStatus
from chain_client.transactions.store import key_lease_name

__all__ = [
    "Attempt",
    "AttemptKind",
    "SettledTransaction",
    "StoredTransaction",
    "TransactionLimits",
    "TransactionQueue",
    "TransactionStatus",
    "get_transaction",
    "key_lease_name",
    "list_attempts",
    "list_transactions",
]
