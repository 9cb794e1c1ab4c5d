"""The baseline: what a database held when it was adopted, as notes. Pure but for reading.

Its events are named like the entity, ``run.baseline``; large metric histories follow in notes
of their own. Which baseline counts is decided in `mlflow_chain.verifying.baselines`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, TypeAlias

from chain_client.events import Json
from mlflow_chain.reading.reader import Reader

Note: TypeAlias = tuple[str, str, str, dict[str, Json]]
"""Event type, subject kind, subject id, payload."""

STARTED = "store.baseline_started"
FINISHED = "store.adopted"
POINTS_A_NOTE = 5_000


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
