"""What was recorded of DAG runs and task instances, as far as it is compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_chain.keys import DagRunKey, TaskKey

Item = Mapping[str, Any]
"""Of a task instance or of a DAG run, as `mapping` made it."""

FINAL = frozenset({"success", "failed"})
"""States in which a DAG run has ended."""
FINISHED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
"""States in which a task instance has ended."""

LOCAL = "local"
"""The component that is none of Airflow's, such as a process that calls ``dag.test()``."""

TIMED_OUT = "timed_out"
"""Airflow's word for a DAG run that took too long; what was not finished is skipped then."""

SKEW_US = 60_000_000
"""How far clocks of two machines may be apart, for deciding what was recorded last."""


@dataclass(slots=True)
class TaskTry:
    """What was recorded of one try while it ran.

    Args:
        key: the task instance.
        ti_id: Airflow's id of the try.
        try_number: if an event told it.
        own: types of the events of its own process, in the order in which they were met.
        last_own: type and claimed time of the last of them.
        seen_ends: types of ends that another process told, such as the scheduler.
        marks: states that people gave it, with the claimed time.
        sources: of its own process's events.
    """

    key: TaskKey
    ti_id: str
    try_number: int | None = None
    own: list[str] = field(default_factory=list)
    last_own: tuple[int, str] = (0, "")
    seen_ends: set[str] = field(default_factory=set)
    marks: list[tuple[int, str]] = field(default_factory=list)
    sources: set[bytes] = field(default_factory=set)


@dataclass(slots=True)
class RunEnd:
    """One recorded end of a DAG run: by its scheduler, by a person, or found by the reconciler.

    Args:
        time_us: claimed time of the event.
        source_id: of the event.
        item: of the run, as it was then.
        message: Airflow's words for the reason.
        marked: whether a person gave it the state.
        reconciled: whether the reconciler found it.
        component: of Airflow, that recorded it.
        conf: SHA-256 of what was recorded of the run's conf; None if nothing was.
    """

    time_us: int
    source_id: bytes
    item: Item
    message: str = ""
    marked: bool = False
    reconciled: bool = False
    component: str = ""
    conf: str | None = None


@dataclass(slots=True)
class RunRecord:
    """What was recorded of one DAG run.

    Args:
        key: which one.
        first_us: claimed time of the earliest event about itself; 0 if there is none.
        last_us: of the latest one.
        started_us: claimed time of its latest recorded start; 0 if none was.
        whole: whether it was recorded from its very beginning, before anything of it was cleared.
        ends: every recorded end, in the order of their times.
        items: the latest that was recorded of each try, by Airflow's id of it.
        latest: ids of the tries that its latest end has.
        unread: whether its latest end was recorded without its task instances.
        parts: numbers of those events that together filled in what its latest end left out.
        denied: how many task instances of its latest end the policy left out.
        denying: ends of which it left some out, by claimed time, with ids of the tries they have.
        lost: what the reconciler said to be lost, by Airflow's id of the try.
        marks: claimed times of what people did to it.
        marked: ids of tries, with the states that they had right after a person did it.
        marked_unread: whether a person did it while there were too many to be read.
        graphs: that it had, each by its SHA-256.
    """

    key: DagRunKey
    first_us: int = 0
    last_us: int = 0
    started_us: int = 0
    whole: bool = False
    ends: list[RunEnd] = field(default_factory=list)
    items: dict[str, tuple[int, Item]] = field(default_factory=dict)
    latest: set[str] = field(default_factory=set)
    unread: bool = False
    parts: set[int] = field(default_factory=set)
    denied: int = 0
    denying: list[tuple[int, set[str]]] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)
    marks: list[int] = field(default_factory=list)
    marked: set[tuple[str, str | None]] = field(default_factory=set)
    marked_unread: bool = False
    graphs: set[str] = field(default_factory=set)

    @property
    def end(self) -> RunEnd | None:
        """The latest recorded end, if it has not begun anew since."""
        if not self.ends:
            return None
        last = self.ends[-1]
        return last if self.started_us <= last.time_us else None

    @property
    def seen(self) -> bool:
        """Whether anybody but the reconciler recorded it."""
        return self.started_us > 0 or any(not end.reconciled for end in self.ends)

    def is_before(self, item: Item) -> bool:
        """Whether a try may have run before anybody recorded of it.

        Nobody did while its run was not recorded yet, or while the policy left it out, as an end
        tells that has not got it.
        """
        started_us = item["started_us"]
        if started_us is None:
            return not self.whole
        return (not self.whole and started_us < self.first_us) or any(
            started_us < time_us and item["ti_id"] not in ids for time_us, ids in self.denying
        )

    def is_marked(self, item: Item) -> bool:
        """Whether a try may have its state of a person who gave the whole run a state."""
        return self.marked_unread or (item["ti_id"], item["state"]) in self.marked


@dataclass(frozen=True, slots=True)
class GraphTask:
    """A task, as a graph has it.

    Args:
        operator: name of the class, without its module.
        idle: whether it may succeed though no process ever runs it.
    """

    operator: str
    idle: bool


@dataclass(slots=True)
class Recorded:
    """Everything that was recorded of one Airflow.

    Args:
        runs: by key.
        tries: by Airflow's id of the try.
        began_us: claimed time of the first event about a DAG run; None if there is none.
        closed: sources whose process ended in order.
        lossy: sources that say that they lost records, with the latest claimed time.
        graphs: the tasks of each graph, by its SHA-256.
        idle: tasks that were idle in any graph of a DAG, by the DAG.
        components: of what stands for the scheduler or the API server, an event of each source.
    """

    runs: dict[DagRunKey, RunRecord] = field(default_factory=dict)
    tries: dict[str, TaskTry] = field(default_factory=dict)
    began_us: int | None = None
    closed: set[bytes] = field(default_factory=set)
    lossy: dict[bytes, int] = field(default_factory=dict)
    graphs: dict[str, dict[str, GraphTask]] = field(default_factory=dict)
    idle: dict[str, set[str]] = field(default_factory=dict)
    components: dict[bytes, tuple[int, str]] = field(default_factory=dict)

    def run(self, key: DagRunKey) -> RunRecord:
        """The record of a run, made when it is first met."""
        found = self.runs.get(key)
        if found is None:
            found = self.runs[key] = RunRecord(key)
        return found
