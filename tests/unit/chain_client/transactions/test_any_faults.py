"""Whatever happens in whatever order: one inclusion for each purpose, of what was signed for it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_client import steps
from chain_client.errors import (
    ForeignNonce,
    InvalidInput,
    LedgerUnavailable,
    TransactionCancelled,
    TransactionRejected,
)
from chain_client.testing.simulated_ledger import SimulatedLedger
from chain_client.transactions import TransactionStatus
from tests.queues import stored_attempts
from tests.strategies import examples
from tests.unit.chain_client.transactions.simulated import Bench, call

FINALITY_DEPTH = 2
PURPOSES = 3
CRASHES = [step for step in steps.STEPS if step.startswith("transaction.")]
REASONS = [
    *("nonce_too_low", "nonce_gap", "insufficient_funds", "fee_too_low", "other"),
    *("underpriced", "reverted", "gas_limit", "invalid_signature"),
]


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
        self.signed: dict[bytes, tuple[int, str]] = {}
        """All that was ever stored, with its nonce and purpose."""

    def settle(self, number: int, **options: Any) -> None:
        """What the caller of a purpose does after any start, also when it was cancelled."""
        queue, purpose = self.bench.queue, f"pay:{number}"
        found = [row for row in queue.find(purpose) if row.status != TransactionStatus.CANCELLED]
        tx_id = found[-1].id if found else queue.submit(call(number), purpose)
        queue.settle(tx_id, **options)

    def advance(self, number: int) -> None:
        """Bring a purpose on as far as it goes now."""
        try:
            self.settle(number, timeout_s=1)
        except (LedgerUnavailable, TransactionRejected, TransactionCancelled, ForeignNonce):
            pass
        finally:
            self.check()

    def cancel(self, number: int) -> None:
        """A person cancels what is on its way, if anything is."""
        try:
            for row in self.bench.queue.pending()[-1:]:
                self.bench.queue.cancel(row.id)
        except (LedgerUnavailable, TransactionRejected, InvalidInput, ForeignNonce):
            pass
        finally:
            self.check()

    def retry(self, number: int) -> None:
        """A person raises the fees of what is on its way."""
        try:
            for row in self.bench.queue.pending()[:1]:
                self.bench.queue.retry(row.id, raise_fees=number % 2 == 0)
        except (LedgerUnavailable, TransactionRejected, ForeignNonce):
            pass
        finally:
            self.check()

    def look_around(self, number: int) -> None:
        try:
            self.bench.queue.watch()
            self.bench.queue.resume(timeout_s=1)
        except (LedgerUnavailable, TransactionRejected, ForeignNonce):
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

    def lie(self, number: int) -> None:
        self.bench.ledger.lie_about_nonces((1, 3, 1_000)[number % 3], 1 + number % 2)

    def mine(self, number: int) -> None:
        self.bench.ledger.mine(1 + number % 3)

    def empty_pool(self, number: int) -> None:
        self.bench.ledger.empty_pool()

    def reorg(self, number: int) -> None:
        depth = min(1 + number % FINALITY_DEPTH, self.bench.ledger.height())
        if depth:
            self.bench.ledger.reorg(depth, keep=number % 2 == 0)

    def pass_time(self, number: int) -> None:
        self.bench.clock.wait(5 * number)

    def pass_minutes(self, number: int) -> None:
        self.bench.clock.wait(70 * (1 + number))

    def change_fees(self, number: int) -> None:
        self.bench.ledger.base_fee_wei = 10**9 * (1, 20, 700)[number % 3]

    def refuse_low_fees(self, number: int) -> None:
        self.bench.ledger.refuses_low_fees = number % 2 == 0

    def check(self) -> None:
        """What was signed is kept, is for one purpose a nonce, and nothing else was ever sent."""
        for attempt in stored_attempts(self.bench.log_url):
            what = attempt.nonce, attempt.purpose
            assert self.signed.setdefault(attempt.raw, what) == what
        kept = {attempt.raw for attempt in stored_attempts(self.bench.log_url)}
        assert kept == self.signed.keys()
        assert len({nonce for nonce, _ in self.signed.values()}) == len(set(self.signed.values()))
        assert set(self.bench.ledger.sent) <= kept

    def calm_down(self) -> None:
        """No more faults; the last owner brings everything to the end."""
        bench = self.bench
        bench.ledger.calm()
        bench.ledger.base_fee_wei = 10**9
        bench.clock.on_wait = bench.ledger.mine
        bench.take_over().resume()
        for number in range(PURPOSES):
            while True:
                try:
                    self.settle(number, final=True)
                    break
                except TransactionCancelled:
                    continue
                except LedgerUnavailable:  # a cancellation that is not final yet
                    assert any(row.is_cancel for row in bench.queue.pending())
                    bench.ledger.mine()
                    bench.queue.watch()
        bench.ledger.mine(FINALITY_DEPTH + 1)
        bench.queue.watch()
        self.check()


ACTIONS: dict[str, Callable[[Storm, int], None]] = {
    name: getattr(Storm, name)
    for name in (
        *("advance", "look_around", "crash", "crash_on_the_way", "lose_reply", "drop", "fail"),
        *("refuse", "mine", "empty_pool", "reorg", "pass_time", "pass_minutes", "change_fees"),
        *("refuse_low_fees", "cancel", "retry", "lie"),
    )
}
moves = st.one_of(
    st.tuples(st.just("advance"), st.integers(0, PURPOSES - 1)),
    st.tuples(st.sampled_from(sorted(ACTIONS)), st.integers(0, PURPOSES - 1)),
    st.tuples(st.just("crash_on_the_way"), st.integers(0, 11)),
    st.tuples(st.sampled_from(["fail", "refuse", "lie"]), st.integers(0, 8)),
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
        cancelled = [row for row in rows if row.status == TransactionStatus.CANCELLED]
        done = [row for row in rows if row not in cancelled]
        assert {row.status for row in done} == {TransactionStatus.FINALIZED}
        assert sorted(row.purpose for row in done) == [f"pay:{n}" for n in range(PURPOSES)]
        assert [tx.raw for tx in ledger.included()] == [row.raw for row in rows]
        assert [tx.nonce for tx in ledger.included()] == list(range(len(rows)))
        calls = sorted(tx.call.data for tx in ledger.included() if tx.call.data)
        assert calls == [call(n).data for n in range(PURPOSES)]
        assert bench_alarms(storm.bench) <= {"gas_budget_spent"}


def bench_alarms(bench: Bench) -> set[str]:
    """Kinds of alarms that still stand."""
    return {alarm.kind for alarm in bench.owner.log.alarms()}
