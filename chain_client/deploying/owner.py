"""Sending with the owner's key: its lease, its queue, and patience where finality takes minutes."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from chain_client.config import Settings
from chain_client.errors import CallReverted, ContractReverted
from chain_client.home import OWNER_KEY, Home
from chain_client.ledger import ExpectedChain, Ledger, event_log, open_ledger, timelock
from chain_client.ledger.base import Call
from chain_client.log import Lease, Log
from chain_client.log.holders import host_of, this_process
from chain_client.signing import create_keystore, open_signer
from chain_client.transactions import (
    SettledTransaction,
    StoredTransaction,
    TransactionLimits,
    TransactionQueue,
    key_lease_name,
)
from chain_client.types import Address

_KEYSTORE = "keystore:"
_LEASE_S = 120.0
_RENEW_S = 30.0
_PATIENCE_S = 60.0
_PATIENCE_ON_NETWORK_S = 3600.0
"""Finality takes about a quarter of an hour on Ethereum, and far longer while it is disturbed."""

Progress = Callable[[str], None]
"""Told in words what is waited for, or was done."""


class Declined(Exception):
    """The person who was asked does not want it."""


def says_nothing(text: str) -> None:
    """Progress that nobody looks at."""


def is_network(settings: Settings) -> bool:
    """Whether `ledger.url` names endpoints of a network, and no chain of this home's own."""
    return settings.names_network


class PatientQueue:
    """The owner's queue, which waits as long as the chain needs and says for what.

    Args:
        queue: sends.
        patience_s: how long a transaction is waited for.
        progress: told of each.
    """

    def __init__(self, queue: TransactionQueue, patience_s: float, progress: Progress) -> None:
        self._queue = queue
        self._patience_s = patience_s
        self._progress = progress
        self._told: set[str] = set()

    @property
    def sender(self) -> Address:
        """Address of the key."""
        return self._queue.sender

    def resume(self) -> object:
        """See `TransactionQueue.resume`."""
        return self._queue.resume(timeout_s=self._patience_s)

    def submit(self, call: Call, purpose: str) -> int:
        """See `TransactionQueue.submit`."""
        tx_id = self._queue.submit(call, purpose)
        self._progress(f"sent {purpose}")
        return tx_id

    def settle(self, tx_id: int, *, final: bool) -> SettledTransaction:
        """See `TransactionQueue.settle`."""
        settled = self._queue.settle(tx_id, final=final, timeout_s=self._patience_s)
        how = "final" if final else "on chain"
        text = f"{how} in block {settled.receipt.block_number}: {settled.purpose}"
        if text not in self._told:
            self._told.add(text)
            self._progress(text)
        return settled

    def find(self, purpose: str, *, prefix: bool) -> Sequence[StoredTransaction]:
        """See `TransactionQueue.find`."""
        return self._queue.find(purpose, prefix=prefix)

    def call_of(self, tx_id: int) -> Call:
        """What a stored transaction does."""
        return self._queue.get(tx_id).to_call()

    def pending(self) -> Sequence[StoredTransaction]:
        """See `TransactionQueue.pending`."""
        return self._queue.pending()


@dataclass(frozen=True, slots=True)
class Owner:
    """The chain, and a queue that sends with the owner's key."""

    ledger: Ledger
    queue: PatientQueue


@contextmanager
def owning(
    settings: Settings,
    home: Home,
    replace_dead: Callable[[str], bool],
    expected: ExpectedChain | None = None,
    progress: Progress = says_nothing,
    key_uri: str = OWNER_KEY,
) -> Iterator[Owner]:
    """Send with the owner's key, or another one; the home's lock is held.

    Args:
        settings: where the home, the log and the chain are.
        home: the home.
        replace_dead: whether the holder of a lease is gone.
        expected: what the chain must be; by default whichever answers.
        progress: told what is waited for.
        key_uri: the key that sends.

    Raises:
        AnotherRelay: another process sends with the key.
        ConfigurationError: the key can't be read.
        LedgerUnavailable: the chain does not answer.
        LogUnavailable: the log's database does not answer.
    """
    signer = open_signer(key_uri, base=home.path)
    log = Log(settings.resolve_url(settings.log_url))
    ledger = open_ledger(settings, expected=expected)
    try:
        log.check_schema()
        held = _Held(log, key_lease_name(signer.address()), replace_dead)
        try:
            queue = TransactionQueue(
                log.engine,
                ledger,
                signer,
                lease=lambda: held.lease,
                chain_id=ledger.chain_id() if expected is None else expected.chain_id,
                explain=_explain,
                alarm=log.raise_alarm,
                clear_alarm=log.clear_alarm,
                wait=held.wait,
                # A person asked for this, once: the budget for every hour is the relay's.
                limits=replace(TransactionLimits.from_settings(settings), gas_per_hour=None),
                is_exclusive=key_uri != OWNER_KEY,
            )
            patience_s = _PATIENCE_ON_NETWORK_S if is_network(settings) else _PATIENCE_S
            yield Owner(ledger, PatientQueue(queue, patience_s, progress))
        finally:
            log.release(held.lease)
    finally:
        ledger.close()
        log.close()


class _Held:
    """The key's lease, renewed while a block is waited for."""

    def __init__(self, log: Log, name: str, replace_dead: Callable[[str], bool]) -> None:
        self._log = log
        self.lease: Lease = log.acquire_lease(
            name, this_process(), _LEASE_S, replace_dead=replace_dead
        )
        self._renewed_s = time.monotonic()

    def wait(self, seconds: float) -> None:
        if time.monotonic() - self._renewed_s >= _RENEW_S:
            self.lease = self._log.renew(self.lease, _LEASE_S)
            self._renewed_s = time.monotonic()
        time.sleep(seconds)


def key_address(home: Home, uri: str) -> Address:
    """Of a key, which is made if it is a file of the home that is missing.

    Raises:
        ConfigurationError: it can't be read or unlocked.
        HomeNotWritable: it can't be made.
    """
    path = home.path / uri.removeprefix(_KEYSTORE)
    signer = open_signer(uri, base=home.path)
    if path.exists() or not uri.startswith(_KEYSTORE):
        return signer.address()
    return create_keystore(path)


def find_address(home: Home, uri: str) -> Address | None:
    """Of a key; None if it is a file of the home that is missing.

    Raises:
        ConfigurationError: it can't be read.
    """
    if uri.startswith(_KEYSTORE) and not (home.path / uri.removeprefix(_KEYSTORE)).exists():
        return None
    return open_signer(uri, base=home.path).address()


def is_of_this_machine(name: str) -> bool:
    """Of a home that is not complete: whoever held its lock, and the lease with it, is gone."""
    return host_of(name) == socket.gethostname()


def _explain(error: CallReverted) -> ContractReverted:
    """Of whichever contract reverted: the log's, the timelock's or the registry's."""
    told = event_log.explain(error)
    return told if told.name else timelock.explain(error)
