"""Anchoring on a chain whose blocks take time, vanish, and become final late."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chain_client.errors import ChainBehindLog, LedgerUnavailable, LogMismatch, NotOnChainYet
from chain_client.head_check import read_checked_head
from chain_client.ledger.base import BlockTag
from chain_client.ledger.event_log import Head
from chain_client.log import EntryStatus, Lease, Log
from chain_client.relay.anchor import Anchored, Anchorer
from chain_client.relay.head_fates import Fate, decide_fate
from chain_client.relay.pace import choose_size
from chain_client.testing.simulated_ledger import SimulatedLedger
from chain_client.transactions import TransactionStatus
from chain_client.types import Digest, LogId
from tests.queues import Owner, make_log, own
from tests.unit.chain_client.log.logs import TurnedClock, make_entries
from tests.unit.chain_client.relay.simulated_heads import LOG_ID, SimulatedHeads

FINAL = 3
"""Blocks on top that make a block final."""
BROADCAST, INCLUDED = EntryStatus.BROADCAST, EntryStatus.INCLUDED
FINALIZED = EntryStatus.FINALIZED


class Bench:
    """A log, a chain, and one relay's anchoring after the other."""

    def __init__(self, folder: Path) -> None:
        self.file = make_log(folder)
        self.ledger = SimulatedLedger(auto_mine=False, finality_depth=FINAL)
        self.heads = SimulatedHeads(self.ledger)
        self._owners: list[Owner] = []
        self.next_relay()

    def next_relay(self, clock: TurnedClock | None = None) -> None:
        """The relay before is dead."""
        owner = own(self.file, self.ledger)
        self._owners.append(owner)
        self.log: Log = owner.log
        self.queue = owner.queue
        self.lease: Lease = self.log.acquire_lease("relay", "me", 60, replace_dead=lambda _: True)
        self.anchorer = Anchorer(self.log, self.heads, LOG_ID, self.queue, 4, 100, clock=clock)

    def append(self, count: int) -> None:
        size = self.log.size()
        self.log.append(make_entries(size, size + count), [], self.lease)

    def turn(self) -> Anchored | None:
        return self.anchorer.anchor_next(self.lease)

    def statuses(self) -> dict[int, EntryStatus]:
        return {head.size: head.status for head in self.log.heads()}

    def close(self) -> None:
        for owner in self._owners:
            owner.log.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def test_a_turn_never_waits_for_a_block(bench: Bench) -> None:
    bench.append(2)
    assert bench.turn() is None
    assert (bench.anchorer.sent_size, bench.anchorer.is_on_its_way) == (2, True)
    assert bench.statuses() == {2: BROADCAST}
    bench.append(3)
    assert bench.turn() is None
    assert bench.statuses() == {2: BROADCAST}  # one after the other
    bench.ledger.mine()
    assert bench.turn() == Anchored(2, 2, 50_000, 1)
    assert bench.statuses() == {2: INCLUDED, 5: BROADCAST}
    assert len(bench.ledger.pool()) == 1


def test_one_final_head_makes_all_before_it_final(bench: Bench) -> None:
    for _ in range(3):
        bench.append(2)
        bench.turn()
        bench.ledger.mine()
    assert bench.turn() == Anchored(6, 2, 50_000, 3)
    assert bench.statuses() == {2: INCLUDED, 4: INCLUDED, 6: INCLUDED}
    bench.ledger.mine(FINAL - 1)
    bench.turn()
    assert bench.statuses() == {2: FINALIZED, 4: FINALIZED, 6: INCLUDED}
    bench.ledger.mine()
    bench.turn()
    assert set(bench.statuses().values()) == {FINALIZED}


def test_what_a_relay_before_left_included_becomes_final_too(bench: Bench) -> None:
    for _ in range(2):
        bench.append(2)
        bench.turn()
        bench.ledger.mine()
        bench.turn()
    bench.ledger.mine(FINAL)
    # As an earlier version did it: only the greatest head was marked.
    bench.log.finalise_heads(4, 4, bench.lease)
    bench.next_relay()
    bench.turn()
    assert set(bench.statuses().values()) == {FINALIZED}


