"""What the core asks of an adapter for lineage: which things its events tie together.

An adapter offers a `Traces` by an entry point of group ``mlops_chain.traces``. It reads events
only, so it needs no host: a log can be followed where neither MLflow nor Airflow is installed.
How links are followed, and shown, lives in `chain_client.lineage`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Final, Protocol, runtime_checkable

from chain_client.errors import ConfigurationError
from chain_client.events import Event, Json, Subject

ENTRY_POINT_GROUP: Final = "mlops_chain.traces"

TARGET: Final = "target"
"""An alias or stage of a model; id ``<model>/alias:champion``."""
MODEL_VERSION: Final = "model_version"
LOGGED_MODEL: Final = "logged_model"
RUN: Final = "run"
DATASET: Final = "dataset"
"""What a run read; id ``<digest>/<name>``."""
TASK_TRY: Final = "task_try"
"""One try of a task instance; id ``<id of the task instance>#<try>``."""
DAG_RUN: Final = "dag_run"
DAG_VERSION: Final = "dag_version"
"""The graph of a DAG as it was when a run of it began."""


@dataclass(frozen=True, slots=True, order=True)
class Node:
    """Something that a lineage goes through.

    Args:
        kind: one of the kinds above.
        store: id of the host's database in the log.
        id: the host's own id, made as its kind says.
    """

    kind: str
    store: str
    id: str


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event as the log has it.

    Args:
        index: of its entry.
        subject: that the log finds it by.
        event: the event; None if its payload was erased, or can't be read.
    """

    index: int
    subject: Subject
    event: Event | None


@dataclass(frozen=True, slots=True)
class Link:
    """One thing came of another, as an event says.

    Args:
        later: what came of it.
        earlier: what it came of.
        relation: in words, from the later one: ``made by``, ``read``, ``ran in``.
        evidence: the event that says so.
        is_claimed: whether only the side that profits says so: a run's tags name a task, and no
            event of the task was seen for it.
        is_over: whether it was so once, and is no more.
        note: what people should know of it; empty if nothing.
    """

    later: Node
    earlier: Node
    relation: str
    evidence: LoggedEvent
    is_claimed: bool = False
    is_over: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """What an event says of one thing, such as its state or its name.

    Args:
        node: of what.
        values: by name; of several facts about a node the last one counts, name by name.
        evidence: the event that says so.
    """

    node: Node
    values: Mapping[str, Json]
    evidence: LoggedEvent


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that a lineage would go through, and that is not in the log.

    Args:
        node: where it ends.
        text: what is missing, for people.
        evidence: the entry that can't be read, if there is one.
    """

    node: Node
    text: str
    evidence: LoggedEvent | None = field(default=None)


Traced = Link | Fact | Gap


def by_time(events: Iterable[LoggedEvent]) -> list[LoggedEvent]:
    """In the order of their claimed times; what can't be read first.

    Events of several processes stand in the log as they were brought there.
    """
    return sorted(
        events,
        key=lambda one: (
            (0, 0, one.index)
            if one.event is None
            else (one.event.time_us, one.event.sequence, one.index)
        ),
    )


class Logged(Protocol):
    """The log, as an adapter sees it when it looks for links."""

    def stores(self) -> Collection[str]:
        """Ids of all databases that the log has events of."""

    def events(
        self,
        subject: Subject,
        *,
        below: bool = False,
        types: Collection[str] = (),
        containing: Collection[str] = (),
    ) -> Iterator[LoggedEvent]:
        """What the log has of a subject, in log order.

        Args:
            subject: whose.
            below: also of subjects whose ids begin with that id.
            types: of events; empty for all. What has lost its payload is given whatever it was,
                but not where ``below`` is asked for.
            containing: texts of which one stands in each event that is wanted; others may be left
                out, which saves reading them. Empty for all.
        """

    def subjects(self, beginning: Subject) -> Iterator[Subject]:
        """The subjects of a store and kind whose ids begin so, in order; no event is read."""


@runtime_checkable
class Traces(Protocol):
    """An adapter whose events tell where things came from."""

    def find_nodes(self, kind: str, text: str, logged: Logged) -> Iterator[Node]:
        """The things of that kind that people call so, in whichever database.

        Args:
            kind: one of the kinds above.
            text: an id, or what people say in its place: the beginning of a run's id, the name or
                the digest of a dataset.
            logged: gives the events.
        """

    def origins(self, nodes: Collection[Node], logged: Logged) -> Iterator[Traced]:
        """What the nodes came of, and what else is known of them; what is foreign is passed over.

        Args:
            nodes: each given once in a lineage.
            logged: gives the events.
        """

    def results(self, nodes: Collection[Node], logged: Logged) -> Iterator[Traced]:
        """What came of the nodes; see `origins`."""


def installed_traces() -> list[Traces]:
    """What every adapter that is installed tells of its events, in the order of their names.

    Raises:
        ConfigurationError: an adapter can't be imported, or gives something else.
    """
    found: list[Traces] = []
    for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda one: one.name):
        try:
            traces = entry.load()()
        except ImportError as exc:
            raise ConfigurationError(
                f"the adapter {entry.name!r} can't be imported: {exc}"
            ) from exc
        if not isinstance(traces, Traces):
            raise ConfigurationError(f"{entry.value} of the adapter {entry.name!r} traces nothing")
        found.append(traces)
    return found
