"""What the core asks of an adapter whose host knows more than its hooks told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from chain_client.hosts import Reading, Recorded, StoreBinding


@runtime_checkable
class Reconciles(Protocol):
    """An adapter that can read later what no process of its host recorded."""

    def reconcile(
        self,
        store: StoreBinding,
        recorded: Recorded,
        *,
        since_us: int | None,
        until_us: int,
        part: str | None,
    ) -> Iterator[Reading]:
        """What is to be recorded: notes, each saying who read it; what is known is left out.

        Guarantee: once the log or a spool has them, another call gives nothing.

        Args:
            store: whose.
            recorded: gives what was recorded of a subject, in the log or still in a spool.
            since_us: leaves out what had ended before, in µs since the epoch.
            until_us: leaves out what ended later: its events may still be under way.
            part: of the host only; in Airflow the id of a DAG.

        Raises:
            HostUnavailable: the host can't be read.
        """