@pytest.mark.parametrize("keep", [True, False], ids=["kept in the pool", "dropped"])
def test_heads_whose_blocks_vanished_are_sent_again_by_the_same_bytes(
    bench: Bench, keep: bool
) -> None:
    for _ in range(2):
        bench.append(2)
        bench.turn()
        bench.ledger.mine()
    bench.turn()
    raws = list(dict.fromkeys(bench.ledger.sent))
    bench.ledger.reorg(2, keep=keep)
    # The chain's head stepped back before it was final: no rollback of the chain.
    assert read_checked_head(bench.log, bench.heads, LOG_ID).size == 0
    assert bench.turn() is None
    assert bench.statuses() == {2: BROADCAST, 4: BROADCAST}
    assert bench.anchorer.is_on_its_way
    bench.append(1)
    bench.ledger.mine()
    anchored = bench.turn()
    assert anchored is not None
    assert (anchored.size, anchored.entries) == (4, 4)
    bench.ledger.mine(1 + FINAL)
    bench.turn()
    assert bench.statuses() == {2: FINALIZED, 4: FINALIZED, 5: FINALIZED}
    assert list(dict.fromkeys(bench.ledger.sent))[:2] == raws
    assert len(bench.ledger.included()) == 3
    assert not [alarm for alarm in bench.log.alarms() if alarm.kind in ("chain", "head")]


def test_a_head_that_was_taken_over_and_vanished_is_anchored_anew(bench: Bench) -> None:
    bench.append(2)
    bench.turn()
    bench.ledger.mine()
    bench.turn()
    [head] = bench.log.heads()
    # As if the log had been put back to before it was sent: no transaction is known for it.
    _forget_transactions(bench)
    bench.next_relay()
    bench.turn()
    assert bench.statuses() == {2: INCLUDED}
    bench.ledger.reorg(1)
    bench.turn()
    assert bench.statuses() == {2: BROADCAST}
    bench.ledger.mine(1 + FINAL)
    bench.turn()
    [final] = bench.log.heads()
    assert (final.root, final.status) == (head.root, FINALIZED)


def _forget_transactions(bench: Bench) -> None:
    from sqlalchemy import text

    from chain_client.log.database import writing

    with writing(bench.log.engine) as connection:
        connection.execute(text("DELETE FROM attempts"))
        connection.execute(text("DELETE FROM transactions"))
        connection.execute(text("DELETE FROM heads"))


@pytest.mark.parametrize("died", ["before it noted the transaction", "while it waited"])
def test_what_a_dead_relay_sent_is_settled_before_anything_new(bench: Bench, died: str) -> None:
    bench.append(2)
    bench.turn()
    if died.startswith("before"):
        bench.log.set_head_status(2, EntryStatus.SEQUENCED, bench.lease)
    bench.append(1)
    bench.next_relay()
    assert bench.turn() is None
    assert bench.statuses() == {2: BROADCAST}
    bench.ledger.mine()
    assert bench.turn() == Anchored(2, 2, 50_000, 1)
    assert len(set(bench.ledger.sent)) == 2


def test_a_chain_that_does_not_answer_is_told_from_one_that_takes_its_time(bench: Bench) -> None:
    bench.append(2)
    assert bench.turn() is None
    assert bench.turn() is None
    down = LedgerUnavailable("nobody answers")
    bench.ledger.fail("block", *[down] * 4)
    bench.ledger.fail("receipt", *[down] * 4)
    with pytest.raises(LedgerUnavailable, match="nobody answers"):
        bench.turn()
    bench.ledger.calm()
    bench.ledger.mine()
    assert bench.turn() == Anchored(2, 2, 50_000, 1)


def test_a_final_head_that_is_not_the_logs_is_never_believed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.append(2)
    bench.turn()
    bench.ledger.mine()
    bench.turn()
    bench.ledger.mine(FINAL)
    real = bench.heads.head
    lying = _lying_about("finalized", real)
    monkeypatch.setattr(bench.heads, "head", lying)
    with pytest.raises(LogMismatch, match="not the final one on chain"):
        bench.turn()
    assert bench.statuses() == {2: INCLUDED}


def _lying_about(tag: str, real: Callable[..., object]) -> Callable[..., object]:
    from dataclasses import replace
    from typing import Any

    def head(log_id: object, at: object = "latest") -> object:
        found: Any = real(log_id, at)
        return replace(found, root=bytes(32)) if at == tag else found

    return head


