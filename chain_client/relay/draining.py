"""``relay --once``: everything that is spooled now becomes final, and then it is over."""

from __future__ import annotations

import threading
from collections.abc import Callable

from chain_client.clock import Clock
from chain_client.errors import NotInTime, Unavailable
from chain_client.log import EntryStatus, Lease, Log
from chain_client.relay.companions import Companions
from chain_client.relay.held_lease import LEASE
from chain_client.relay.intake import Intake
from chain_client.relay.round import Round
from chain_client.relay.tenure import Tenure

_POLL_S = 0.2


def final_size(log: Log) -> int:
    """Entries that a final head covers."""
    head = log.latest_head(EntryStatus.FINALIZED)
    return head.size if head else 0


class Draining:
    """One drain of a relay that has begun.

    Args:
        log: the log.
        tenure: what the relay holds.
        ingest: reads the spool once.
        intake: of which what was handed over elsewhere is fetched.
        turn: takes one turn of anchoring, and waits a little for it; whether something arrived.
        is_turning: whether that turn goes on: what it finds of the chain is waited for.
        companions: read back and synced meanwhile.
        clock: time.
        stop: ends the pauses.
    """

    def __init__(
        self,
        log: Log,
        tenure: Tenure,
        ingest: Callable[[], Round],
        intake: Intake,
        turn: Callable[[Lease, float], bool],
        is_turning: Callable[[], bool],
        companions: Companions,
        clock: Clock,
        stop: threading.Event,
    ) -> None:
        self._log = log
        self._tenure = tenure
        self._ingest = ingest
        self._intake = intake
        self._turn = turn
        self._is_turning = is_turning
        self._companions = companions
        self._clock = clock
        self._stop = stop

    def run(self, patience_s: float, on_round: Callable[[Round], None]) -> None:
        """Do it; see `chain_client.relay.service.Relay.drain`."""
        keep = self._tenure.keep
        self._take_all(on_round)
        deadline_us = self._clock.monotonic_us() + int(patience_s * 1e6)
        self._receive_all(deadline_us, on_round)
        self._companions.drain_host(keep, lambda: self._take_all(on_round))
        deadline_us = self._clock.monotonic_us() + int(patience_s * 1e6)
        self._anchor_all(deadline_us)
        self._companions.drain_chain(
            self._tenure.seat(), keep, lambda: self._clock.monotonic_us() >= deadline_us
        )

    def _take_all(self, on_round: Callable[[Round], None]) -> None:
        # A round reads to the end of each source as it then is, and the next one settles what
        # the dead have left. To wait for silence would never end beside a busy recorder.
        whole_rounds = 0
        while whole_rounds < 2:
            self._tenure.keep()
            done = self._ingest()
            on_round(done)
            whole_rounds = 0 if done.unread else whole_rounds + 1

    def _receive_all(self, deadline_us: int, on_round: Callable[[Round], None]) -> None:
        """Fetch until nothing is left elsewhere that could be fetched, or the time is over."""
        # What one look finds still in the inbox is taken in then, and removed by the next.
        still = 0
        while still < 2 and self._clock.monotonic_us() < deadline_us:
            self._intake.look_now()
            while self._intake.is_looking(_POLL_S) and self._clock.monotonic_us() < deadline_us:
                self._tenure.keep()
            self._take_all(on_round)
            still = 0 if self._intake.has_moved else still + 1

    def _anchor_all(self, deadline_us: int) -> None:
        target = self._log.size()
        while True:
            trouble: Unavailable | None = None
            try:
                self._tenure.keep()
                lease = self._tenure.seat()
                if lease is not None and self._turn(lease, _POLL_S):
                    continue
                if final_size(self._log) >= target and not self._is_turning():
                    return
            except Unavailable as exc:
                trouble = exc
            if self._clock.monotonic_us() >= deadline_us:
                if trouble is None and final_size(self._log) >= target:
                    return
                raise trouble or NotInTime(self._what_is_missing(target))
            self._stop.wait(_POLL_S)

    def _what_is_missing(self, target: int) -> str:
        final, holder = final_size(self._log), self._log.holder(LEASE)
        said = f"everything is in the log, but only {final} of {target} entries are final by now"
        if holder is None:
            return (
                f"{said}: no relay anchors. This home has not the log writer's key, or "
                "relay.anchor is never; start a relay on a machine that has the key"
            )
        return (
            f"{said}. {holder.holder} anchors them; wait longer (--patience), or see there: "
            "mlops-chain status"
        )
