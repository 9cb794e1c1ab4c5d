"""Small embedded chains for tests, with an `EventLog`, and keys that need no file."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

import coincurve

from chain_client.ledger import Call, EmbeddedLedger, Ledger, Receipt, create_embedded
from chain_client.ledger.event_log import EventLogContract, deploy_call
from chain_client.signing import Signer
from chain_client.signing.keccak import keccak256
from chain_client.testing.ledger_suite import sign
from chain_client.types import Address, LogId

CHAIN_ID = 1_234_567


class KeyInMemory:
    """A signer whose key follows from a number."""

    def __init__(self, number: int) -> None:
        self.uri = f"memory:{number}"
        self.secret = keccak256(b"test key %d" % number)
        self._key = coincurve.PrivateKey(self.secret)

    def address(self) -> Address:
        return Address(keccak256(self._key.public_key.format(compressed=False)[1:])[12:])

    def sign_hash(self, digest: bytes) -> tuple[int, int, int]:
        signature: bytes = self._key.sign_recoverable(digest, hasher=None)
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        return signature[64], r, s


OWNER, WRITER, STRANGER = KeyInMemory(1), KeyInMemory(2), KeyInMemory(3)
"""The first two have funds on every chain of `make_chain`."""


def make_chain(path: Path, *, chain_id: int = CHAIN_ID) -> EmbeddedLedger:
    """A new chain in a file, and a connection to it."""
    create_embedded(path, chain_id=chain_id, funded=[OWNER.address(), WRITER.address()])
    return EmbeddedLedger(path)


def transact(
    ledger: Ledger, signer: Signer, call: Call, *, gas_limit: int | None = None
) -> Receipt:
    """Sign and include a call; with a gas limit it may fail on chain."""
    receipt = ledger.receipt(ledger.send(sign(ledger, signer, call, gas_limit=gas_limit)))
    assert receipt is not None
    return receipt


def deploy_event_log(ledger: Ledger) -> EventLogContract:
    """A new contract of the owner's."""
    address = transact(ledger, OWNER, deploy_call(OWNER.address())).contract_address
    assert address is not None
    return EventLogContract(ledger, address)


@dataclass(frozen=True)
class OpenedLog:
    """A log that `WRITER` may write, its contract and its chain."""

    ledger: EmbeddedLedger
    contract: EventLogContract
    log_id: LogId


def open_log(path: Path) -> OpenedLog:
    """A new chain with a new contract and an empty log in it."""
    ledger = make_chain(path)
    contract = deploy_event_log(ledger)
    log_id = LogId(secrets.token_bytes(32))
    transact(ledger, OWNER, contract.open_log_call(log_id, WRITER.address()))
    return OpenedLog(ledger, contract, log_id)
