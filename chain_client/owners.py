"""Whether the owner of a source is gone, as far as that can be known from here.

An owner holds a lock while it lives, and the kernel lets go of it however the process ends. But a
lock is only seen where the same kernel keeps it. Names of machines and numbers of processes tell
nothing: containers reuse both. So a free lock is believed where owner and reader run under one
kernel, which the id of its boot tells, or where the folder lies on a disk of this machine. Anywhere
else the source must also have given no sign of life for a while.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from chain_client import mounts, records
from chain_client.clock import Clock
from chain_client.events import Json
from chain_client.spool import Kind, Position, SourceReader
from chain_client.types import SourceId

SHARED_LEASE_S = 60.0
"""Least time without a sign of life after which the owner of a source in a folder that machines
share counts as dead. A living one gives a sign every few seconds (`spool.heartbeat`)."""
_CLOCKS_APART_S = 7200.0
"""How far the clocks of two machines may be apart."""


def find_opening(reader: SourceReader) -> dict[str, Json]:
    """What the opening record of a source says of its owner; nothing if it is not there.

    Raises:
        SpoolUnavailable: the disk refuses.
    """
    found = reader.read(Position(0, 0), 1).records
    if not found or found[0].kind is not Kind.NOTE or found[0].sequence != 0:
        return {}
    try:
        event = records.decode_note(found[0].body, reader.source_id, 0)
    except (ValueError, TypeError, KeyError, IndexError):
        return {}
    return dict(event.payload) if event.type == records.SOURCE_OPENED else {}


def is_lock_conclusive(folder: Path, opening: Mapping[str, Json]) -> bool:
    """Whether a free lock of a source in this folder means that its owner is gone.

    Args:
        folder: in which the source lies.
        opening: what its opening record says of its owner.
    """
    if opening.get("boot") == _own_boot():
        return True
    if is_shared(folder):
        return False
    host = opening.get("host")
    return not isinstance(host, str) or host == socket.gethostname()


def is_shared(folder: Path) -> bool:
    """Whether other machines may write into the folder while their locks do not show here."""
    file_system = mounts.find_file_system(folder)
    return file_system is not None and mounts.may_share_locks_badly(file_system)


@cache
def _own_boot() -> str:
    return records.boot_id()


class Owners:
    """Watches for signs of life where a lock tells nothing.

    Args:
        folder: of the sources.
        clock: time; how far it is from other machines' clocks does not matter.
        lease_s: how long a source of another machine must have been silent.
    """

    def __init__(self, folder: Path, clock: Clock, lease_s: float) -> None:
        self._folder = folder
        self._clock = clock
        self._lease_s = lease_s
        self._seen: dict[SourceId, tuple[object, int]] = {}

    def is_lock_conclusive(self, opening: Mapping[str, Json]) -> bool:
        """`is_lock_conclusive` in this folder."""
        return is_lock_conclusive(self._folder, opening)

    def may_be_gone(self, reader: SourceReader, opening: Mapping[str, Json]) -> bool:
        """Whether a free lock of this source means that its owner is gone.

        Raises:
            SpoolUnavailable: the disk refuses.
        """
        if self.is_lock_conclusive(opening):
            return True
        if is_shared(self._folder):
            return self._silent_s(reader, _CLOCKS_APART_S) >= max(self._lease_s, SHARED_LEASE_S)
        return self._silent_s(reader, 0.0) >= self._lease_s

    def forget(self, source_id: SourceId) -> None:
        """It is not watched any more."""
        self._seen.pop(source_id, None)

    def _silent_s(self, reader: SourceReader, apart_s: float) -> float:
        """For how long it was seen without a change; or its files say that it was, by a clock that
        may be ``apart_s`` from this machine's."""
        now_us = self._clock.monotonic_us()
        signs = reader.signs_of_life()
        if self._seen.get(reader.source_id, (None, 0))[0] != signs:
            self._seen[reader.source_id] = signs, now_us
        watched_s = (now_us - self._seen[reader.source_id][1]) / 1e6
        stamped_s = (self._clock.time_us() - reader.quiet_since_us()) / 1e6 - apart_s
        return max(watched_s, stamped_s)
