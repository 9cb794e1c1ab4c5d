"""What a relay keeps in the log beside entries: sources, leases, alarms."""

from __future__ import annotations

from collections.abc import Callable

from chain_client.log import alarms, leases, sources
from chain_client.log.database import reading, writing
from chain_client.log.holders import ingester_of
from chain_client.log.model import Alarm, Lease, SourceProgress, SourceState
from chain_client.log.opened_database import OpenedDatabase
from chain_client.log.postgres import lock_appends
from chain_client.types import SourceId


class RelayState(OpenedDatabase):
    """The part of `Log` that relays work with."""

    def source(self, source_id: SourceId) -> SourceState | None:
        """What is known of a source; None if it was never met."""
        with reading(self.engine) as connection:
            return sources.find_source(connection, source_id)

    def sources(self) -> list[SourceState]:
        """Every source, in the order in which they were first met."""
        with reading(self.engine) as connection:
            return sources.all_sources(connection)

    def put_source(self, progress: SourceProgress, lease: Lease) -> None:
        """Note a source, or what is new about it, without entries.

        Raises:
            AnotherRelay: the lease was taken over.
        """
        with writing(self.engine) as connection:
            leases.fence(connection, lease)
            lock_appends(connection)
            now_us = self._clock.time_us()
            number = sources.source_numbers(connection, [progress.source_id], now_us)
            sources.write_progress(
                connection,
                progress,
                number[progress.source_id],
                now_us,
                ingester_of(lease.name),
            )

    def acquire_lease(
        self,
        name: str,
        holder: str,
        ttl_s: float,
        *,
        replace_dead: Callable[[str], bool] | None = None,
    ) -> Lease:
        """Take a lease that is free or has expired; its token is higher than any before.

        Args:
            name: of what, such as ``relay``.
            holder: who takes it, as people can find it.
            ttl_s: how long it holds without `renew`.
            replace_dead: asked with the holder's name when it is held; True takes it over.

        Raises:
            AnotherRelay: somebody holds it; the text names who.
        """
        with writing(self.engine) as connection:
            return leases.acquire(
                connection, name, holder, round(ttl_s * 1e6), self._clock, replace_dead
            )

    def renew(self, lease: Lease, ttl_s: float) -> Lease:
        """The lease with its end ``ttl_s`` from now; an expired one too, if nobody took it.

        Raises:
            AnotherRelay: somebody did.
        """
        with writing(self.engine) as connection:
            return leases.extend(connection, lease, round(ttl_s * 1e6), self._clock)

    def release(self, lease: Lease) -> None:
        """Give a lease back; nothing happens if somebody took it over."""
        with writing(self.engine) as connection:
            leases.give_back(connection, lease)

    def holder(self, name: str) -> Lease | None:
        """The lease, if somebody holds it now."""
        with reading(self.engine) as connection:
            return leases.find(connection, name, self._clock)

    def holders(self, prefix: str) -> list[Lease]:
        """Every lease whose name begins so and that somebody holds now, by name."""
        with reading(self.engine) as connection:
            return leases.find_all(connection, prefix, self._clock)

    def known_leases(self, prefix: str) -> list[Lease]:
        """Every lease whose name begins so and that somebody ever held, by name."""
        with reading(self.engine) as connection:
            return leases.find_known(connection, prefix)

    # Alarms: without a lease, so that a relay that was stopped can still say why

    def raise_alarm(self, kind: str, subject: str, detail: str) -> None:
        """Let an alarm stand; once more is counted."""
        with writing(self.engine) as connection:
            alarms.write_alarm(connection, kind, subject, detail, self._clock.time_us())

    def clear_alarm(self, kind: str, subject: str) -> None:
        """End an alarm; nothing happens if it does not stand."""
        with writing(self.engine) as connection:
            alarms.write_cleared(connection, kind, subject, self._clock.time_us())

    def alarms(self, *, include_cleared: bool = False) -> list[Alarm]:
        """Alarms that stand, the newest first."""
        with reading(self.engine) as connection:
            return alarms.read_alarms(connection, include_cleared)
