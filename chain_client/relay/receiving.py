"""Fetching what was handed over elsewhere into the inbox, and removing it there afterwards.

In the store, a parcel lies until it is in the log. It is fetched into the relay's own inbox, and
taken in from there as any other. When nothing of it is left in the inbox, because its rows are
committed or it was set aside, it is removed in the store. Only a thread talks to the store.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from chain_client.clock import Clock
from chain_client.errors import (
    AnotherRelay,
    ChainError,
    DamagedParcel,
    LogUnavailable,
    NotInTime,
    ShippingUnavailable,
    SpoolUnavailable,
)
from chain_client.log import Lease, holders
from chain_client.relay.background import Background
from chain_client.relay.held_lease import HeldLease
from chain_client.relay.unfinished import UnfinishedShipments
from chain_client.shipping import arriving
from chain_client.shipping.base import Parcel, Receiver, Unfinished
from chain_client.spool import list_sources
from chain_client.steps import step
from chain_client.types import SourceId

_logger = logging.getLogger(__name__)

_LOOK_S = 5.0
"""Between two looks into a store, which may be paid by the request."""
_UNFINISHED_LOOK_S = 60.0
_RETRY_MAX_S = 60.0
_PATIENCE_S = 30.0
"""How long a store may be away before a person is told."""
_END_S = 1.0
_MOST_WAITING = 64
"""Sources in the inbox; while there are more, none is fetched."""
_MOST_WAITING_BYTES = 1 << 30
_MOST_LISTED = 1000
"""Parcels that one look chooses from."""
_MOST_REFUSED = 10_000
"""Damaged parcels that are remembered, so that they are not fetched in every look."""
_MOST_FAILURES = 3
"""Parcels that one look does not get before it ends."""


@dataclass(slots=True)
class _Look:
    """What one look did, and whether it shall end."""

    stop: threading.Event
    is_fetching: bool = False
    fetched: int = 0
    removed: int = 0
    has_more: bool = False
    damaged: list[tuple[Parcel, str]] = field(default_factory=list)
    unfinished: list[Unfinished] | None = None
    trouble: str | None = None


class Receiving:
    """One relay's side of a store in which spools arrive.

    Guarantee: a parcel is removed in the store only after all of it was in this inbox durably and
    left it, and the log knows its source. One that is not what its digest says stays in the store,
    with an alarm. Of all relays of a log, one at a time fetches.

    Args:
        receiver: the store.
        folder: the inbox of this machine.
        lease: for this store, among the relays of the log.
        is_known: whether the log knows a source, or it was set aside.
        unfinished: watches what does not go on.
        clock: time.
        alarm: called with (kind, subject, detail).
        clear: called with (kind, subject).
    """

    def __init__(
        self,
        receiver: Receiver,
        folder: Path,
        lease: HeldLease,
        is_known: Callable[[SourceId], bool],
        unfinished: UnfinishedShipments,
        clock: Clock,
        alarm: Callable[[str, str, str], None],
        clear: Callable[[str, str], None],
    ) -> None:
        self._receiver = receiver
        self._folder = folder
        self._lease = lease
        self._is_known = is_known
        self._unfinished = unfinished
        self._clock = clock
        self._alarm = alarm
        self._clear = clear
        self._background: Background[_Look] = Background("mlops-chain inbox")
        self._now: _Look | None = None
        self._look_us = 0
        self._lease_us = 0
        self._unfinished_us = 0
        self._failing_us: int | None = None
        self._pause_s = _LOOK_S
        self._trouble: str | None = ""  # not known: an earlier relay may have told of some
        self._refused: set[Parcel] = set()
        self._failed: dict[Parcel, int] = {}
        self._told_other = False
        self.has_moved = False
        """Whether the last look fetched or removed anything."""

    def seat(self) -> Lease | None:
        """The lease; None while another relay has it.

        Raises:
            LogUnavailable: the log's database does not answer.
        """
        if self._lease.is_held:
            try:
                self._lease.renew_when_due()
                return self._lease.get()
            except AnotherRelay:
                self.lost()
        now_us = self._clock.monotonic_us()
        if now_us < self._lease_us:
            return None
        self._lease_us = now_us + int(1e6)
        try:
            self._lease.take(holders.this_process(), holders.is_gone)
        except AnotherRelay as exc:
            if not self._told_other:
                _logger.info("what arrives in %s waits: %s", self._uri, exc)
            self._told_other = True
            return None
        self._told_other = False
        self._unfinished.begin()
        return self._lease.get()

    @property
    def is_seated(self) -> bool:
        """Whether this relay fetches, as far as it knows."""
        return self._lease.is_held

    @property
    def is_moving(self) -> bool:
        """Whether more is to be expected, as something was just fetched or is being."""
        is_fetching = self._background.is_busy and self._now is not None and self._now.is_fetching
        return self.has_moved or is_fetching

    def lost(self) -> None:
        """Another relay was seen to have taken over."""
        _logger.warning("another relay fetches from %s now", self._uri)
        self._lease.drop()

    def turn(self) -> str | None:
        """Note what a look found, and begin the next one when it is due; what went wrong, if so.

        Raises:
            LogUnavailable: the log's database does not answer.
            SpoolUnavailable: the inbox can't be written.
        """
        now_us = self._clock.monotonic_us()
        if self._background.is_busy:
            done = self._background.take()
            if done is not None:
                return self._note(done[0], now_us)
        elif now_us >= self._look_us:
            self.look_now()
        return None

    def look_now(self) -> None:
        """Begin a look, unless one is under way."""
        if self._background.is_busy:
            return
        now_us = self._clock.monotonic_us()
        with_unfinished = now_us >= self._unfinished_us
        if with_unfinished:
            self._unfinished_us = now_us + int(_UNFINISHED_LOOK_S * 1e6)
        self._look_us = now_us + int(_LOOK_S * 1e6)
        look = self._now = _Look(threading.Event())
        self._background.start(lambda: self._look(look, with_unfinished))

    def is_looking(self, wait_s: float = 0) -> bool:
        """Whether a look is under way, also after ``wait_s``."""
        return self._background.is_working(wait_s)

    def end(self) -> None:
        """Let another relay have it. A request that hangs is left behind."""
        if self._now is not None:
            self._now.stop.set()
        self._background.join(_END_S)
        self._lease.give_back()
        self._look_us = self._lease_us = 0

    def _note(self, look: _Look, now_us: int) -> str | None:
        self.has_moved = bool(look.fetched or look.removed)
        for parcel, text in look.damaged:
            self._alarm("source_damaged", parcel.source_id.hex(), text)
        if look.unfinished is not None:
            self._unfinished.note(look.unfinished)
        if look.trouble is None:
            self._failing_us, self._pause_s = None, _LOOK_S
            if self._trouble is not None:
                self._clear("inbox_away", self._uri)
                self._trouble = None
            self._look_us = now_us if self.has_moved or look.has_more else self._look_us
            return None
        if self._failing_us is None:
            self._failing_us = now_us
            _logger.warning("%s does not give what arrived there: %s", self._uri, look.trouble)
        elif now_us - self._failing_us >= _PATIENCE_S * 1e6 and not self._trouble:
            self._alarm("inbox_away", self._uri, look.trouble)
            self._trouble = look.trouble
        self._look_us = now_us + int(self._pause_s * 1e6)
        self._pause_s = min(self._pause_s * 2, _RETRY_MAX_S)
        return look.trouble

    @property
    def _uri(self) -> str:
        return self._receiver.uri

    # In the thread.

    def _look(self, look: _Look, with_unfinished: bool) -> _Look:
        try:
            self._remove_taken(look)
            self._fetch_some(look)
            if with_unfinished:
                look.unfinished = list(itertools.islice(self._receiver.unfinished(), _MOST_LISTED))
        except NotInTime:
            look.has_more = True
        except (SpoolUnavailable, LogUnavailable):
            raise  # not the store's
        except ChainError as exc:
            look.trouble = str(exc)
        except BaseException as exc:  # a plugin may raise anything
            _logger.exception("can't receive from %s", self._uri)
            look.trouble = f"unexpected {type(exc).__name__}"
        return look

    def _remove_taken(self, look: _Look) -> None:
        for parcel in arriving.taken_from(self._folder):
            if look.stop.is_set():
                return
            if self._is_known(parcel.source_id):
                step("receiving.settled")
                self._receiver.remove(parcel)
                step("receiving.removed")
                look.removed += 1
            # Else somebody took it out of the inbox by hand: it is fetched once more.
            arriving.forget(parcel, self._folder)

    def _fetch_some(self, look: _Look) -> None:
        there: set[Parcel] = set()
        waiting: list[Parcel] = []
        is_all = True
        for parcel in self._receiver.arrived():
            if look.stop.is_set() or len(waiting) == _MOST_LISTED:
                is_all = False
                break
            there.add(parcel)
            if parcel not in self._refused and not self._is_in_hand(parcel):
                waiting.append(parcel)
        if is_all:
            arriving.clear_staged(self._folder, there.__contains__)
            self._refused &= there
        if len(self._refused) >= _MOST_REFUSED:
            raise ShippingUnavailable(f"{len(self._refused):,} parcels there are damaged")
        # What could not be fetched lately must not hold up what can.
        waiting.sort(key=lambda parcel: self._failed.get(parcel, 0))
        self._failed = {parcel: n for parcel in waiting if (n := self._failed.get(parcel))}
        failures = 0
        for parcel in waiting:
            if look.stop.is_set() or not self._has_room():
                look.has_more = look.stop.is_set()
                return
            if self._is_in_hand(parcel):
                continue  # another one of the same source
            look.is_fetching = True
            try:
                self._receiver.fetch(parcel, self._folder, look.stop.is_set)
                look.fetched += 1
            except DamagedParcel as exc:
                self._refused.add(parcel)
                look.damaged.append((parcel, f"{exc}. It stays in {self._uri}"))
            except ShippingUnavailable as exc:
                self._failed[parcel] = self._failed.get(parcel, 0) + 1
                look.trouble = str(exc)
                failures += 1
                if failures == _MOST_FAILURES:
                    return

    def _is_in_hand(self, parcel: Parcel) -> bool:
        return arriving.is_in_hand(parcel, self._folder) or (
            arriving.is_noted(parcel, self._folder) and not arriving.is_staged(parcel, self._folder)
        )

    def _has_room(self) -> bool:
        sources = list_sources(self._folder)
        if len(sources) >= _MOST_WAITING:
            return False
        size = 0
        for source in sources:
            try:
                size += sum(file.stat().st_size for file in source.directory.iterdir())
            except OSError:  # taken in meanwhile
                continue
        return size < _MOST_WAITING_BYTES
