"""Whatever happens in whatever order: one signature and one inclusion for each purpose."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_client import steps
from chain_client.errors import LedgerUnavailable, TransactionRejected
from chain_client.testing.simulated_ledger import SimulatedLedger
from chain_client.transactions import TransactionStatus
from tests.strategies import examples
from tests.unit.chain_client.transactions.simulated import Bench, call

FINALITY_DEPTH = 2
PURPOSES = 3
CRASHES = [step for step in steps.STEPS if step.startswith("transaction.")]
REASONS = ["nonce_too_low", "nonce_gap", "insufficient_funds", "fee_too_low", "other"]


class Death(BaseException):
    """The process ends here, as far as one process can play it."""


@contextmanager
def dying_at(step: str) -> Iterator[None]:
    def die(name: str) -> None:
        if name == step:
            raise Death

    steps.on_step = die
    try:
        yield
    finally:
        steps.on_step = None


class Storm:
    """What can be done to a queue and its chain."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.signed: dict[str, bytes] = {}
        """The first bytes that were stored for each purpose."""

    def advance(self, number: int) -> None:
        """Bring a purpose on as far as it goes now, as its caller does after any start."""
        queue, purpose = self.bench.queue, f"pay:{number}"
        try:
            found = queue.find(purpose)
            tx_id = found[-1].id if found else queue.submit(call(number), purpose)
            queue.settle(tx_id, timeout_s=1)
        except (LedgerUnavailable, TransactionRejected):
            pass
        finally:
            self.check()

    def look_around(self, number: int) -> None:
        try:
            self.bench.queue.watch()
            self.bench.queue.resume(timeout_s=1)
        except (LedgerUnavailable, TransactionRejected):
            pass
        finally:
            self.check()

    def crash(self, number: int) -> None:
        self.bench.take_over()

    def crash_on_the_way(self, number: int) -> None:
        with dying_at(CRASHES[number % len(CRASHES)]):
            try:
                self.advance(number % PURPOSES)
            except Death:
                self.bench.take_over()

    def lose_reply(self, number: int) -> None:
        self.bench.ledger.lose_reply()

    def drop(self, number: int) -> None:
        self.bench.ledger.drop_silently()

    def fail(self, number: int) -> None:
        methods = ("send", "receipt", "nonce", "block", "fees", "estimate_gas")
        self.bench.ledger.fail(methods[number % len(methods)], LedgerUnavailable("down"))

    def refuse(self, number: int) -> None:
        refusal = TransactionRejected(REASONS[number % len(REASONS)], "no")
        self.bench.ledger.fail("send", refusal)

    def mine(self, number: int) -> None:
        self.bench.ledger.mine(1 + number % 3)

    def empty_pool(self, number: int) -> None:
        self.bench.ledger.empty_pool()

    def reorg(self, number: int) -> None:
        depth = min(1 + number % FINALITY_DEPTH, self.bench.ledger.block().number)
        if depth:
            self.bench.ledger.reorg(depth, keep=number % 2 == 0)

    def pass_time(self, number: int) -> None:
        self.bench.clock.wait(5 * number)

    def check(self) -> None:
        """Stored bytes never change, and nothing else was ever handed to the chain."""
        rows = self.bench.rows()
        assert len({row.purpose for row in rows}) == len(rows)
        for row in rows:
            assert self.signed.setdefault(row.purpose, row.raw) == row.raw
        assert self.signed.keys() == {row.purpose for row in rows}
        assert set(self.bench.ledger.sent) <= set(self.signed.values())

    def calm_down(self) -> None:
        """No more faults; the last owner brings everything to the end."""
        bench = self.bench
        bench.ledger.calm()
        bench.clock.on_wait = bench.ledger.mine
        queue = bench.take_over()
        queue.resume()
        for number in range(PURPOSES):
            found = queue.find(f"pay:{number}")
            tx_id = found[-1].id if found else queue.submit(call(number), f"pay:{number}")
            queue.settle(tx_id, final=True)
        self.check()


ACTIONS: dict[str, Callable[[Storm, int], None]] = {
    name: getattr(Storm, name)
    for name in (
        *("advance", "look_around", "crash", "crash_on_the_way", "lose_reply", "drop", "fail"),
        *("refuse", "mine", "empty_pool", "reorg", "pass_time"),
    )
}
moves = st.one_of(
    st.tuples(st.just("advance"), st.integers(0, PURPOSES - 1)),
    st.tuples(st.sampled_from(sorted(ACTIONS)), st.integers(0, PURPOSES - 1)),
    st.tuples(st.just("crash_on_the_way"), st.integers(0, 11)),
    st.tuples(st.sampled_from(["fail", "refuse"]), st.integers(0, 5)),
)


@pytest.mark.parametrize("auto_mine", [True, False])
@given(todo=st.lists(moves, min_size=3, max_size=25))
@settings(max_examples=examples(20))
def test_any_faults_and_crashes_give_one_inclusion(
    auto_mine: bool, todo: list[tuple[str, int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ledger = SimulatedLedger(auto_mine=auto_mine, finality_depth=FINALITY_DEPTH)
        storm = Storm(Bench(Path(folder), ledger, poll_s=1))
        try:
            for name, number in todo:
                ACTIONS[name](storm, number)
            storm.calm_down()
        finally:
            storm.bench.close()
        rows = storm.bench.rows()
        assert {row.status for row in rows} == {TransactionStatus.FINALIZED}
        assert sorted(row.purpose for row in rows) == [f"pay:{n}" for n in range(PURPOSES)]
        assert [tx.raw for tx in ledger.included()] == [row.raw for row in rows]
        assert [tx.nonce for tx in ledger.included()] == list(range(PURPOSES))
