"""Work that waits for others, several pieces of it at once, in threads that end with it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from queue import Empty, SimpleQueue
from typing import TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")


def at_once(
    work: Callable[[_T], _R],
    items: Iterable[_T],
    most: int,
    wait_s: float | None = None,
    patience_s: float | None = None,
    left: list[threading.Thread] | None = None,
) -> Generator[_R | None, None, None]:
    """Results of the work on each item, as they come; at the first error no more are begun.

    No thread of it runs any more when this is exhausted, closed or has raised, but those in
    ``left``.

    Args:
        work: called in any thread.
        items: each is worked on once.
        most: threads.
        wait_s: None is given as often as no result has come for so long; by default never.
        patience_s: how long no result may come; by default for ever.
        left: takes the threads whose work goes on all the same.

    Raises:
        TimeoutError: no result came for so long.
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
        # Daemons where they may be left: what never answers must not keep a process from ending.
        threading.Thread(target=run, name=f"mlops-chain payloads {number}", daemon=left is not None)
        for number in range(min(most, awaited))
    ]
    last_s = time.monotonic()
    try:
        for thread in threads:
            thread.start()
        while awaited:
            try:
                result, error = done.get(timeout=wait_s)
            except Empty:
                if patience_s is not None and time.monotonic() - last_s >= patience_s:
                    raise TimeoutError(f"nothing came for {patience_s:g} s") from None
                yield None
                continue
            if error is not None:
                raise error
            awaited -= 1
            yield result
            last_s = time.monotonic()
    finally:
        todo.clear()
        for thread in threads:
            if thread.ident is None:
                continue
            until_s = None if patience_s is None else last_s + patience_s - time.monotonic()
            thread.join(None if until_s is None else max(0.0, until_s))
            if left is not None and thread.is_alive():
                left.append(thread)
