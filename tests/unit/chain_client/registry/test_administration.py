"""Administration behind a timelock, and keys that several processes use."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from chain_client.clock import SystemClock
from chain_client.errors import (
    AnotherRelay,
    ConfigurationError,
    ContractReverted,
    ForeignNonce,
    InvalidInput,
)
from chain_client.hosts import ModelIncarnation
from chain_client.ledger.base import BlockTag, Call
from chain_client.ledger.timelock import OperationState, TimelockContract
from chain_client.registry.administration import Done, Noted, Scheduled, _next_operation
from chain_client.registry.check_configuration import ConfiguredCheck
from chain_client.registry.client import RegistryClient
from chain_client.signing import open_signer
from chain_client.transactions import key_lease_name
from chain_client.types import Digest
from tests.embedded_chains import transact
from tests.unit.chain_client.registry.office import (
    BREAKER,
    CHAMPION,
    DAVE,
    FRAUD,
    STRANGER,
    Office,
)

DELAY_S = 2


@pytest.fixture
def locked(office: Office) -> Office:
    """A registry that a timelock administers."""
    office.chain.provide_registry(timelock_delay_s=DELAY_S)
    office.client = office.connect()
    assert office.chain.deployment.timelock is not None
    return office


def _wait_until(office: Office, time_s: int) -> None:
    import time

    deadline = time.monotonic() + 30
    while office.client.now_s() < time_s:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_behind_a_timelock_the_same_call_schedules_and_later_carries_out(locked: Office) -> None:
    client = locked.client
    first = client.remove_approver("risk", DAVE.address())
    assert isinstance(first, Scheduled)
    assert client.remove_approver("risk", DAVE.address()) == first
    assert client.contract.is_approver(client.group_id("risk"), DAVE.address())
    _wait_until(locked, first.ready_at_s)
    done = client.remove_approver("risk", DAVE.address())
    assert isinstance(done, Done)
    assert done.tx_hash is not None
    assert client.remove_approver("risk", DAVE.address()) == Done()
    assert not client.contract.is_approver(client.group_id("risk"), DAVE.address())

    # The same operation, a second time: it waits again, as another one.
    added = client.add_approver("risk", DAVE.address())
    assert isinstance(added, Scheduled)
    _wait_until(locked, added.ready_at_s)
    client.add_approver("risk", DAVE.address())
    again = client.remove_approver("risk", DAVE.address())
    assert isinstance(again, Scheduled)
    assert again.operation_id != first.operation_id


class CountingTimelock(TimelockContract):
    """A timelock that is said to have done some operations, and counts questions."""

    def __init__(self, office: Office) -> None:
        assert office.chain.deployment.timelock is not None
        super().__init__(office.chain.ledger, office.chain.deployment.timelock)
        self.done: list[bytes] = []
        self.asked = 0

    def state(self, operation_id: bytes, at: BlockTag | int = "latest") -> OperationState:
        self.asked += 1
        return OperationState.DONE if operation_id in self.done else super().state(operation_id, at)


def test_the_next_operation_of_a_long_line_is_found_with_few_questions(locked: Office) -> None:
    client, lock = locked.client, CountingTimelock(locked)
    call = client.contract.add_approver_call(client.group_id("risk"), STRANGER.address())
    for _ in range(40):
        lock.asked = 0
        operation, operation_id, state = _next_operation(lock, call)
        assert state is OperationState.NONE
        assert operation_id == lock.id_of(operation)
        assert operation_id not in lock.done
        assert lock.asked <= 12
        lock.done.append(operation_id)


def test_checks_are_applied_by_who_proposes_to_the_timelock_and_by_nobody_else(
    locked: Office,
) -> None:
    client = locked.client
    place = client.model_id(FRAUD), client.target_id(CHAMPION)
    check = ConfiguredCheck("better", "promotion-checks", {"metric": "auc"})
    with pytest.raises(InvalidInput, match="applied by who administers the registry"):
        client.apply_checks(place, (check,), signer=STRANGER)
    assert client.apply_checks(place, (check,)) == Noted()
    assert client.applied_checks()[place].checks == (check,)
    assert client.applied_checks()[place].signer == locked.owner.address()
    assert client.apply_checks(place, (check,)) == Done()


def test_a_breaker_pauses_at_once_even_behind_a_timelock(locked: Office) -> None:
    assert isinstance(locked.client.pause(signer=BREAKER), Done)
    assert locked.client.contract.paused()
    assert isinstance(locked.client.unpause(), Scheduled)


def test_who_is_no_admin_is_refused(office: Office) -> None:
    with pytest.raises(ContractReverted, match="has not the role admin"):
        office.client.add_approver("risk", STRANGER.address(), signer=STRANGER)
    with pytest.raises(ConfigurationError, match="expected one of the roles admin, registrar"):
        office.client.grant_role("king", STRANGER.address())


def test_a_successor_is_named_once_with_its_reason(office: Office) -> None:
    client = office.client
    assert isinstance(client.succeed(STRANGER.address(), "new contract"), Done)
    assert client.succeed(STRANGER.address(), "new contract") == Done()
    told = [entry for entry in client.history().entries if entry.what == "registry succeeded"]
    assert told[0].detail.endswith("reason: new contract")


def test_processes_that_share_a_key_take_turns(office: Office) -> None:
    document = office.propose()
    errors: list[BaseException] = []
    # Who waits for the others must really wait: no clock of the test goes faster for them.
    clients = [Office(office.home).connect(clock=SystemClock(), wait=time.sleep) for _ in range(3)]

    def bring(number: int, client: RegistryClient) -> None:
        try:
            client.grant_role("requester", type(STRANGER)(100 + number).address())
        except BaseException as exc:
            errors.append(exc)

    threads = [threading.Thread(target=bring, args=item) for item in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    requesters = next(role for role in office.client.state().roles.values() if len(role) > 3)
    assert len(requesters) == 4
    assert office.client.standing(document).status.name == "OPEN"


def test_a_key_that_is_always_in_use_is_told(office: Office) -> None:
    owner = office.owner
    name = key_lease_name(owner.address())
    office.log.acquire_lease(name, "elsewhere:1", 600)
    with pytest.raises(AnotherRelay, match="elsewhere:1 holds the lease"):
        office.client.grant_role("requester", STRANGER.address())


def test_a_key_of_a_dead_process_is_taken_over(office: Office, tmp_path: Path) -> None:
    import subprocess
    import sys

    said = "from chain_client.log.holders import this_process; print(this_process())"
    ended = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    name = key_lease_name(office.owner.address())
    office.log.acquire_lease(name, ended.stdout.strip(), 600)
    assert isinstance(office.client.grant_role("requester", STRANGER.address()), Done)


def test_a_service_s_key_that_somebody_else_used_is_stopped_and_a_person_s_goes_on(
    office: Office,
) -> None:
    ledger, base = office.chain.ledger, office.chain.home
    model = ModelIncarnation("a" * 32, "", "fraud", 1)
    registrar = open_signer(office.chain.settings.registry_registrar, base=base)
    office.client.register_version(model, 1, Digest(b"\x01" * 32), 0)
    office.client.grant_role("requester", STRANGER.address())
    for key in (registrar, office.owner):
        transact(ledger, key, Call(STRANGER.address(), b""))
    office.client.grant_role("requester", DAVE.address())
    with pytest.raises(ForeignNonce, match="someone else has this key"):
        office.client.register_version(model, 2, Digest(b"\x02" * 32), 0)
