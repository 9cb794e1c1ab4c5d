"""The nonce of a new transaction: no answer of a node alone moves a key far ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_client.errors import ForeignNonce, HistoryMissing, LedgerUnavailable
from chain_client.ledger.base import BlockTag
from chain_client.testing.simulated_ledger import SimulatedLedger
from chain_client.transactions import TransactionStatus
from chain_client.types import Address, to_hex
from tests.embedded_chains import OWNER
from tests.unit.chain_client.transactions.simulated import Bench, call

SENDER = OWNER.address()


class LyingLedger(SimulatedLedger):
    """Shows other nonces than it has, as often as it was told to."""

    def __init__(self) -> None:
        super().__init__(finality_depth=2)
        self.lies: deque[int] = deque()

    def nonce(self, address: Address, at: BlockTag = "latest") -> int:
        truth = super().nonce(address, at)
        return self.lies.popleft() if self.lies else truth


@pytest.fixture
def ledger() -> LyingLedger:
    return LyingLedger()


@pytest.fixture
def bench(tmp_path: Path, ledger: LyingLedger) -> Iterator[Bench]:
    bench = Bench(tmp_path, ledger, poll_s=1)
    yield bench
    bench.close()


def use(bench: Bench, times: int) -> None:
    for _ in range(times):
        bench.ledger.use_nonce(SENDER)


def alarms(bench: Bench) -> list[str]:
    return [alarm.kind for alarm in bench.owner.log.alarms()]


class TestLies:
    @pytest.mark.parametrize("lie", [2, 1_000, 10**6, 2**63 - 1, 2**63, 2**70])
    @pytest.mark.parametrize("rows", [0, 1])
    def test_a_number_that_is_too_great_costs_nothing_and_sticks_to_nothing(
        self, bench: Bench, ledger: LyingLedger, rows: int, lie: int
    ) -> None:
        if rows:
            bench.pay(1)
        ledger.lies.append(lie)
        with pytest.raises(LedgerUnavailable, match="nothing is signed"):
            bench.queue.submit(call(2), "pay:2")
        assert len(bench.rows()) == rows
        assert bench.pay(2).nonce == rows
        assert alarms(bench) == []

    @pytest.mark.parametrize("lie", [2**63, 2**70])
    def test_a_number_that_no_account_has_is_never_believed(
        self, bench: Bench, ledger: LyingLedger, lie: int
    ) -> None:
        ledger.lies.extend([lie] * 3)
        with pytest.raises(LedgerUnavailable, match="a lie"):
            bench.queue.submit(call(1), "pay:1")
        assert bench.rows() == []

    def test_a_number_that_is_too_small_is_seen_by_the_final_one(
        self, bench: Bench, ledger: LyingLedger
    ) -> None:
        use(bench, 57)
        ledger.mine(2)
        ledger.lies.append(0)
        with pytest.raises(LedgerUnavailable, match="nothing is signed"):
            bench.queue.submit(call(1), "pay:1")
        assert bench.pay(1).nonce == 57

    def test_a_lie_that_lasts_stops_the_key_and_its_end_lets_it_go_on(
        self, bench: Bench, ledger: LyingLedger
    ) -> None:
        bench.pay(1)
        ledger.lies.extend([1_001] * 3)
        with pytest.raises(ForeignNonce, match="used the nonces 1 to 1000 of the key"):
            bench.queue.submit(call(2), "pay:2")
        assert alarms(bench) == ["foreign_nonce"]
        ledger.lies.clear()
        assert bench.pay(2).nonce == 1
        assert alarms(bench) == []


class TestFirstUse:
    def test_a_key_with_a_past_goes_on_after_it(self, bench: Bench) -> None:
        use(bench, 57)
        bench.ledger.mine(2)
        assert bench.pay(1).nonce == 57
        assert alarms(bench) == []

    @pytest.mark.parametrize("past", [0, 57])
    def test_a_node_that_keeps_no_state_of_the_final_block_is_asked_twice(
        self, bench: Bench, past: int
    ) -> None:
        use(bench, past)
        bench.ledger.fail("nonce", None, None, HistoryMissing("missing trie node"))
        assert bench.pay(1).nonce == past

    def test_a_past_that_is_not_final_is_waited_for(self, bench: Bench) -> None:
        use(bench, 57)
        bench.ledger.mine(1)
        use(bench, 1)
        bench.ledger.mine(1)
        with pytest.raises(LedgerUnavailable, match=r"58 transactions of the key .*, 57 of them"):
            bench.queue.submit(call(1), "pay:1")
        bench.ledger.mine(1)
        assert bench.pay(1).nonce == 58


class TestForeignUseBetweenTwo:
    def test_it_stops_the_key_when_it_is_final(self, bench: Bench) -> None:
        bench.pay(1)
        use(bench, 2)
        with pytest.raises(LedgerUnavailable, match="nothing is signed"):
            bench.queue.submit(call(2), "pay:2")
        assert alarms(bench) == []
        bench.ledger.mine(2)
        for queue in (bench.queue, bench.queue, bench.take_over()):
            with pytest.raises(ForeignNonce, match="used the nonces 1 to 2 of the key"):
                queue.submit(call(2), "pay:2")
        (alarm, *_) = bench.owner.log.alarms()
        assert (alarm.kind, alarm.subject) == ("foreign_nonce", to_hex(SENDER))
        assert "put back from an older copy" in alarm.detail
        assert len(bench.rows()) == 1

    def test_a_persons_own_key_goes_on_after_what_a_wallet_sent(
        self, tmp_path: Path, ledger: LyingLedger
    ) -> None:
        bench = Bench(tmp_path, ledger, poll_s=1, is_exclusive=False)
        bench.pay(1)
        use(bench, 2)
        assert bench.pay(2).nonce == 3
        use(bench, 40)  # too many for one answer: they have to be final
        with pytest.raises(LedgerUnavailable, match="nothing is signed"):
            bench.queue.submit(call(3), "pay:3")
        ledger.mine(2)
        assert bench.pay(3).nonce == 44
        assert alarms(bench) == []
        bench.close()

    def test_whoever_acknowledges_it_lets_the_key_go_on(self, bench: Bench) -> None:
        bench.pay(1)
        use(bench, 2)
        bench.ledger.mine(2)
        with pytest.raises(ForeignNonce):
            bench.queue.submit(call(2), "pay:2")
        bench.owner.log.clear_alarm("foreign_nonce", to_hex(SENDER))
        assert bench.pay(2).nonce == 3
        use(bench, 1)
        bench.ledger.mine(2)
        with pytest.raises(ForeignNonce, match="used the nonces 4 to 4 of the key"):
            bench.queue.submit(call(3), "pay:3")
        assert alarms(bench) == ["foreign_nonce"]

    def test_what_vanishes_again_was_nothing(self, bench: Bench) -> None:
        bench.pay(1)
        use(bench, 2)
        with pytest.raises(LedgerUnavailable):
            bench.queue.submit(call(2), "pay:2")
        bench.ledger.forget_foreign(SENDER)
        assert bench.pay(2).nonce == 1
        bench.ledger.mine(2)
        bench.queue.watch()
        assert {row.status for row in bench.rows()} == {TransactionStatus.FINALIZED}
        assert alarms(bench) == []
