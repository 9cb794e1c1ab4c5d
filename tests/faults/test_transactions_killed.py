"""SIGKILL at every step of a transaction, on the real embedded chain and the real log."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_client.errors import TransactionCancelled, TransactionRejected
from chain_client.ledger import Call, EmbeddedLedger
from chain_client.ledger.deployment import Deployment, check_deployment, deploy
from chain_client.ledger.event_log import EventLogContract
from chain_client.testing.simulated_ledger import SimulatedLedger
from chain_client.transactions import TransactionLimits, TransactionStatus
from tests.closing import everything_closed
from tests.embedded_chains import OWNER, WRITER, make_chain
from tests.forked import killed_at
from tests.queues import Owner, make_log, own, stored, stored_attempts
from tests.unit.chain_client.transactions.simulated import Clock, call

STEPS = [
    "transaction.signed",
    "transaction.stored",
    "embedded.block.before_commit",
    "embedded.block.committed",
    "transaction.sent",
    "transaction.included",
]
NOWHERE = b"\1" * 20
PURPOSES = ("pay:1", "pay:2")


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    with everything_closed():
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a chain and a log to which nobody is connected."""
    make_chain(tmp_path / "chain.db").close()
    make_log(tmp_path)
    return tmp_path


def next_owner(folder: Path) -> Owner:
    return own(folder / "log.db", EmbeddedLedger(folder / "chain.db"))


def pay_all(folder: Path) -> None:
    """What the owner does from its start: go on with what is stored, then send what is missing."""
    queue = next_owner(folder).queue
    queue.resume()
    for number, purpose in enumerate(PURPOSES):
        call = Call(WRITER.address(), b"%d" % number, value_wei=10**number)
        found = queue.find(purpose)
        queue.settle(found[-1].id if found else queue.submit(call, purpose), final=True)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("step", STEPS)
def test_death_at_any_step_gives_one_inclusion_of_the_stored_bytes(
    folder: Path, step: str, count: int
) -> None:
    killed_at(step, count, lambda: pay_all(folder))
    kept = stored(folder / "log.db")
    pay_all(folder)

    rows = stored(folder / "log.db")
    assert [row.purpose for row in rows] == list(PURPOSES)
    assert [row.raw for row in rows[: len(kept)]] == [row.raw for row in kept]
    assert {row.status for row in rows} == {TransactionStatus.FINALIZED}
    ledger = EmbeddedLedger(folder / "chain.db")
    assert ledger.nonce(OWNER.address()) == ledger.block().number == 2
    assert ledger.balance_wei(WRITER.address()) == 10**24 + 11


def test_an_owner_that_dies_at_every_step_in_turn_comes_to_the_end(folder: Path) -> None:
    for step in STEPS:
        killed_at(step, 1, lambda: pay_all(folder))
    pay_all(folder)
    assert EmbeddedLedger(folder / "chain.db").nonce(OWNER.address()) == 2


def make_deployment(folder: Path) -> Deployment:
    ledger = EmbeddedLedger(folder / "chain.db")
    return deploy(
        folder / "deployment.json",
        ledger=ledger,
        ledger_url="embedded:chain.db",
        queue=next_owner(folder).queue,
        writer=WRITER.address(),
    )


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("step", STEPS)
def test_a_deployment_goes_on_after_death_with_one_contract_and_one_log(
    folder: Path, step: str, count: int
) -> None:
    killed_at(step, count, lambda: make_deployment(folder))
    assert not (folder / "deployment.json").exists()
    made = make_deployment(folder)
    ledger = EmbeddedLedger(folder / "chain.db")
    check_deployment(ledger, made)
    assert EventLogContract(ledger, made.event_log).logs() == [made.log_id]
    receipts = [ledger.block(number) for number in range(ledger.block().number + 1)]
    assert len(receipts) == 3  # the first block, the contract, its log
    assert ledger.nonce(OWNER.address()) == 2
    assert make_deployment(folder) == made


GWEI = 10**9
OF_A_REPLACEMENT = [
    *("transaction.signed", "transaction.stored", "transaction.sent"),
    *("transaction.replacement.signed", "transaction.replacement.stored"),
    "transaction.included",
]


def make_stuck_chain() -> SimulatedLedger:
    """A chain whose blocks soon ask for more than what was offered first."""
    ledger = SimulatedLedger(auto_mine=False, finality_depth=2)
    ledger.tip_wei = 2 * GWEI
    return ledger


def pay_more(folder: Path, ledger: SimulatedLedger, cancel: bool = False) -> None:
    """One life of an owner whose transaction gets stuck; in the end it is settled for good."""
    clock = Clock()
    clock.on_wait = ledger.mine
    queue = own(
        folder / "log.db",
        ledger,
        clock=clock,
        wait=clock.wait,
        poll_s=5,
        limits=TransactionLimits(bump_after_s=30),
    ).queue
    found = queue.find("pay:1")
    tx_id = found[0].id if found else queue.submit(call(), "pay:1")
    ledger.base_fee_wei = 8 * GWEI
    if cancel and not queue.get(tx_id).is_cancel and queue.get(tx_id).block_number is None:
        queue.cancel(tx_id)
    queue.settle(tx_id, timeout_s=300)
    queue.settle(tx_id, final=True, timeout_s=300)


@pytest.mark.parametrize("reached", [True, False], ids=["sent", "lost with the node"])
@pytest.mark.parametrize("step", OF_A_REPLACEMENT)
def test_death_at_any_step_of_a_replacement_gives_one_inclusion(
    folder: Path, step: str, reached: bool
) -> None:
    killed_at(step, 1, lambda: pay_more(folder, make_stuck_chain()))
    kept = stored_attempts(folder / "log.db")
    ledger = make_stuck_chain()  # what the child sent died with it, unless a node had it
    if reached:
        for attempt in kept:
            with contextlib.suppress(TransactionRejected):
                ledger.send(attempt.raw)
    pay_more(folder, ledger)

    attempts = stored_attempts(folder / "log.db")
    assert attempts[: len(kept)] == kept
    assert {(attempt.nonce, attempt.kind) for attempt in attempts} == {(0, "call")}
    assert [row.status for row in stored(folder / "log.db")] == [TransactionStatus.FINALIZED]
    assert [tx.call for tx in ledger.included()] == [call()]
    assert set(ledger.sent) <= {attempt.raw for attempt in attempts}


@pytest.mark.parametrize(
    "step", ["transaction.replacement.signed", "transaction.replacement.stored"]
)
def test_death_while_cancelling_settles_the_row_either_way(folder: Path, step: str) -> None:
    killed_at(step, 1, lambda: pay_more(folder, make_stuck_chain(), cancel=True))
    ledger = make_stuck_chain()
    is_cancelled = step.endswith("stored")
    if is_cancelled:
        with pytest.raises(TransactionCancelled):
            pay_more(folder, ledger)
        ledger.mine(3)
        own(folder / "log.db", ledger).queue.watch()
    else:
        pay_more(folder, ledger)
    (row,) = stored(folder / "log.db")
    (included,) = ledger.included()
    assert row.raw == included.raw
    if is_cancelled:
        assert row.status == TransactionStatus.CANCELLED
        assert included.call == Call(OWNER.address(), b"")
    else:
        assert row.status == TransactionStatus.FINALIZED
        assert included.call == call()
