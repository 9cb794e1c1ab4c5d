"""Forked children of a test: their answers, and their deaths at a step.

A fork costs a hundredth of a fresh interpreter, so many deaths can be tested; what a fresh
interpreter does, `chain_client.testing.crash.run_killed` tests.
"""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable

from chain_client.testing.crash import kill_at


def in_fork(action: Callable[[], str]) -> str:
    """What ``action`` returns in a child, or the error that it raises there."""
    read, write = os.pipe()
    child = fork()
    if child == 0:
        try:
            os.write(write, action().encode())
        except BaseException as error:
            os.write(write, repr(error).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer


def killed_at(step_name: str, count: int, action: Callable[[], object]) -> None:
    """Run ``action`` in a child that dies by SIGKILL at the ``count``-th pass of a step.

    Raises:
        AssertionError: it ended otherwise.
    """
    child = fork()
    if child == 0:
        try:
            kill_at(step_name, count)
            action()
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == -signal.SIGKILL, f"no death at pass {count} of {step_name!r}: exit code {code}"


def fork() -> int:
    """`os.fork` in a process that has threads."""
    with warnings.catch_warnings():
        # Python 3.12 warns of threads: those of pytest-xdist take no part in what the child does
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()
