"""The folder in which sources arrive that machines hand over before they are thrown away."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Collection
from pathlib import Path

from chain_client.clock import Clock
from chain_client.errors import HomeNotWritable, SpoolUnavailable
from chain_client.log import Lease
from chain_client.relay.ingest import Ingester
from chain_client.relay.lock import RelayLock
from chain_client.relay.round import Round
from chain_client.shipping.manifest import STAGED_PREFIX
from chain_client.spool import remove_taken

LOCK_NAME = ".relay.lock"
_LOOK_S = 2.0
_UNFINISHED_S = 600.0
"""A shipment that has not grown for so long is not going on: a shipper has seconds."""
_STAGED = re.compile(re.escape(STAGED_PREFIX) + r"([0-9a-f]{32})-[0-9a-f]{16}")


class Inbox:
    """Takes in what arrives, while no other relay does so.

    Guarantee: a source is only looked at when it is there whole; what is damaged, or another
    deployment's, is set aside in ``aside``, with an alarm. A shipment that was begun and not ended
    is told of, and left where it is.

    Args:
        folder: may be missing; then nothing arrives.
        ingester: of that folder.
        clock: time.
        alarm: called with (kind, subject, detail).
        clear: called with (kind, subject).
        standing: subjects of the alarms of a kind that stand.
    """

    def __init__(
        self,
        folder: Path,
        ingester: Ingester,
        clock: Clock,
        alarm: Callable[[str, str, str], None],
        clear: Callable[[str, str], None],
        standing: Callable[[str], Collection[str]],
    ) -> None:
        self._folder = folder
        self._ingester = ingester
        self._clock = clock
        self._alarm = alarm
        self._clear = clear
        self._standing = standing
        self._lock: RelayLock | None = None
        self._look_us: int | None = None
        self._is_ours = False
        self._trouble: str | None = ""  # not known: an earlier relay may have told of some
        self._watched: dict[str, tuple[object, int]] = {}
        self._told: set[str] = set()

    def run_round(self, lease: Lease) -> Round:
        """Take in what has arrived.

        Raises:
            AnotherRelay: the lease was taken over; nothing was written.
            LogUnavailable: nothing was written; the next round reads it again.
        """
        try:
            if not self._is_due():
                return Round()
            done = self._ingester.run_round(lease)
        except (HomeNotWritable, SpoolUnavailable) as exc:
            self._note_trouble(str(exc))
            return Round(problems=[str(exc)])
        self._note_trouble(None)
        return done

    def end(self) -> None:
        """Let another relay have it."""
        if self._lock is not None:
            self._lock.release()
        self._lock, self._look_us, self._is_ours = None, None, False

    def _is_due(self) -> bool:
        """Whether to read it; asks every two seconds whether it is there, and nobody else's."""
        now_us = self._clock.monotonic_us()
        if self._look_us is not None and now_us < self._look_us:
            return self._is_ours
        self._look_us = now_us + int(_LOOK_S * 1e6)
        if not self._folder.is_dir():
            self.end()
            return False
        self._lock = self._lock or RelayLock(self._folder / LOCK_NAME)
        was_ours, self._is_ours = self._is_ours, self._lock.take()
        if self._is_ours:
            if not was_ours:
                remove_taken(self._folder)
                self._told = set(self._standing("shipment_unfinished"))
            self._watch_shipments(now_us)
        return self._is_ours

    def _watch_shipments(self, now_us: int) -> None:
        """Tell of shipments that were begun and have not grown for long."""
        found = {}
        for folder in self._folder.glob(f"{STAGED_PREFIX}*"):
            name = _STAGED.fullmatch(folder.name)
            sizes = None if name is None else _sizes(folder)
            if name is not None and sizes is not None:
                found[name[1]] = sizes
        for source, sizes in found.items():
            if self._watched.get(source, (None, 0))[0] != sizes:
                self._watched[source] = sizes, now_us
            elif now_us - self._watched[source][1] >= _UNFINISHED_S * 1e6:
                self._tell_of(source, len(sizes))
        for source in (self._watched.keys() | self._told) - found.keys():
            self._watched.pop(source, None)
            if source in self._told:
                self._told.discard(source)
                self._clear("shipment_unfinished", source)

    def _tell_of(self, source: str, count: int) -> None:
        if source in self._told:
            return
        self._told.add(source)
        self._alarm(
            "shipment_unfinished",
            source,
            f"source {source} was being handed over, and its sender has stopped; {count} of its "
            "files are here, and nothing of it is in the log",
        )

    def _note_trouble(self, text: str | None) -> None:
        if text == self._trouble:
            return
        if text is None:
            self._clear("inbox", "folder")
        else:
            self._alarm("inbox", "folder", text)
        self._trouble = text


def _sizes(folder: Path) -> list[tuple[str, int]] | None:
    """Names and sizes of a shipment's files; None if it is there no more, or its sender goes on.

    Others may write here: what is no folder does not grow, and where a link leads nobody looks.
    """
    try:
        if not stat.S_ISDIR(folder.lstat().st_mode):
            return []
        return sorted((file.name, file.lstat().st_size) for file in folder.iterdir())
    except FileNotFoundError:
        return None
    except OSError:
        return []
