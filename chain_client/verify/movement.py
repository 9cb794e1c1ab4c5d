"""Whether records are being added while a verification compares, here and on other machines."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from chain_client.clock import SystemClock
from chain_client.errors import LogCorrupt
from chain_client.log import Lease
from chain_client.log.holders import INGEST, host_of, ingester_of
from chain_client.verify.elsewhere import Elsewhere, find_elsewhere
from chain_client.verify.evidence import Evidence

_PAUSE_S = 0.1
_ROUND_S = 1.0
"""How long a relay that has just shown itself may take to bring what it read then."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What is recorded at one time.

    Args:
        size: entries of the log.
        waiting: events in this home's spools that the log lacks.
        settled: those of them whose outcome is known.
        live_sources: processes that record on this machine.
    """

    size: int
    waiting: int
    settled: int
    live_sources: int

    @classmethod
    def of(cls, evidence: Evidence) -> Moment:
        """Now."""
        spooled = evidence.spooled()
        settled = sum(len(numbers) for numbers in spooled.settled.values())
        return cls(evidence.log.size(), len(spooled.events), settled, spooled.live_sources)

    def may_have_changed(self, now: Moment) -> bool:
        """Whether anything was recorded from then to now, as far as this machine can tell."""
        return self.live_sources > 0 or self != now


@dataclass(slots=True)
class Reached:
    """How far one comparison read each source of the database, in the log.

    Args:
        ended_us: wall time when the comparison had ended.
        counts: how many events it met, by source.
        last_us: the greatest claimed time among them, by source.
    """

    ended_us: int = 0
    counts: dict[bytes, int] = field(default_factory=dict)
    last_us: dict[bytes, int] = field(default_factory=dict)

    def take(self, source_id: bytes, time_us: int) -> None:
        """Note an event of the database."""
        self.counts[source_id] = self.counts.get(source_id, 0) + 1
        self.last_us[source_id] = max(self.last_us.get(source_id, 0), time_us)

    def end(self) -> None:
        """Note that the comparison has ended."""
        self.ended_us = SystemClock().time_us()


class OtherMachines:
    """The machines that feed the log beside this one, while one database is compared.

    Args:
        evidence: what is verified.
    """

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._before = self._others()
        self._silent: dict[str, str] = {}

    @property
    def are_there(self) -> bool:
        """Whether one of them may have recorded something that the log lacks."""
        return bool(self._before) or any(o.is_recent for o in self._sources().values())

    def catch_up(self) -> None:
        """Wait until each relay that holds its lease has shown itself anew, within the patience.

        A relay renews its lease between two rounds, each of which reads its spool to the end.
        """
        before = self._others()
        deadline = time.monotonic() + self._evidence.patience_s
        behind = dict(before)
        while behind and time.monotonic() < deadline:
            threading.Event().wait(_PAUSE_S)
            now = self._others()
            behind = {
                name: lease
                for name, lease in behind.items()
                if name in now and now[name].expires_us <= lease.expires_us
            }
        if before and self._evidence.patience_s > 0:
            threading.Event().wait(_ROUND_S)
        self._silent = {name: host_of(lease.holder) for name, lease in behind.items()}

    def find_behind(self, first: Reached, last: Reached) -> list[str]:
        """Who may have recorded, before the first comparison ended, what the last one lacked.

        Args:
            first: how far the first comparison read.
            last: how far the last one did.

        Returns:
            a clause for people about each.
        """
        found = []
        for source_id, source in self._sources().items():
            if source_id not in last.counts or not source.is_recent:
                continue
            grew = last.counts[source_id] > first.counts.get(source_id, 0)
            reached = last.last_us[source_id] >= first.ended_us
            is_silent = source.ingester in self._silent
            if not source.is_fed or is_silent or (grew and not reached):
                found.append(source.to_text())
        return found

    def _others(self) -> Mapping[str, Lease]:
        """The leases of other homes' relays that are held now, by ingester."""
        own = self._evidence.ingester_id
        held = {ingester_of(lease.name): lease for lease in self._evidence.log.holders(INGEST)}
        return {name: lease for name, lease in held.items() if name is not None and name != own}

    def _sources(self) -> dict[bytes, Elsewhere]:
        """Sources of other machines that may go on."""
        evidence = self._evidence
        waiting = evidence.spooled().waiting
        now_us = SystemClock().time_us()
        try:
            found = find_elsewhere(evidence.log, evidence.ingester_id, waiting, now_us)
        except (ValueError, TypeError, LogCorrupt):
            return {}  # the step on sources names it
        return {key: source for key, source in found.items() if not source.has_ended}
