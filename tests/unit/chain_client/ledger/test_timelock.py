"""The binding of `TimelockController`, in front of a real registry on an embedded chain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_client.errors import CallReverted, ContractMissing, ContractReverted
from chain_client.ledger import Call, EmbeddedLedger
from chain_client.ledger.abi import load_abi
from chain_client.ledger.artifacts import load_artifact
from chain_client.ledger.model_registry import ADMIN_ROLE as REGISTRY_ADMIN
from chain_client.ledger.timelock import (
    ADMIN_ROLE,
    CANCELLER_ROLE,
    CONTRACT,
    EXECUTOR_ROLE,
    PROPOSER_ROLE,
    Operation,
    OperationState,
    ScheduledOperation,
    TimelockContract,
    deploy_call,
    explain,
)
from chain_client.types import Address, Digest
from tests.embedded_chains import OWNER, STRANGER, KeyInMemory
from tests.registries import GROUP, OpenRegistry

DELAY_S = 1
SALT = Digest(b"\x05" * 32)
NONE = Digest(bytes(32))


@pytest.fixture
def lock(registry: OpenRegistry) -> Iterator[TimelockContract]:
    """A timelock that administers the registry; `OWNER` proposes and executes."""
    owner = OWNER.address()
    address = registry.send(OWNER, deploy_call(DELAY_S, [owner], [owner])).contract_address
    assert address is not None
    registry.send(OWNER, registry.contract.grant_role_call(REGISTRY_ADMIN, address))
    registry.send(OWNER, registry.contract.renounce_role_call(REGISTRY_ADMIN, owner))
    ledger = EmbeddedLedger(Path(registry.ledger.url.removeprefix("embedded:")))
    yield TimelockContract(ledger, address)
    ledger.close()


def refusal(registry: OpenRegistry, signer: KeyInMemory, call: Call) -> ContractReverted:
    with pytest.raises(CallReverted) as caught:
        registry.ledger.estimate_gas(call, signer.address())
    return explain(caught.value)


def add_member(registry: OpenRegistry, salt: Digest = SALT) -> Operation:
    return Operation(registry.contract.add_approver_call(GROUP, STRANGER.address()), salt)


def let_time_pass(registry: OpenRegistry, until_s: int) -> None:
    """Each block is at least a second later than the one before."""
    while registry.ledger.block().timestamp_s < until_s:
        registry.send(OWNER, Call(STRANGER.address(), b""))


def test_the_roles_are_those_of_the_contract(
    registry: OpenRegistry, lock: TimelockContract
) -> None:
    ours = {
        "DEFAULT_ADMIN_ROLE": ADMIN_ROLE,
        "PROPOSER_ROLE": PROPOSER_ROLE,
        "EXECUTOR_ROLE": EXECUTOR_ROLE,
        "CANCELLER_ROLE": CANCELLER_ROLE,
    }
    for name, value in ours.items():
        call = Call(lock.address, load_abi(CONTRACT).encode_call(name))
        assert registry.ledger.call(call) == value, name
    assert not lock.has_role(ADMIN_ROLE, OWNER.address())
    assert lock.has_role(ADMIN_ROLE, lock.address)


@pytest.mark.parametrize("salt", [SALT, NONE])
def test_a_change_waits_in_the_open_and_is_executed(
    registry: OpenRegistry, lock: TimelockContract, salt: Digest
) -> None:
    assert lock.min_delay_s() == DELAY_S
    operation = add_member(registry, salt)
    identity = lock.id_of(operation)
    assert identity == operation.id
    assert (lock.state(identity), lock.ready_at_s(identity)) == (OperationState.NONE, None)
    receipt = registry.send(OWNER, lock.schedule_call(operation, DELAY_S))
    scheduled_s = registry.ledger.block().timestamp_s
    ready_at_s = lock.ready_at_s(identity)
    assert ready_at_s == scheduled_s + DELAY_S
    assert lock.state(identity, at=receipt.block_number) is OperationState.WAITING
    assert lock.scheduled(0, receipt.block_number) == [
        ScheduledOperation(identity, operation, DELAY_S, receipt.block_number, receipt.tx_hash)
    ]
    let_time_pass(registry, ready_at_s)
    assert lock.state(identity) is OperationState.READY
    assert not registry.contract.is_approver(GROUP, STRANGER.address())
    registry.send(OWNER, lock.execute_call(operation))
    assert registry.contract.is_approver(GROUP, STRANGER.address())
    assert (lock.state(identity), lock.ready_at_s(identity)) == (OperationState.DONE, None)


def test_what_waits_is_cancelled(registry: OpenRegistry, lock: TimelockContract) -> None:
    operation = add_member(registry)
    registry.send(OWNER, lock.schedule_call(operation, DELAY_S))
    registry.send(OWNER, lock.cancel_call(lock.id_of(operation)))
    assert lock.state(lock.id_of(operation)) is OperationState.NONE


def test_refusals_are_told_in_words(registry: OpenRegistry, lock: TimelockContract) -> None:
    operation = add_member(registry)
    told = refusal(registry, STRANGER, lock.schedule_call(operation, DELAY_S))
    assert "has not the role proposer of the timelock" in str(told)
    told = refusal(registry, OWNER, lock.schedule_call(operation, 0))
    assert "a delay of 0 s is shorter than the 1 s" in str(told)
    told = refusal(registry, OWNER, lock.execute_call(operation))
    assert told.name == "TimelockUnexpectedOperationState"
    told = refusal(registry, OWNER, registry.contract.pause_call())
    assert "has not the role breaker" in str(told)


def test_a_refusal_of_the_registry_is_told_as_its_own(
    registry: OpenRegistry, lock: TimelockContract
) -> None:
    operation = Operation(registry.contract.add_approver_call(NONE, STRANGER.address()), SALT)
    registry.send(OWNER, lock.schedule_call(operation, DELAY_S))
    let_time_pass(registry, registry.ledger.block().timestamp_s + DELAY_S)
    told = refusal(registry, OWNER, lock.execute_call(operation))
    assert told.name == "InvalidApprover"
    assert "neither a group nor a member can be zero" in str(told)


def test_every_error_has_a_sentence() -> None:
    from chain_client.ledger.timelock import _SENTENCES

    declared = {
        str(entry["name"]) for entry in load_artifact(CONTRACT).abi if entry["type"] == "error"
    }
    assert set(_SENTENCES) == declared


def test_a_missing_contract_is_told(registry: OpenRegistry) -> None:
    with pytest.raises(ContractMissing, match="no TimelockController contract answers at 0x0101"):
        TimelockContract(registry.ledger, Address(b"\1" * 20)).min_delay_s()
