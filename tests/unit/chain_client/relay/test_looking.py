"""A thread that looks again and again: what the relay is told of it, and how it ends."""

from __future__ import annotations

import threading

import pytest

from chain_client.relay.looking import LookingThread

PATIENCE_S = 60.0


def test_it_is_busy_until_it_says_that_it_is_not_and_when_it_says_so_again() -> None:
    looking, go, said = LookingThread("a test's"), threading.Event(), threading.Semaphore(0)

    def work() -> None:
        go.wait(PATIENCE_S)
        looking.say_idle()
        said.release()
        while not looking.is_over:
            looking.rest(PATIENCE_S, 0, PATIENCE_S)
        looking.say_busy()
        said.release()
        go.wait(PATIENCE_S)

    assert not looking.is_busy()
    looking.start(work)
    assert looking.is_busy()
    go.set()
    assert said.acquire(timeout=PATIENCE_S)
    assert not looking.is_busy(PATIENCE_S)
    assert looking.is_running
    go.clear()
    assert not looking.stop(0.0), "its work goes on"
    assert said.acquire(timeout=PATIENCE_S)
    assert not looking.has_begun
    go.set()


def test_no_rest_is_longer_than_is_said_nor_goes_on_when_it_is_to_end() -> None:
    looking, rests = LookingThread("a test's"), threading.Semaphore(0)

    def work() -> None:
        looking.rest(0.001, 40, 0.002)  # else longer than the sun shines
        rests.release()
        looking.rest(PATIENCE_S, 0, PATIENCE_S)

    looking.start(work)
    assert rests.acquire(timeout=PATIENCE_S)
    assert looking.stop(PATIENCE_S / 2)
    assert not looking.is_running


def test_where_there_is_no_thread_left_nothing_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    looking, done = LookingThread("a test's"), threading.Event()

    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr("threading.Thread.start", no_thread)
        with pytest.raises(RuntimeError):
            looking.start(done.set)
    assert not looking.has_begun
    looking.start(done.set)
    assert done.wait(PATIENCE_S)
    assert looking.stop(PATIENCE_S)
