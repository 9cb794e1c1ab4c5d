"""The file that takes the messages of a relay that was started by itself: of bounded size."""

from __future__ import annotations

import os
from pathlib import Path

MAX_BYTES = 1 << 20
"""Size from which on a new file is begun; the one before is kept as ``relay.log.1``."""


def open_log_file(path: Path) -> int:
    """A descriptor that appends to the file, after `MAX_BYTES` to a new one.

    Raises:
        OSError: the file can't be made.
    """
    if path.exists() and path.stat().st_size >= MAX_BYTES:
        path.replace(path.with_name(path.name + ".1"))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def keep_small(path: Path, descriptors: tuple[int, ...] = (1, 2)) -> None:
    """Begin a new file if this process's own messages go to ``path`` and it has grown large.

    Guarantee: never raises; a process whose messages go elsewhere is left alone.
    """
    try:
        ours = os.fstat(descriptors[-1])
        if ours.st_size < MAX_BYTES or not os.path.samestat(ours, path.stat()):
            return
        fresh = open_log_file(path)
        try:
            for descriptor in descriptors:
                if os.path.samestat(os.fstat(descriptor), ours):
                    os.dup2(fresh, descriptor)
        finally:
            os.close(fresh)
    except OSError:
        return
