"""The baseline: what a database held when it was adopted, as notes. Pure but for reading.

Its events are named like the entity, ``run.baseline``; large metric histories follow in notes
of their own. Only the first baseline that was finished counts: a later one would make whatever
stands in the database then look like what was recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, TypeAlias

from chain_client.events import Event, Json
from chain_client.hosts import Finding
from chain_client.records import SOURCE
from mlflow_chain.order import Stamp, precedes
from mlflow_chain.reader import Reader

Note: TypeAlias = tuple[str, str, str, dict[str, Json]]
"""Event type, subject kind, subject id, payload."""

STARTED = "store.baseline_started"
FINISHED = "store.adopted"
POINTS_A_NOTE = 5_000


class Baselines:
    """Sets the events of baselines aside, and tells which of them count.

    Guarantee: a baseline changes nothing if it was not finished, if another one was finished
    before it, or if an ordinary event of the store is known to have ended before it was finished.
    """

    def __init__(self) -> None:
        self._held: dict[str, list[tuple[Event, Stamp]]] = {}
        self._finished: dict[str, tuple[Event, Stamp]] = {}
        self._ordinary: dict[bytes, Stamp] = {}

    def take(self, event: Event, stamp: Stamp) -> bool:
        """Whether the event, given in log order, is part of a baseline; then it was kept."""
        baseline_id = event.payload.get("baseline")
        if not isinstance(baseline_id, str):
            # Of each source, the first one that was settled has the least before it.
            is_settled = event.subject.kind != SOURCE and stamp.settled_at is not None
            if is_settled and stamp.source not in self._ordinary:
                self._ordinary[stamp.source] = stamp
            return False
        if event.type == FINISHED:
            self._finished.setdefault(baseline_id, (event, stamp))
        elif event.type != STARTED:
            self._held.setdefault(baseline_id, []).append((event, stamp))
        return True

    def first(self) -> list[tuple[Event, Stamp]]:
        """The events of the baseline that counts."""
        chosen = self._choose()
        return self._held.get(chosen, []) if chosen is not None else []

    def findings(self) -> list[Finding]:
        """One for each finished baseline that does not count."""
        chosen = self._choose()
        return [
            Finding(
                "baseline_repeated",
                f"store {event.subject.store}/baseline {baseline_id}",
                chosen,
                baseline_id,
                "the database was taken for a new one though it was recorded already; what it "
                "held then does not count",
            )
            for baseline_id, (event, _) in self._finished.items()
            if baseline_id != chosen
        ]

    def _choose(self) -> str | None:
        # Sources are read one after another: what is known to precede comes before log order.
        stamps = [stamp for _, stamp in self._finished.values()]
        for baseline_id, (_, stamp) in self._finished.items():
            if any(precedes(ordinary, stamp) for ordinary in self._ordinary.values()):
                continue
            if not any(precedes(other, stamp) for other in stamps):
                return baseline_id
        return None


def baseline_notes(reader: Reader, baseline_id: str) -> Iterator[Note]:
    """Everything that the database holds, in notes of bounded size."""
    mark: dict[str, Json] = {"baseline": baseline_id}
    for experiment in reader.experiments():
        yield "experiment.baseline", "experiment", experiment.id, mark | _plain(experiment)
        for run in reader.runs(experiment.id):
            plain = _plain(run)
            latest = plain.pop("latest")
            yield "run.baseline", "run", run.id, mark | plain
            assert isinstance(latest, dict)
            for points in _points(reader, run.id, list(latest)):
                yield "run.baseline_metrics", "run", run.id, mark | {"metrics": points}
        for model in reader.logged_models(experiment.id):
            yield "logged_model.baseline", "logged_model", model.id, mark | _plain(model)
    for model in reader.deleted_logged_models():
        yield "logged_model.baseline", "logged_model", model.id, mark | _plain(model)
    for name in reader.registered_model_names():
        registered = reader.find_registered_model(name)
        if registered is None:
            continue
        plain = _plain(registered)
        del plain["versions"]
        yield "registered_model.baseline", "registered_model", name, mark | plain
        for version in registered.versions:
            yield (
                "model_version.baseline",
                "model_version",
                f"{name}/{version.version}",
                mark | _plain(version),
            )


def _points(reader: Reader, run_id: str, keys: list[str]) -> Iterator[list[Json]]:
    points: list[Json] = []
    for key in keys:
        for value, timestamp, step in reader.history(run_id, key):
            points.append([key, value, timestamp, step])
            if len(points) >= POINTS_A_NOTE:
                yield points
                points = []
    if points:
        yield points


def _plain(view: Any) -> dict[str, Json]:
    plain: dict[str, Json] = asdict(view)
    plain.pop("id", None)
    return plain
