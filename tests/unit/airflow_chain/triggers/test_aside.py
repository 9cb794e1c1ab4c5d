"""Blocking calls beside an event loop: whatever they do, the loop goes on."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

import pytest

from airflow_chain.triggers.aside import Aside
from airflow_chain.triggers.patience import Patience
from chain_client.errors import LedgerUnavailable, NotInTime

BEAT_S = 0.01


async def _beats(longest: list[float]) -> None:
    """What the triggerer's own watchdog does."""
    while True:
        before = time.monotonic()
        await asyncio.sleep(BEAT_S)
        longest.append(time.monotonic() - before)


def test_the_loop_beats_on_while_a_call_hangs_and_the_call_is_given_up() -> None:
    hangs, longest = threading.Event(), list[float]()

    async def main() -> None:
        heart = asyncio.create_task(_beats(longest))
        aside = Aside("test")
        with pytest.raises(NotInTime, match="no answer within"):
            await aside.run(lambda: hangs.wait(30), 0.3)
        # Nothing begins beside it …
        begun: list[int] = []
        with pytest.raises(NotInTime, match="an earlier look"):
            await aside.run(lambda: begun.append(1), 0.2)
        assert begun == []
        # … and once it has ended, the next one is carried out.
        hangs.set()
        assert await aside.run(lambda: "next", 10) == "next"
        heart.cancel()

    asyncio.run(main())
    assert len(longest) > 10, "the loop stood still"


def test_a_call_that_never_ends_keeps_no_loop_from_ending() -> None:
    hangs = threading.Event()

    async def main() -> None:
        with pytest.raises(NotInTime):
            await Aside("test").run(lambda: hangs.wait(30), 0.05)

    before = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - before < 5
    hangs.set()  # its loop is closed by now: nobody is told, and nothing is raised


def test_what_a_call_raises_is_raised_and_a_result_is_given() -> None:
    async def main() -> None:
        aside = Aside("test")

        def fails() -> None:
            raise LedgerUnavailable("away")

        with pytest.raises(LedgerUnavailable, match="away"):
            await aside.run(fails, 10)
        assert await aside.run(lambda: 7, 10) == 7

    asyncio.run(main())


def test_who_is_cancelled_while_waiting_leaves_the_call_to_end_by_itself() -> None:
    goes_on, ended, closed = threading.Event(), threading.Event(), threading.Event()

    def call() -> None:
        goes_on.wait(10)
        ended.set()

    async def main() -> None:
        aside = Aside("test")
        task = asyncio.create_task(aside.run(call, 60))
        await asyncio.sleep(0.05)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        aside.finish(closed.set)
        assert not closed.is_set(), "closed while it was in use"
        goes_on.set()

    asyncio.run(main())
    assert closed.wait(10)
    assert ended.is_set()


def test_pauses_grow_while_nothing_answers_up_to_a_bound_and_end_with_an_answer() -> None:
    patience = Patience(5.0)
    pauses = []
    for _ in range(6):
        pauses.append(patience.pause_s)
        patience.failed()
    assert pauses == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]
    patience.answered()
    assert patience.pause_s == 5.0
    slow = Patience(300.0)
    slow.failed()
    assert slow.pause_s == 300.0
