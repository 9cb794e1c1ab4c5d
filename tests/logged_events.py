"""A log in memory for tests of lineage: events as they would stand there, and questions to it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from chain_client.events import (
    Actor,
    Event,
    Json,
    OutcomeStatus,
    Subject,
    Timing,
    new_event_id,
)
from chain_client.traces import LoggedEvent
from chain_client.types import SourceId

MLFLOW, AIRFLOW = "mlflow-db", "airflow"
"""Stores."""
START_US = 1_800_000_000_000_000
ANN = Actor(claimed="ann")


@dataclass
class LogInMemory:
    """`chain_client.traces.Logged` of a list; entries are a second apart unless told otherwise."""

    logged: list[LoggedEvent] = field(default_factory=list)

    def add(
        self,
        type: str,
        subject_id: str,
        payload: Mapping[str, Any] | None = None,
        *,
        store: str = MLFLOW,
        result: Mapping[str, Json] | None = None,
        detail: Mapping[str, Json] | None = None,
        status: OutcomeStatus = OutcomeStatus.DONE,
        at_s: float | None = None,
        source: int = 1,
        actor: Actor = ANN,
        erased: bool = False,
    ) -> int:
        """Append an event: its index."""
        index = len(self.logged)
        subject = Subject(store, type.partition(".")[0], subject_id)
        seconds = index if at_s is None else at_s
        event = Event(
            event_id=new_event_id(),
            type=type,
            source_id=SourceId(bytes([source]) * 16),
            sequence=index,
            time_us=START_US + round(seconds * 1e6),
            status=status,
            subject=subject,
            actor=actor,
            timing=Timing(index, index + 1, index + 1),
            payload=payload or {},
            result=result,
            detail=detail,
        )
        self.logged.append(LoggedEvent(index, subject, None if erased else event))
        return index

    def stores(self) -> Collection[str]:
        """See `Logged`."""
        return sorted({one.subject.store for one in self.logged})

    def events(
        self,
        subject: Subject,
        *,
        below: bool = False,
        types: Collection[str] = (),
        containing: Collection[str] = (),
    ) -> Iterator[LoggedEvent]:
        """See `Logged`."""
        for one in self.logged:
            if not _fits(one.subject, subject, below=below):
                continue
            if one.event is None:
                if not below:
                    yield one
            elif not types or one.event.type in types:
                yield one

    def subjects(self, beginning: Subject) -> Iterator[Subject]:
        """See `Logged`."""
        found = {one.subject for one in self.logged if _fits(one.subject, beginning, below=True)}
        yield from sorted(found, key=lambda subject: subject.id)


def _fits(subject: Subject, asked: Subject, *, below: bool) -> bool:
    if (subject.store, subject.kind) != (asked.store, asked.kind):
        return False
    return subject.id.startswith(asked.id) if below else subject.id == asked.id


RUN_TAGS = (("airflow.dag_id", "train"), ("airflow.dag_run_id", "manual/1"))


def task_tags(task: str = "fit", try_number: int = 1, map_index: int = -1) -> list[list[str]]:
    """Tags of a run that a task started."""
    tags = dict(RUN_TAGS) | {
        "airflow.task_id": task,
        "airflow.try_number": str(try_number),
        "airflow.map_index": str(map_index),
        "airflow.name": AIRFLOW,
    }
    return [[key, value] for key, value in tags.items()]
