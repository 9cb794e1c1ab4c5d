"""The baseline: what a database held when it was adopted, as notes. Pure but for reading.

Its events are named like the entity, ``run.baseline``; large metric histories follow in notes
of their own. Which baseline counts is decided in `mlflow_chain.verifying.baselines`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, TypeAlias

from chain_client.events import Json
from mlflow_chain.reading.entities import LoggedModelView, Point, RunView, rank
from mlflow_chain.reading.reader import Reader, Unreadable

Note: TypeAlias = tuple[str, str, str, dict[str, Json]]
"""Event type, subject kind, subject id, payload."""

STARTED = "store.baseline_started"
FINISHED = "store.adopted"
POINTS_A_NOTE = 5_000


def baseline_notes(reader: Reader, baseline_id: str) -> Iterator[Note]:
    """Everything that the database holds, listed by MLflow or not, in notes of bounded size.

    What MLflow can't show is noted too, so that it is no finding later.
    """
    mark: dict[str, Json] = {"baseline": baseline_id}
    run_ids, model_ids = reader.run_ids(), reader.logged_model_ids()
    for experiment in reader.experiments():
        yield "experiment.baseline", "experiment", experiment.id, mark | _plain(experiment)
        # Where the reader knows every id, it is asked by id: no listing shows all.
        for run in () if run_ids else reader.runs(experiment.id):
            yield from _run_notes(reader, run, mark)
        for model in () if model_ids else reader.logged_models(experiment.id):
            yield _model_note(model, mark)
    for run_id in sorted(run_ids):
        yield from _or_gap(_run_notes_by_id(reader, run_id, mark), "run", run_id, mark)
    for model_id in sorted(model_ids):
        notes = _model_notes_by_id(reader, model_id, mark)
        yield from _or_gap(notes, "logged_model", model_id, mark)
    for model in () if model_ids else reader.deleted_logged_models():
        yield _model_note(model, mark)
    for name in reader.registered_model_names():
        notes = _registered_model_notes(reader, name, mark)
        yield from _or_gap(notes, "registered_model", name, mark)


def _or_gap(
    notes: Iterator[Note], kind: str, subject_id: str, mark: dict[str, Json]
) -> Iterator[Note]:
    """The same notes; and one more if MLflow can't show the entity."""
    try:
        yield from notes
    except Unreadable:
        yield f"{kind}.baseline_unreadable", kind, subject_id, dict(mark)


def _run_notes_by_id(reader: Reader, run_id: str, mark: dict[str, Json]) -> Iterator[Note]:
    run = reader.find_run(run_id)
    if run is not None:
        yield from _run_notes(reader, run, mark)


def _model_notes_by_id(reader: Reader, model_id: str, mark: dict[str, Json]) -> Iterator[Note]:
    model = reader.find_logged_model(model_id)
    if model is not None:
        yield _model_note(model, mark)


def _registered_model_notes(reader: Reader, name: str, mark: dict[str, Json]) -> Iterator[Note]:
    registered = reader.find_registered_model(name)
    if registered is None:
        return
    plain = _plain(registered)
    del plain["versions"]
    yield "registered_model.baseline", "registered_model", name, mark | plain
    for version in registered.versions:
        subject_id = f"{name}/{version.version}"
        yield "model_version.baseline", "model_version", subject_id, mark | _plain(version)


def _run_notes(reader: Reader, run: RunView, mark: dict[str, Json]) -> Iterator[Note]:
    plain = _plain(run)
    del plain["latest"]
    yield "run.baseline", "run", run.id, mark | plain
    # A metric may have points and no latest one, and a latest one that is none of its points.
    keys = list(dict.fromkeys([*run.latest, *reader.metric_keys(run.id)]))
    newest: dict[str, Point] = {}
    for points in _points(reader, run.id, keys, newest):
        yield "run.baseline_metrics", "run", run.id, mark | {"metrics": points}
    odd: list[Json] = [
        [key, *(run.latest.get(key) or (None, None, None))]
        for key in keys
        if key not in newest
        or key not in run.latest
        or rank(run.latest[key]) != rank(newest[key])
        or run.latest[key][1:] != newest[key][1:]
    ]
    if odd:
        yield "run.baseline_metrics", "run", run.id, mark | {"odd_latest": odd}


def _model_note(model: LoggedModelView, mark: dict[str, Json]) -> Note:
    return "logged_model.baseline", "logged_model", model.id, mark | _plain(model)


def _points(
    reader: Reader, run_id: str, keys: list[str], newest: dict[str, Point]
) -> Iterator[list[Json]]:
    """All points, in chunks; of each key the newest one is noted in ``newest``."""
    points: list[Json] = []
    for key in keys:
        for point in reader.history(run_id, key):
            if key not in newest or rank(point) > rank(newest[key]):
                newest[key] = point
            points.append([key, *point])
            if len(points) >= POINTS_A_NOTE:
                yield points
                points = []
    if points:
        yield points


def _plain(view: Any) -> dict[str, Json]:
    plain: dict[str, Json] = asdict(view)
    plain.pop("id", None)
    return plain
