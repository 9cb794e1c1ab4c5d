"""Who holds a lease: a process, named so that a person finds it and another process can tell."""

from __future__ import annotations

import functools
import hashlib
import os
import socket
from pathlib import Path

INGEST = "ingest:"
"""Before an ingester's id: the lease of the one relay that reads that home's spool."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PROCESS_IDS = Path("/proc/self/ns/pid")


def this_process() -> str:
    """This process: ``host/place:process``.

    The place tells machines, containers and boots apart whose host names are the same.
    """
    return f"{socket.gethostname()}/{_place()}:{os.getpid()}"


def host_of(holder: str) -> str:
    """The machine's name in a holder's text."""
    return holder.rpartition(":")[0].partition("/")[0]


def ingester_of(lease_name: str) -> str | None:
    """The id of the home whose spool the lease is for; None if it is for something else."""
    return lease_name.removeprefix(INGEST) if lease_name.startswith(INGEST) else None


def is_gone(holder: str) -> bool:
    """Whether a holder was a process of this very place that is no more.

    Nothing is said of the processes of another machine, container or boot, which can't be seen
    from here: their leases run out.
    """
    place, _, process = holder.rpartition(":")
    if place != this_process().rpartition(":")[0] or not process.isdecimal():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


@functools.cache
def _place() -> str:
    try:
        told = _BOOT_ID.read_text("ascii") + str(_PROCESS_IDS.readlink())
    except OSError:  # no Linux: the name of the machine is all there is
        return "-"
    return hashlib.sha256(told.encode()).hexdigest()[:12]
