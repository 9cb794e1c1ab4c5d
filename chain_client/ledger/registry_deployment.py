"""How a `ModelRegistry` comes on chain for a home, and who administers it.

Guarantee: after a crash at any point, the same call with the same queue goes on where it broke
off. Contracts are found again by what the queue has stored, rights by what the chain says; there
is never a second registry or timelock. What is sent is in a block when a function returns, and
`deployment.settle_for_good` waits until it is final.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from chain_client.errors import ConfigurationError, ContractMissing
from chain_client.ledger import model_registry, timelock
from chain_client.ledger.artifacts import load_artifact
from chain_client.ledger.base import Call, Ledger, Receipt
from chain_client.ledger.deployment import DEPLOY_REGISTRY_PURPOSE, Queue, find_sent
from chain_client.ledger.deployment_file import Deployment
from chain_client.ledger.model_registry import (
    ADMIN_ROLE,
    REGISTRAR_ROLE,
    ModelRegistryContract,
    event_topic,
)
from chain_client.ledger.timelock import TimelockContract
from chain_client.signing.keccak import keccak256
from chain_client.types import Address, Digest, to_hex

_logger = logging.getLogger(__name__)

DEPLOY_TIMELOCK_PURPOSE = f"deploy:{timelock.CONTRACT}"
"""Purpose of the transaction that deploys the timelock."""


def is_registry_sent(queue: Queue) -> bool:
    """Whether the registry was deployed by this queue, or is on its way; its salt is fixed then."""
    return bool(_sent(queue, DEPLOY_REGISTRY_PURPOSE))


def deploy_registry(
    deployment: Deployment, *, ledger: Ledger, queue: Queue, salt_hash: Digest, registrar: Address
) -> Deployment:
    """Deploy the registry where the deployment has none, and let the registrar register.

    Args:
        deployment: as it stands; it is not written.
        ledger: the chain.
        queue: sends with the owner's key.
        salt_hash: keccak-256 of the home's salt.
        registrar: address of the key that registers versions.

    Returns:
        the deployment with its registry.

    Raises:
        ConfigurationError: the registry was deployed with another salt.
        ContractMissing: other code than ours stands where it was deployed.
        ContractReverted: the contract refused.
        LedgerUnavailable: the chain does not answer; call again later.
        TransactionFailed: or a child of it, as `TransactionQueue.submit`.
    """
    if deployment.registry is not None:
        return deployment
    queue.resume()
    call = model_registry.deploy_call(queue.sender, salt_hash)
    receipt = _deploy(ledger, queue, call, DEPLOY_REGISTRY_PURPOSE, model_registry.CONTRACT)
    address = _address(receipt)
    contract = ModelRegistryContract(ledger, address)
    if contract.salt_hash() != salt_hash:
        raise ConfigurationError(
            f"the registry at {to_hex(address)} was deployed with another salt than the one in "
            "this home's keys: put keys/registry-salt back from your backup"
        )
    _grant(contract, queue, REGISTRAR_ROLE, registrar)
    _logger.info("ModelRegistry is at %s on chain %s", to_hex(address), deployment.chain_id)
    return replace(
        deployment,
        registry=address,
        registry_code_hash=Digest(keccak256(ledger.code(address))),
        registry_salt_hash=salt_hash,
        registry_block=receipt.block_number,
    )


def hand_to_timelock(
    deployment: Deployment, *, ledger: Ledger, queue: Queue, min_delay_s: int
) -> Deployment:
    """Let a timelock administer the registry in the owner's place.

    The owner's key proposes, executes and cancels there from then on, and has no direct right in
    the registry any more.

    Args:
        deployment: with its registry; it is not written.
        ledger: the chain.
        queue: sends with the owner's key.
        min_delay_s: how long every change has to wait.

    Returns:
        the deployment with its timelock.

    Raises:
        ConfigurationError: a timelock with another delay stands already, the owner's key is no
            admin of the registry, or others are beside it.
        ContractMissing: other code than ours stands where it was deployed.
        ContractReverted: the contract refused.
        LedgerUnavailable: the chain does not answer; call again later.
        TransactionFailed: or a child of it, as `TransactionQueue.submit`.
    """
    assert deployment.registry is not None
    registry = ModelRegistryContract(ledger, deployment.registry)
    if deployment.timelock is not None:
        _check_delay(TimelockContract(ledger, deployment.timelock), min_delay_s)
        return deployment
    queue.resume()
    owner = queue.sender
    sent = _sent(queue, DEPLOY_TIMELOCK_PURPOSE)
    if not sent and not registry.has_role(ADMIN_ROLE, owner):
        raise ConfigurationError(
            f"the owner's key {to_hex(owner)} is no admin of the registry any more: whoever is has "
            "to hand it to a timelock"
        )
    others = find_admins(ledger, registry, deployment.registry_block or 0) - {owner}
    if not sent and others:
        raise ConfigurationError(_others_text(others))
    call = timelock.deploy_call(min_delay_s, [owner], [owner])
    receipt = _deploy(ledger, queue, call, DEPLOY_TIMELOCK_PURPOSE, timelock.CONTRACT)
    lock = TimelockContract(ledger, _address(receipt))
    _check_delay(lock, min_delay_s)
    if others - {lock.address}:
        raise ConfigurationError(_others_text(others - {lock.address}))
    _grant(registry, queue, ADMIN_ROLE, lock.address)
    if registry.has_role(ADMIN_ROLE, owner):
        renounce = registry.renounce_role_call(ADMIN_ROLE, owner)
        queue.settle(queue.submit(renounce, f"renounce:{to_hex(owner)}"), final=False)
    _logger.info("a timelock of %d s at %s has the registry", min_delay_s, to_hex(lock.address))
    return replace(deployment, timelock=lock.address)


def find_admins(ledger: Ledger, registry: ModelRegistryContract, first_block: int) -> set[Address]:
    """Everybody who administers the registry now.

    Args:
        ledger: the chain.
        registry: the registry.
        first_block: block in which it was deployed.

    Raises:
        LedgerUnavailable: the chain does not answer.
    """
    granted = registry.events(
        first_block, ledger.block().number, event_topic("RoleGranted"), ADMIN_ROLE
    )
    known = {Address(event.args["account"]) for event in granted}
    return {account for account in known if registry.has_role(ADMIN_ROLE, account)}


def _others_text(others: set[Address]) -> str:
    names = ", ".join(to_hex(account) for account in sorted(others))
    return (
        f"{names} can administer the registry too, and would not have to wait for a timelock: "
        "revoke the role admin there first, with `mlops-chain role revoke admin ADDRESS`"
    )


def _check_delay(lock: TimelockContract, min_delay_s: int) -> None:
    found = lock.min_delay_s()
    if found != min_delay_s:
        raise ConfigurationError(
            f"a timelock of {found} s administers the registry already, and {min_delay_s} s were "
            "asked for; its delay is changed only by an operation of its own"
        )


def _grant(contract: ModelRegistryContract, queue: Queue, role: Digest, account: Address) -> None:
    if not contract.has_role(role, account):
        call = contract.grant_role_call(role, account)
        name = model_registry.ROLE_NAMES[role]
        queue.settle(queue.submit(call, f"grant:{name}:{to_hex(account)}"), final=False)


def _sent(queue: Queue, purpose: str) -> list[int]:
    return [tx.id for tx in find_sent(queue, purpose)]


def _deploy(ledger: Ledger, queue: Queue, call: Call, purpose: str, contract: str) -> Receipt:
    sent = _sent(queue, purpose)
    tx_id = sent[-1] if sent else queue.submit(call, purpose)
    receipt = queue.settle(tx_id, final=False).receipt
    if not load_artifact(contract).matches(ledger.code(_address(receipt))):
        raise ContractMissing(
            f"the transaction {tx_id} was to deploy {contract}, but its code is not on the chain: "
            "another version of mlops-chain sent it, or the chain was replaced"
        )
    return receipt


def _address(receipt: Receipt) -> Address:
    return receipt.contract_address or Address(bytes(20))
