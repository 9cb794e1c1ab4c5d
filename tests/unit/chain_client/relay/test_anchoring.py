"""Turns of anchoring that fail, as foreseen or not: an alarm, a pause, and another try."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain_client.errors import (
    ChainError,
    ConfigurationError,
    HistoryMissing,
    LedgerUnavailable,
    SignatureRefused,
    SignerRefused,
    SignerUnavailable,
)
from chain_client.log import Lease, Log
from chain_client.relay.anchor import Anchored
from chain_client.relay.anchoring import Anchoring
from chain_client.relay.background import Background
from chain_client.relay.companions import Companions
from chain_client.relay.day_book import DayBook
from chain_client.relay.figures import Tally
from chain_client.relay.held_lease import LEASE
from chain_client.relay.pace import RelaySettings
from chain_client.relay.round import Round
from tests.unit.chain_client.log.logs import TurnedClock, make_entries

PACE = RelaySettings(lease_s=15, max_batch=1, max_wait_s=5, idle_s=1, look_s=2)


class Anchorer:
    """Sends nothing; fails as it is told."""

    sent_size = 3
    is_on_its_way = False

    def __init__(self) -> None:
        self.trouble: list[Exception] = []
        self.turns = 0

    def keep(self) -> None:
        """Nothing is held."""

    def close(self) -> None:
        """Likewise."""

    def anchor_next(self, lease: Lease) -> Anchored | None:
        self.turns += 1
        if self.trouble:
            raise self.trouble.pop(0)
        return Anchored(3, 3, 1, 1)


class Bench:
    def __init__(self, folder: Path, *, in_background: bool) -> None:
        self.clock = TurnedClock()
        self.log = Log(f"sqlite:///{folder}/log.db", clock=self.clock)
        self.log.create()
        self.lease = self.log.acquire_lease(LEASE, "me", 1e9)
        self.log.append(make_entries(0, 3), [], self.lease)
        self.anchorer: Any = Anchorer()
        self.opened = 0
        self.anchoring = Anchoring(
            self.log,
            self._open,
            replace(PACE, in_background=in_background),
            self.clock,
            DayBook(self.clock),
            Tally(),
        )

    def _open(self, lease: Lease) -> Any:
        self.opened += 1
        return self.anchorer

    def turn(self) -> Anchored | None:
        """One turn that is due, to its end."""
        self.clock.turn(60)
        turns = self.anchorer.turns
        anchored = self.anchoring.turn_when_due(self.lease)
        while self.anchoring._background.is_busy:
            anchored = self.anchoring.turn_when_due(self.lease) or anchored
        assert self.anchorer.turns == turns + 1
        return anchored

    def alarms(self) -> list[str]:
        return [f"{alarm.kind} {alarm.subject}" for alarm in self.log.alarms()]


@pytest.fixture(params=[False, True], ids=["at once", "in the background"])
def bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(tmp_path, in_background=request.param)
    yield made
    made.anchoring.stop(5)
    made.log.close()


def test_what_nobody_expected_is_told_once_and_tried_again(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.anchorer.trouble = [OverflowError("too large"), OverflowError("too large")]
    with caplog.at_level(logging.INFO, "chain_client.relay"):
        assert bench.turn() is None
        assert bench.alarms() == ["chain anchor"]
        assert "OverflowError" in (bench.anchoring.trouble or "")
        assert bench.anchoring.turn_when_due(bench.lease) is None  # it pauses
        assert bench.turn() is None
        assert bench.turn() is not None
    assert bench.anchorer.turns == 3
    assert bench.alarms() == []
    assert bench.anchoring.trouble is None
    told = [record for record in caplog.records if record.exc_info]
    assert [record.exc_info[0] for record in told if record.exc_info] == [OverflowError]


def test_a_drain_is_told_of_it_as_of_a_chain_that_does_not_answer(bench: Bench) -> None:
    bench.anchorer.trouble = [KeyError("result")]
    with pytest.raises(LedgerUnavailable, match="failed with KeyError"):
        bench.anchoring.turn_now(bench.lease, 5)
    assert bench.alarms() == ["chain anchor"]
    assert bench.anchoring.turn_now(bench.lease, 5) is not None


def test_a_node_that_lacks_a_state_is_tried_again(bench: Bench) -> None:
    bench.anchorer.trouble = [HistoryMissing("missing trie node")]
    assert bench.turn() is None
    assert bench.alarms() == ["chain anchor"]
    assert bench.turn() is not None
    assert bench.alarms() == []


@pytest.mark.parametrize("refusal", [SignerUnavailable, SignerRefused, SignatureRefused])
def test_a_key_that_does_not_sign_is_told_and_tried_again(
    bench: Bench, refusal: type[ChainError]
) -> None:
    bench.anchorer.trouble = [refusal("the key is disabled")]
    assert bench.turn() is None
    assert bench.alarms() == ["chain anchor"]
    assert "the key is disabled" in (bench.anchoring.trouble or "")
    assert bench.turn() is not None
    assert bench.alarms() == []
    assert bench.opened == (1 if refusal is SignerUnavailable else 2), (
        "what was refused is reopened"
    )


def test_what_is_wrong_with_the_configuration_still_ends_it(bench: Bench) -> None:
    bench.anchorer.trouble = [ConfigurationError("another chain")]
    with pytest.raises(ConfigurationError):
        bench.turn()


def test_a_machine_without_a_thread_left_has_nothing_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    background: Background[int] = Background("no thread")
    with monkeypatch.context() as patched:
        patched.setattr("threading.Thread.start", _no_thread)
        with pytest.raises(RuntimeError):
            background.start(lambda: 1)
    assert not background.is_busy
    assert background.take() is None
    background.start(lambda: 1)
    assert background.take(5) == (1,)


def _no_thread(thread: object) -> None:
    raise RuntimeError("can't start new thread")


def test_a_companion_that_fails_holds_up_neither_the_others_nor_the_relay(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Failing:
        def turn(self, lease: Lease) -> None:
            raise RuntimeError("can't start new thread")

        def is_busy(self) -> bool:
            return True

    class Counting:
        turns = 0

        def turn(self, lease: Lease) -> None:
            self.turns += 1

    cross: Any = Failing()
    others: Any = Counting()
    companions = Companions(cross=cross, others=others)
    for _ in range(3):
        assert companions.turn(Round(), Lease("relay", "here/id:1", 1, 0))
    assert others.turns == 3
    assert len([record for record in caplog.records if record.exc_info]) == 1
