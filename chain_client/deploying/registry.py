"""The registry's part of a deployment: keys, salt, contract, and the timelock over it."""

from __future__ import annotations

from chain_client.config import Settings
from chain_client.deploying.owner import Owner, PatientQueue, key_address
from chain_client.gate.sealed_file import Seal
from chain_client.home import Home
from chain_client.ledger.artifacts import load_artifact
from chain_client.ledger.deployment import Deployment, Queue, find_sent
from chain_client.ledger.registry_deployment import (
    DEPLOY_TIMELOCK_PURPOSE,
    deploy_registry,
    hand_to_timelock,
    is_registry_sent,
)
from chain_client.ledger.timelock import CONTRACT
from chain_client.registry.identity import create_salt, read_salt
from chain_client.steps import step
from chain_client.types import Digest


def add_registry(
    settings: Settings,
    home: Home,
    owner: Owner,
    deployment: Deployment,
    timelock_delay_s: int | None,
) -> Deployment:
    """Give a deployment its registry, and the registry its timelock, where they are missing.

    Args:
        settings: which keys there are.
        home: the home; its lock is held.
        owner: sends.
        deployment: as it stands; it is not written.
        timelock_delay_s: how long changes of policies and rights have to wait; None leaves who
            administers the registry as it is, and finishes a timelock that was begun.

    Returns:
        the deployment with what was added; none of it need be final yet.

    Raises:
        ConfigurationError: the salt is missing or another one, or the owner is no admin any more.
        LedgerUnavailable: the chain does not answer.
        TransactionFailed: or a child of it, as `TransactionQueue.submit`.
    """
    registrar = key_address(home, settings.registry_registrar)
    key_address(home, settings.registry_submitter)
    if deployment.registry is None:
        deployment = deploy_registry(
            deployment,
            ledger=owner.ledger,
            queue=owner.queue,
            salt_hash=_salt_hash(home, owner.queue),
            registrar=registrar,
        )
    Seal(home.gate_seal).provide()
    if timelock_delay_s is None and deployment.timelock is None:
        timelock_delay_s = _sent_delay_s(owner.queue)
    if timelock_delay_s is not None:
        deployment = hand_to_timelock(
            deployment,
            ledger=owner.ledger,
            queue=owner.queue,
            min_delay_s=timelock_delay_s,
        )
    step("provision.registry.deployed")
    return deployment


def _salt_hash(home: Home, queue: Queue) -> Digest:
    """Of the home's salt. One is made only as long as no registry was deployed with another."""
    if is_registry_sent(queue):
        return read_salt(home.registry_salt).hash()
    salt = create_salt(home.registry_salt)
    step("provision.salt.made")
    return salt.hash()


def _sent_delay_s(queue: PatientQueue) -> int | None:
    """Delay of the timelock that this queue has deployed; None if it has deployed none."""
    sent = find_sent(queue, DEPLOY_TIMELOCK_PURPOSE)
    if not sent:
        return None
    arguments = queue.call_of(sent[-1].id).data[len(load_artifact(CONTRACT).bytecode) :]
    return int.from_bytes(arguments[:32], "big")