def test_a_node_that_lags_behind_what_was_final_is_no_older_chain(bench: Bench) -> None:
    bench.append(2)
    bench.turn()
    bench.ledger.mine(2 + FINAL)
    bench.turn()
    assert bench.statuses() == {2: FINALIZED}
    bench.heads = SimulatedHeads(SimulatedLedger(auto_mine=False))
    with pytest.raises(LedgerUnavailable, match="the chain does not have block 1 yet"):
        read_checked_head(bench.log, bench.heads, LOG_ID)
    ahead = SimulatedLedger(auto_mine=False)
    ahead.mine(9)
    with pytest.raises(ChainBehindLog):
        read_checked_head(bench.log, SimulatedHeads(ahead), LOG_ID)


class LaggingViews(SimulatedHeads):
    """A node of many backends: now and then the newest state is another one."""

    def __init__(self, ledger: SimulatedLedger, shown: Head) -> None:
        super().__init__(ledger)
        self._shown = shown

    def head(self, log_id: LogId, at: BlockTag | int = "latest") -> Head:
        return self._shown if at == "latest" else super().head(log_id, at)


@pytest.mark.parametrize(
    "shown",
    [Head(0, Digest(bytes(32)), 0), Head(2, Digest(b"\1" * 32), 1), Head(9, Digest(bytes(32)), 9)],
    ids=["older", "another root", "made up"],
)
def test_one_answer_about_the_newest_head_is_no_contradiction(bench: Bench, shown: Head) -> None:
    bench.append(2)
    bench.turn()
    bench.ledger.mine(2 + FINAL)
    bench.turn()
    heads = LaggingViews(bench.ledger, shown)
    with pytest.raises(LedgerUnavailable, match="asked again before that is believed"):
        read_checked_head(bench.log, heads, LOG_ID)


def test_after_an_outage_one_anchor_takes_all_that_waits(bench: Bench) -> None:
    bench.append(40)
    bench.turn()
    bench.ledger.mine()
    assert bench.turn() == Anchored(40, 40, 50_000, 1)


@pytest.mark.parametrize(
    ("anchored", "size", "max_batch", "catch_up", "expected"),
    [
        (0, 3, 4, 100, 3),
        (5, 9, 4, 100, 9),
        (5, 10, 4, 100, 10),
        (5, 500, 4, 100, 105),
        (5, 500, 4, 4, 9),
        (5, 500, 4, 1, 9),
        (5, 500, 1, 100, 6),
    ],
)
def test_sizes_of_heads(
    anchored: int, size: int, max_batch: int, catch_up: int, expected: int
) -> None:
    assert choose_size(anchored, size, max_batch, catch_up) == expected


@pytest.mark.parametrize(
    ("size", "status", "chain_size", "is_void", "expected"),
    [
        (5, TransactionStatus.SIGNED, 0, False, Fate.ON_ITS_WAY),
        (5, TransactionStatus.BROADCAST, 9, False, Fate.ON_ITS_WAY),
        (5, TransactionStatus.BROADCAST, 4, True, Fate.ON_ITS_WAY),
        (5, TransactionStatus.INCLUDED, 5, False, Fate.INCLUDED),
        (5, TransactionStatus.INCLUDED, 4, True, Fate.GONE),
        (5, TransactionStatus.FINALIZED, 5, False, Fate.INCLUDED),
        (5, TransactionStatus.REVERTED, 5, True, Fate.GONE),
        (5, TransactionStatus.REPLACED, 5, False, Fate.GONE),
        (5, TransactionStatus.CANCELLED, 5, False, Fate.GONE),
        (5, None, 5, False, Fate.KEEP),
        (5, None, 4, False, Fate.GONE),
    ],
)
def test_fates_of_heads(
    size: int, status: TransactionStatus | None, chain_size: int, is_void: bool, expected: Fate
) -> None:
    assert decide_fate(size, status, chain_size, is_void=is_void) is expected


def test_a_head_that_no_block_takes_for_a_minute_is_trouble(bench: Bench) -> None:
    clock = TurnedClock()
    bench.next_relay(clock=clock)
    bench.append(2)
    assert bench.turn() is None
    clock.turn(59)
    assert bench.turn() is None
    clock.turn(60)
    with pytest.raises(NotOnChainYet, match="the head of 2 entries was sent 60 s ago"):
        bench.turn()
    bench.ledger.mine()
    assert bench.turn() == Anchored(2, 2, 50_000, 1)


def test_a_chain_that_is_not_believed_is_trouble_at_once(bench: Bench) -> None:
    bench.append(2)
    assert bench.turn() is None
    bench.ledger.mine()
    bench.ledger.fail("receipt", *[LedgerUnavailable("two endpoints contradict each other")] * 4)
    with pytest.raises(LedgerUnavailable, match="contradict each other"):
        bench.turn()
