"""The lock by which recorders of this machine see that a relay runs."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from chain_client.errors import HomeNotWritable
from chain_client.forking import tell_of_forks

_TRIES = 10
_PAUSE_S = 0.005
# Others may write to an inbox, too: no link is followed, and no pipe waited for.
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class RelayLock:
    """flock(2) on a file of the home; the kernel lets go of it however the process ends.

    Args:
        path: the file; made if missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._held = False
        tell_of_forks(self)

    def renew_locks(self) -> None:
        """In a forked child: the lock is the parent's, and must not outlive it."""
        self.release()

    def take(self) -> bool:
        """Take it if it is free; whether it is held now.

        Raises:
            HomeNotWritable: the file can't be opened.
        """
        if self._descriptor is None:
            try:
                self._descriptor = os.open(self._path, _FLAGS, 0o600)
            except OSError as exc:
                raise HomeNotWritable(
                    f"{self._path} can't be written ({exc.strerror or exc}); make the home writable"
                ) from exc
        # A recorder that looks whether a relay runs holds it for a moment.
        for number in range(_TRIES if not self._held else 0):
            if number:
                time.sleep(_PAUSE_S)
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            self._held = True
            break
        return self._held

    def release(self) -> None:
        """Let go; nothing happens if it is not held."""
        descriptor, self._descriptor, self._held = self._descriptor, None, False
        if descriptor is not None:
            os.close(descriptor)


def is_relay_running(lock: Path) -> bool:
    """Whether a relay of this machine holds the home's relay lock."""
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
