"""Locks that a forked child inherits."""

from __future__ import annotations

import threading

from chain_client.forking import ForkableLock
from tests.forked import in_fork


def _taken(lock: ForkableLock) -> str:
    """Take the lock in a thread of its own: whether that succeeds at once."""
    taken = threading.Event()

    def take() -> None:
        with lock.held():
            taken.set()

    threading.Thread(target=take, daemon=True).start()
    return str(taken.wait(5))


def test_a_child_finds_a_lock_free_that_a_thread_of_its_parent_holds() -> None:
    lock = ForkableLock()
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with lock.held():
            held.set()
            over.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30)
    try:
        assert in_fork(lambda: _taken(lock)) == "True"
    finally:
        over.set()
        holder.join()
    assert _taken(lock) == "True"


def test_a_fork_within_the_block_leaves_it_in_both() -> None:
    lock = ForkableLock()

    def leave() -> str:
        inner.__exit__(None, None, None)
        return _taken(lock)

    inner = lock.held()
    with lock.held():
        inner.__enter__()
        answer = in_fork(leave)
        inner.__exit__(None, None, None)
    assert answer == "True"
    assert _taken(lock) == "True"
