"""Calling a function for many items, on all cores, with results in order."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_IN_FLIGHT = 4
"""Calls that are handed out for each thread: results are taken in order."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Cores:
    """Threads, one for each core.

    Args:
        pool: the threads.
        count: how many.
    """

    def __init__(self, pool: ThreadPoolExecutor, count: int) -> None:
        self._pool = pool
        self._window = count * _IN_FLIGHT

    def in_order(
        self, act: Callable[[_Item], _Result], items: Iterable[_Item]
    ) -> Iterator[tuple[_Item, _Result]]:
        """Like `map`, with the items, and never more than a few results in memory."""
        flying: deque[tuple[_Item, Future[_Result]]] = deque()
        for item in items:
            flying.append((item, self._pool.submit(act, item)))
            if len(flying) >= self._window:
                first, future = flying.popleft()
                yield first, future.result()
        for item, future in flying:
            yield item, future.result()


@contextlib.contextmanager
def on_all_cores() -> Iterator[Cores]:
    """Threads that end with the block; SHA-256 releases the interpreter's lock."""
    count = _count()
    with ThreadPoolExecutor(max_workers=count) as pool:
        yield Cores(pool, count)


def _count() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
