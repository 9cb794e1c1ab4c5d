"""What a relay does beside ingesting and anchoring, each in a thread of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from chain_client.errors import ChainError
from chain_client.log import Lease
from chain_client.relay.announcing import Announcer
from chain_client.relay.cross_anchoring import CrossAnchorer
from chain_client.relay.other_senders import OtherSenders
from chain_client.relay.read_back import ReadBack
from chain_client.relay.registry_sync import RegistrySync
from chain_client.relay.round import Round

_logger = logging.getLogger(__name__)

_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Companions:
    """Whatever of it a home has.

    Guarantee: what goes wrong with one of them holds up neither the others nor the relay.

    Args:
        read_back: lets files be read that passed none of the recorders.
        registry_sync: keeps hosts equal to the registry.
        cross: anchors heads on a second chain too.
        others: watches what other keys sent; on a chain that may replace blocks.
        announcer: tells plugins of proposals and alarms.
    """

    read_back: ReadBack | None = None
    registry_sync: RegistrySync | None = None
    cross: CrossAnchorer | None = None
    others: OtherSenders | None = None
    announcer: Announcer | None = None
    _failing: set[str] = field(default_factory=set, init=False)

    @property
    def chain_trouble(self) -> str | None:
        """Why the chain does not answer, as far as any of it asked; None if it answers."""
        return None if self.registry_sync is None else self.registry_sync.trouble

    def start(self) -> None:
        """Begin what goes on by itself."""
        if self.registry_sync is not None:
            self.registry_sync.start()
        if self.announcer is not None:
            self._guarded(self.announcer.start)

    def stop(self) -> None:
        """End all of it."""
        if self.registry_sync is not None:
            self.registry_sync.stop()
        if self.cross is not None:
            self.cross.stop()
        if self.others is not None:
            self.others.stop()
        if self.read_back is not None:
            self.read_back.stop()
        if self.announcer is not None:
            # The last one: what the others raised is told, too.
            self.announcer.stop()

    def turn(self, done: Round, lease: Lease | None) -> bool:
        """After a round: see to what is due; whether any work is under way.

        Args:
            done: what the round ingested.
            lease: of the anchoring, if this relay holds it.

        Raises:
            LogUnavailable: the log does not answer.
        """
        busy = False
        if self.read_back is not None and not done.unread:
            busy = self._guarded(self.read_back.start_if_wanted)
        if self.registry_sync is not None:
            busy = self._guarded(self.registry_sync.is_busy) or busy
        if self.cross is not None:
            cross = self.cross
            if lease is not None:
                self._guarded(lambda: cross.turn(lease))
            busy = self._guarded(cross.is_busy) or busy
        if self.others is not None and lease is not None:
            others = self.others
            self._guarded(lambda: others.turn(lease))
        if self.announcer is not None:
            busy = self._guarded(self.announcer.is_busy) or busy
        return busy

    def _guarded(self, work: Callable[[], bool | None]) -> bool:
        """What it gives; a fault is logged once, and it is called again in the next round."""
        try:
            found = bool(work())
        except ChainError:
            raise
        except Exception as exc:
            kind = type(exc).__name__
            if kind not in self._failing:
                _logger.exception("something beside the anchoring failed")
            self._failing.add(kind)
            return False
        return found

    def drain_host(self, keep: Callable[[], None], take_all: Callable[[], None]) -> None:
        """Read back and sync once, and take in what that records.

        Args:
            keep: called while it goes on.
            take_all: reads the spool to its end.

        Raises:
            LogUnavailable: the log does not answer.
        """
        if self.read_back is not None and self.read_back.start_if_wanted(first_only=True):
            while self.read_back.is_busy(_POLL_S):
                keep()
            take_all()
        if self.registry_sync is not None:
            self.registry_sync.run_once()
            while self.registry_sync.is_busy(_POLL_S):
                keep()
            take_all()

    def drain_chain(
        self, lease: Lease | None, keep: Callable[[], None], is_over: Callable[[], bool]
    ) -> None:
        """Anchor on the second chain once, if this relay anchors, and tell what is to be told.

        Args:
            lease: of the anchoring, if this relay holds it.
            keep: called while it goes on.
            is_over: whether it has been waited for long enough.
        """
        if self.cross is not None and lease is not None:
            self.cross.turn(lease)
            while self.cross.is_busy(_POLL_S) and not is_over():
                keep()
        if self.announcer is not None:
            self._guarded(self.announcer.start)
            while self.announcer.is_busy(_POLL_S) and not is_over():
                keep()
