"""Locks of objects that a forked child inherits: it must not wait for threads it does not have."""

from __future__ import annotations

import os
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
