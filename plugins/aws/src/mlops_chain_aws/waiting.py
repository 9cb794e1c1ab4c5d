"""Calls that are waited for as long as there is time: what hangs is left alone, and counted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, TypeVar

_LOOK_S: Final = 0.1
"""Between two questions whether the time is over."""

T = TypeVar("T")


class OutOfTimeError(Exception):
    """The time was over before the call was."""


class TooManyHangError(Exception):
    """No further call can be made beside those that hang."""


class Waiting:
    """Makes calls in threads of their own. Safe for threads, and for processes that fork.

    A call that is not waited for any more goes on, unheard, until what it does ends: sockets of
    ours end, but not so a program that finds credentials.

    Args:
        most: calls that may hang in this way at the same time.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._left: list[threading.Thread] = []

    def run(self, call: Callable[[], T], is_over: Callable[[], bool]) -> T:
        """What ``call`` gives or raises.

        Args:
            call: made in another thread.
            is_over: asked now and then, and before it begins.

        Raises:
            OutOfTimeError: the time is over.
            TooManyHangError: too many calls of before hang still, or no thread can start.
        """
        if is_over():
            raise OutOfTimeError
        # In a forked child those of its parent are over.
        self._left = [thread for thread in self._left if thread.is_alive()]
        if len(self._left) >= self._most:
            raise TooManyHangError
        given: list[T] = []
        raised: list[BaseException] = []

        def run() -> None:
            try:
                given.append(call())
            except BaseException as exc:
                raised.append(exc)

        thread = threading.Thread(target=run, name="mlops-chain AWS", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            raise TooManyHangError from None
        thread.join(_LOOK_S)
        while thread.is_alive():
            if is_over():
                self._left.append(thread)
                raise OutOfTimeError
            thread.join(_LOOK_S)
        if raised:
            raise raised[0]
        return given[0]
