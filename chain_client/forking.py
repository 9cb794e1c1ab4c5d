"""Locks of objects that a forked child inherits: it must not wait for threads it does not have."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol
from weakref import WeakSet


class HoldsLocks(Protocol):
    """An object that threads and forked children may share."""

    def renew_locks(self) -> None:
        """This is a forked child: replace what a thread of the parent may hold."""


_holders: WeakSet[HoldsLocks] = WeakSet()


def tell_of_forks(holder: HoldsLocks) -> None:
    """Let every forked child call ``holder.renew_locks()`` before anything else, while it lives."""
    _holders.add(holder)


def _after_fork_in_child() -> None:
    for holder in list(_holders):
        holder.renew_locks()


os.register_at_fork(after_in_child=_after_fork_in_child)


class ForkableLock:
    """A lock for threads, re-entrant, which a forked child finds free whoever held it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        tell_of_forks(self)

    def renew_locks(self) -> None:
        """In a forked child: the threads that may hold the old one are not there."""
        self._lock = threading.RLock()

    @contextmanager
    def held(self) -> Iterator[None]:
        """The block is entered by one thread at a time."""
        # Whoever forks within the block releases in the child what it took in the parent.
        with self._lock:
            yield
