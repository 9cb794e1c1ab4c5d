"""The durable transaction queue: everything sent to a chain goes through it."""

from __future__ import annotations

from chain_client.transactions.model import SettledTransaction, StoredTransaction
from chain_client.transactions.queue import TransactionQueue
from chain_client.transactions.state import TransactionStatus
from chain_client.transactions.store import key_lease_name

__all__ = [
    "SettledTransaction",
    "StoredTransaction",
    "TransactionQueue",
    "TransactionStatus",
    "key_lease_name",
]
