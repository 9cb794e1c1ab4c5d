"""The process around the spool: what happens to open sources when it forks or exits."""

from __future__ import annotations

import atexit
import os
import sys
from typing import Protocol

from chain_client.spool import ownership


class OpenSource(Protocol):
    """Whoever holds a source open."""

    def end(self) -> None:
        """The interpreter is exiting; never raises."""

    def start_over(self) -> None:
        """This is a forked child: drop what was inherited, without a trace for the parent."""


exiting = False
"""True once the exit handlers run: whatever opens a source now closes it itself."""

_open: dict[int, OpenSource] = {}
_registered_pid: int | None = None


def opened(source: OpenSource) -> None:
    """Keep a source's holder alive, and tell it of exit and forks, until it is `closed`."""
    global _registered_pid
    _open[id(source)] = source
    if _registered_pid == os.getpid():
        return
    # A forked child inherits the handler, if its parent had it; but whoever forks may clear what
    # is inherited, as Airflow does for its tasks. To be called twice is harmless.
    atexit.register(_end_all)
    _registered_pid = os.getpid()
    # a child made by multiprocessing leaves by os._exit, behind multiprocessing's own handlers
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        from multiprocessing import util

        util.Finalize(None, _end_all, exitpriority=-100)


def closed(source: OpenSource) -> None:
    """The holder has no source any more."""
    _open.pop(id(source), None)


def _end_all() -> None:
    global exiting
    exiting = True
    for source in list(_open.values()):
        source.end()


def _after_fork_in_child() -> None:
    ownership.forget_inherited()
    inherited = list(_open.values())
    _open.clear()
    for source in inherited:
        source.start_over()


os.register_at_fork(after_in_child=_after_fork_in_child)
