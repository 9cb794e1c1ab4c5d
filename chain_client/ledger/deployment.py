"""The deployment: which contract on which chain holds which log, and how it came there.

Its file is written last: a home that has one is complete. Everything before that can be found
again from what the transaction queue has stored.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from chain_client.errors import (
    ConfigurationError,
    ContractMissing,
    ContractReverted,
    LogMismatch,
    TransactionCancelled,
    WrongChain,
)
from chain_client.ledger import model_registry
from chain_client.ledger.artifacts import load_artifact
from chain_client.ledger.base import Call, Ledger, Receipt
from chain_client.ledger.deployment_file import Deployment
from chain_client.ledger.event_log import CONTRACT, EventLogContract, deploy_call
from chain_client.ledger.expected import check_code
from chain_client.ledger.model_registry import ModelRegistryContract
from chain_client.signing.keccak import keccak256
from chain_client.types import Address, Digest, LogId, from_hex, to_hex

__all__ = [
    "Deployment",
    "Queue",
    "check_deployment",
    "check_event_log",
    "check_registry",
    "deploy",
    "settle_for_good",
]

_logger = logging.getLogger(__name__)

DEPLOY_PURPOSE = f"deploy:{CONTRACT}"
"""Purpose of the transaction that deploys the contract."""
DEPLOY_REGISTRY_PURPOSE = f"deploy:{model_registry.CONTRACT}"
"""Purpose of the transaction that deploys the registry."""
OPEN_LOG_PURPOSE = "open-log:"
"""Beginning of the purpose of the transaction that opens a log; the log's id follows."""


class StoredCall(Protocol):
    """A transaction that a queue has stored."""

    @property
    def id(self) -> int: ...
    @property
    def purpose(self) -> str: ...
    @property
    def failed(self) -> bool: ...
    @property
    def is_cancel(self) -> bool: ...


class SettledCall(Protocol):
    """A transaction that the chain holds."""

    @property
    def receipt(self) -> Receipt: ...


class Queue(Protocol):
    """What `deploy` needs of `chain_client.transactions.TransactionQueue`."""

    @property
    def sender(self) -> Address: ...
    def resume(self) -> object: ...
    def submit(self, call: Call, purpose: str) -> int: ...
    def settle(self, tx_id: int, *, final: bool) -> SettledCall: ...
    def find(self, purpose: str, *, prefix: bool) -> Sequence[StoredCall]: ...
    def pending(self) -> Sequence[StoredCall]: ...


def deploy(
    path: Path,
    *,
    ledger: Ledger,
    ledger_url: str,
    queue: Queue,
    writer: Address,
    complete: Callable[[Deployment], Deployment] = lambda deployment: deployment,
    finished: Callable[[Deployment], None] = lambda deployment: None,
) -> Deployment:
    """Deploy the contract, open a log in it, and write the deployment's file.

    Guarantee: after a crash at any point, calling it again with the same queue goes on where it
    broke off; there is never a second contract or log. If the file exists, it is only read.

    Args:
        path: the file to write.
        ledger: the chain.
        ledger_url: the chain's URL as it is to stand in the file. Of a network only the endpoints'
            hosts stand there: what else a URL holds may be a key.
        queue: sends with the owner's key.
        writer: address of the key that will anchor.
        complete: adds what else belongs to the deployment. All of it is final before the file is
            written.
        finished: told of the whole deployment just before it is written.

    Raises:
        ContractReverted: the contract refused.
        ContractMissing: other code than ours stands where it was deployed.
        ConfigurationError: a log was opened earlier, for another writer.
        HomeNotWritable: the file can't be written.
        LedgerUnavailable: the chain does not answer; call again later.
        TransactionFailed: or a child of it, as `TransactionQueue.submit`.
    """
    if path.exists():
        return Deployment.read(path)
    queue.resume()
    event_log = _deploy_contract(ledger, queue)
    contract = EventLogContract(ledger, event_log)
    log_id, opened = _open_log(contract, queue, writer)
    chain_id = ledger.chain_id()
    deployment = Deployment(
        deployment_id=_deployment_id(chain_id, event_log, log_id),
        ledger_url=ledger_url if ledger_url.startswith("embedded:") else ledger.url,
        chain_id=chain_id,
        event_log=event_log,
        code_hash=Digest(keccak256(ledger.code(event_log))),
        log_id=log_id,
        owner=queue.sender,
        writer=writer,
        block_number=opened.block_number,
    )
    deployment = settle_for_good(complete(deployment), queue)
    finished(deployment)
    deployment.write(path)
    _logger.info("EventLog is at %s on chain %s", to_hex(event_log), chain_id)
    return deployment


def settle_for_good(deployment: Deployment, queue: Queue) -> Deployment:
    """Wait until all that the queue has sent is final.

    The steps before wait for a block only: where finality takes minutes, it is waited for once.

    Returns:
        the deployment with the blocks that its transactions are in for good.

    Raises:
        ContractReverted: a transaction failed in its final block.
        LedgerUnavailable: not final in time; call again later.
        TransactionFailed: or a child of it, as `TransactionQueue.settle`.
    """
    for stored in queue.pending():
        queue.settle(stored.id, final=True)
    opened = _block_of(queue, OPEN_LOG_PURPOSE + to_hex(deployment.log_id))
    registered = _block_of(queue, DEPLOY_REGISTRY_PURPOSE)
    return replace(
        deployment,
        block_number=deployment.block_number if opened is None else opened,
        registry_block=deployment.registry_block if registered is None else registered,
    )


