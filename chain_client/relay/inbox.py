"""The folder in which sources arrive that machines hand over before they are thrown away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from chain_client.clock import Clock
from chain_client.errors import AnotherRelay, HomeNotWritable, SpoolUnavailable
from chain_client.log import Lease
from chain_client.relay.ingest import Ingester
from chain_client.relay.lock import RelayLock
from chain_client.relay.receiving import Receiving
from chain_client.relay.round import Round
from chain_client.relay.unfinished import UnfinishedShipments
from chain_client.shipping.folder import list_unfinished
from chain_client.spool import remove_taken

LOCK_NAME = ".relay.lock"
_LOOK_S = 2.0


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
        unfinished: watches shipments into this folder.
        receiving: fetches into this folder what was handed over elsewhere; the folder is made then,
            and nobody ships into it.
    """

    def __init__(
        self,
        folder: Path,
        ingester: Ingester,
        clock: Clock,
        alarm: Callable[[str, str, str], None],
        clear: Callable[[str, str], None],
        unfinished: UnfinishedShipments,
        receiving: Receiving | None = None,
    ) -> None:
        self._folder = folder
        self._ingester = ingester
        self._clock = clock
        self._alarm = alarm
        self._clear = clear
        self._unfinished = unfinished
        self._receiving = receiving
        self._lock: RelayLock | None = None
        self._look_us: int | None = None
        self._is_ours = False
        self._trouble: str | None = ""  # not known: an earlier relay may have told of some

    def run_round(self, lease: Lease) -> Round:
        """Take in what has arrived.

        Raises:
            AnotherRelay: the lease was taken over; nothing was written.
            LogUnavailable: nothing was written; the next round reads it again.
        """
        try:
            if not self._is_due():
                return Round()
            done = self._take_in(lease)
        except (HomeNotWritable, SpoolUnavailable) as exc:
            self._note_trouble(str(exc))
            return Round(problems=[str(exc)])
        self._note_trouble(None)
        return done

    def _take_in(self, lease: Lease) -> Round:
        if self._receiving is None:
            return self._ingester.run_round(lease)
        seat = self._receiving.seat()
        if seat is None:
            return Round()
        trouble = self._receiving.turn()
        try:
            # Under the lease of the store: whoever fetches the same there takes over from us.
            done = self._ingester.run_round(seat)
        except AnotherRelay:
            self._receiving.lost()
            return Round()
        done.arriving = self._receiving.is_moving
        if trouble is not None:
            done.problems.append(trouble)
        return done

    def look_now(self) -> None:
        """Begin to fetch what was handed over elsewhere, if anything is."""
        if self._receiving is not None and self._is_ours and self._receiving.is_seated:
            self._receiving.look_now()

    def is_looking(self, wait_s: float) -> bool:
        """Whether that is under way, also after ``wait_s``."""
        return self._receiving is not None and self._receiving.is_looking(wait_s)

    @property
    def has_moved(self) -> bool:
        """Whether the last look elsewhere found anything to do."""
        return self._receiving is not None and self._receiving.has_moved

    def end(self) -> None:
        """Let another relay have it."""
        if self._receiving is not None:
            self._receiving.end()
        if self._lock is not None:
            self._lock.release()
        self._lock, self._look_us, self._is_ours = None, None, False

    def _is_due(self) -> bool:
        """Whether to read it; asks every two seconds whether it is there, and nobody else's."""
        now_us = self._clock.monotonic_us()
        if self._look_us is not None and now_us < self._look_us:
            return self._is_ours
        self._look_us = now_us + int(_LOOK_S * 1e6)
        if self._receiving is not None:
            self._make_folder()
        elif not self._folder.is_dir():
            self.end()
            return False
        self._lock = self._lock or RelayLock(self._folder / LOCK_NAME)
        was_ours, self._is_ours = self._is_ours, self._lock.take()
        if self._is_ours:
            if not was_ours:
                remove_taken(self._folder)
                self._unfinished.begin()
            if self._receiving is None:
                self._unfinished.note(list_unfinished(self._folder))
        return self._is_ours

    def _make_folder(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as exc:
            raise HomeNotWritable(f"{self._folder} can't be made ({exc.strerror or exc})") from exc

    def _note_trouble(self, text: str | None) -> None:
        if text == self._trouble:
            return
        if text is None:
            self._clear("inbox", "folder")
        else:
            self._alarm("inbox", "folder", text)
        self._trouble = text
