"""Airflow's side of verification: the core asks for it by the entry point ``airflow``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from airflow_chain.keys import ADAPTER
from airflow_chain.reading.database import read_database
from airflow_chain.reconciling import reconcile
from airflow_chain.verifying.comparison import Comparison
from airflow_chain.verifying.missing_events import find_missing_events
from airflow_chain.verifying.names import name_event
from airflow_chain.verifying.replay import replay
from airflow_chain.verifying.two_roles import find_two_roles
from airflow_chain.verifying.unexplained_states import find_unexplained_states
from chain_client.events import Event, OutcomeStatus
from chain_client.hosts import (
    Finding,
    Progress,
    Reading,
    Recorded,
    Remark,
    Resolution,
    Scope,
    StoreBinding,
    Unchecked,
)

_TOLD_EVERY = 10_000


class AirflowHost:
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
        """Compare all DAG runs and task instances; see `chain_client.hosts.Host`.

        A scope of one MLflow run or model concerns nothing of Airflow. What the log alone shows is
        found though the database can't be read.
        """
        if scope != Scope():
            return
        recorded = replay(events)
        yield from find_missing_events(recorded)
        yield from find_unexplained_states(recorded)
        yield from find_two_roles(recorded)
        comparison = Comparison(recorded, f"Airflow {store.store_id}")
        for count, line in enumerate(read_database(store)):
            if count % _TOLD_EVERY == 0:
                progress("reading Airflow's database", count, count)
            yield from comparison.take(line)
        yield from comparison.finish()

    def name_event(self, event: Event) -> str:
        """What it is about; see `chain_client.hosts.NamesEvents`."""
        return name_event(event)

    def reconcile(
        self,
        store: StoreBinding,
        recorded: Recorded,
        *,
        since_us: int | None,
        until_us: int,
        part: str | None,
    ) -> Iterator[Reading]:
        """What DAG runs' ends left out; see `chain_client.reconciles.Reconciles`."""
        lines = read_database(store, dag_id=part, since_us=since_us)
        return reconcile(lines, recorded, until_us=until_us)