def find_sent(queue: Queue, purpose: str, *, prefix: bool = False) -> list[StoredCall]:
    """What the queue sent for a purpose; without what failed, or was cancelled by hand.

    A cancellation is waited for until it is final: a reorg could let what it cancels come true.

    Raises:
        LedgerUnavailable: it is not final in time; call again later.
        TransactionFailed: or a child of it, as `TransactionQueue.settle`.
    """
    for tx in queue.find(purpose, prefix=prefix):
        if tx.is_cancel:
            # Cancelled for good, or it came true after all and failed: nothing stands either way.
            with contextlib.suppress(TransactionCancelled, ContractReverted):
                queue.settle(tx.id, final=True)
    found = queue.find(purpose, prefix=prefix)
    return [tx for tx in found if not tx.failed and not tx.is_cancel]


def _block_of(queue: Queue, purpose: str) -> int | None:
    """Final block of what this queue sent; None if it did not send it."""
    stored = find_sent(queue, purpose)
    if not stored:
        return None
    return queue.settle(stored[-1].id, final=True).receipt.block_number


def _deploy_contract(ledger: Ledger, queue: Queue) -> Address:
    stored = find_sent(queue, DEPLOY_PURPOSE)
    if stored:
        tx_id = stored[-1].id
    else:
        tx_id = queue.submit(deploy_call(queue.sender), DEPLOY_PURPOSE)
    address = queue.settle(tx_id, final=False).receipt.contract_address
    if address is None or not load_artifact(CONTRACT).matches(ledger.code(address)):
        raise ContractMissing(
            f"the transaction {tx_id} was to deploy {CONTRACT}, but its code is not on the chain: "
            "an older version of mlops-chain began this home; remove it and begin again"
        )
    return address


def _open_log(contract: EventLogContract, queue: Queue, writer: Address) -> tuple[LogId, Receipt]:
    stored = find_sent(queue, OPEN_LOG_PURPOSE, prefix=True)
    if stored:
        tx_id = stored[-1].id
        log_id = LogId(from_hex(stored[-1].purpose.removeprefix(OPEN_LOG_PURPOSE), size=32))
    else:
        log_id = LogId(secrets.token_bytes(32))
        call = contract.open_log_call(log_id, writer)
        tx_id = queue.submit(call, OPEN_LOG_PURPOSE + to_hex(log_id))
    receipt = queue.settle(tx_id, final=False).receipt
    found = contract.log(log_id).writer
    if found != writer:
        raise ConfigurationError(
            f"the log {to_hex(log_id)} has the writer {to_hex(found or b'')}, but this home's "
            f"key is {to_hex(writer)}: put the writer's keystore back from your backup"
        )
    return log_id, receipt


def _deployment_id(chain_id: int, event_log: Address, log_id: LogId) -> str:
    """The same for the same log, so that a crash does not give a home a second id."""
    data = b"mlops-chain deployment\0" + chain_id.to_bytes(32, "big") + event_log + log_id
    return hashlib.sha256(data).hexdigest()[:32]


def check_deployment(ledger: Ledger, deployment: Deployment) -> None:
    """See that the chain is the deployment's, and holds its contracts and its log.

    Raises:
        WrongChain: the ledger has another chain id.
        ContractMissing: no code, or other code, at a contract's address.
        LogMismatch: the contract knows no such log.
        ConfigurationError: the registry was deployed with another salt than the file says.
        LedgerUnavailable: the chain does not answer.
    """
    check_event_log(ledger, deployment)
    check_registry(ledger, deployment)


def check_event_log(ledger: Ledger, deployment: Deployment) -> None:
    """The same for the chain, the `EventLog` and the log."""
    chain_id = ledger.chain_id()
    if chain_id != deployment.chain_id:
        raise WrongChain(
            f"the ledger {ledger.url} is chain {chain_id}, but the deployment is on chain "
            f"{deployment.chain_id}; check ledger.url"
        )
    where = _check_code(ledger, chain_id, deployment.event_log, deployment.code_hash)
    try:
        EventLogContract(ledger, deployment.event_log).log(deployment.log_id)
    except ContractReverted as exc:
        raise LogMismatch(
            f"the contract at {where} does not hold the log {to_hex(deployment.log_id)}: {exc}",
            {"log": to_hex(deployment.log_id)},
        ) from exc


def check_registry(ledger: Ledger, deployment: Deployment) -> None:
    """The same for the `ModelRegistry`, if the deployment has one; the chain is checked already."""
    address, code_hash = deployment.registry, deployment.registry_code_hash
    if address is None or code_hash is None:
        return
    where = _check_code(ledger, deployment.chain_id, address, code_hash)
    found = ModelRegistryContract(ledger, address).salt_hash()
    if found != deployment.registry_salt_hash:
        raise ConfigurationError(
            f"the registry at {where} was deployed with another salt than deployment.json says: "
            "put that file back from your backup"
        )


def _check_code(ledger: Ledger, chain_id: int, address: Address, code_hash: Digest) -> str:
    """See that the code at an address is what was deployed; gives where that is."""
    where = f"{to_hex(address)} on chain {chain_id} ({ledger.url})"
    check_code(where, ledger.code(address), code_hash)
    return where
