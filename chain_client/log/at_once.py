"""Work that waits for others, several pieces of it at once, in threads that end with it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from queue import Empty, SimpleQueue
from typing import TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")


def at_once(
    work: Callable[[_T], _R], items: Iterable[_T], most: int, wait_s: float | None = None
) -> Generator[_R | None, None, None]:
    """Results of the work on each item, as they come; at the first error no more are begun.

    No thread of it runs any more when this is exhausted, closed or has raised.

    Args:
        work: called in any thread.
        items: each is worked on once.
        most: threads.
        wait_s: None is given as often as no result has come for so long; by default never.

    Raises:
        BaseException: what ``work`` raised.
    """
    todo = deque(items)
    awaited = len(todo)
    done: SimpleQueue[tuple[_R | None, BaseException | None]] = SimpleQueue()

    def run() -> None:
        while True:
            try:
                item = todo.popleft()
            except IndexError:
                return
            try:
                done.put((work(item), None))
            except BaseException as exc:
                done.put((None, exc))
                return

    threads = [
        threading.Thread(target=run, name=f"mlops-chain payloads {number}")
        for number in range(min(most, awaited))
    ]
    try:
        for thread in threads:
            thread.start()
        while awaited:
            try:
                result, error = done.get(timeout=wait_s)
            except Empty:
                yield None
                continue
            if error is not None:
                raise error
            awaited -= 1
            yield result
    finally:
        todo.clear()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
