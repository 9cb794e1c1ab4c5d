"""Comparing experiments, runs and logged models with what was recorded of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chain_client.events import Json
from chain_client.hosts import Finding, Unchecked
from mlflow_chain.reading.entities import (
    ExperimentView,
    LoggedModelView,
    Point,
    RunView,
    rank,
)
from mlflow_chain.reading.pages import RunSource
from mlflow_chain.verifying.differences import (
    compare_fields,
    compare_keys,
    missing,
    of_what_is_recorded,
    pair_up,
    to_json,
    unexpected,
    untold,
)
from mlflow_chain.verifying.state import (
    ExperimentState,
    LoggedModelState,
    RunState,
    State,
    pack_point,
    unpack_point,
)


def compare_experiment(
    expected: ExperimentState, view: ExperimentView
) -> Iterator[Finding | Unchecked]:
    """One experiment."""
    subject = f"experiment {view.id}"
    if not expected.exists.may() and not is_made_by_mlflow(expected, view):
        yield unexpected("experiment", subject, view.fields["name"])
        yield from of_what_is_recorded(_experiment_contents(expected, view))
        return
    yield from _experiment_contents(expected, view)


def _experiment_contents(expected: ExperimentState, view: ExperimentView) -> Iterator[Finding]:
    subject = f"experiment {view.id}"
    yield from compare_fields("experiment", subject, expected.fields, view.fields)
    yield from compare_keys("tag", subject, expected.tags, view.tags)


def is_made_by_mlflow(expected: ExperimentState | None, view: ExperimentView) -> bool:
    """Whether it is the experiment that MLflow makes itself, whenever it opens a database.

    No call of a store makes it, so no event does; what is done to it later is recorded.
    """
    unrecorded = expected is None or not expected.exists.register.values()
    return unrecorded and (view.id == "0" or view.fields["name"] == "Default")


def compare_run(state: State, source: RunSource, view: RunView) -> Iterator[Finding | Unchecked]:
    """One run with its metrics, params, tags, inputs and outputs; not its files."""
    subject = f"run {view.id}"
    expected = state.runs.get(view.id)
    if expected is not None and expected.wild:
        yield untold(subject)
        return
    if expected is not None and expected.exists.may():
        yield from _run_contents(state, expected, source, view)
        return
    yield unexpected("run", subject, view.fields["name"])
    if expected is not None:
        yield from of_what_is_recorded(_run_contents(state, expected, source, view))


def _run_contents(
    state: State, expected: RunState, source: RunSource, view: RunView
) -> Iterator[Finding]:
    subject = f"run {view.id}"
    yield from compare_fields("run", subject, expected.fields, view.fields)
    yield from compare_keys("param", subject, expected.params, view.params)
    yield from compare_keys("tag", subject, expected.tags, view.tags)
    yield from _compare_metrics(subject, expected, source, view)
    yield from _compare_inputs(subject, state, expected, view)


def _compare_metrics(
    subject: str, expected: RunState, source: RunSource, view: RunView
) -> Iterator[Finding]:
    recorded = [*expected.metrics, *expected.maybe_metrics]
    for key in dict.fromkeys([*recorded, *view.latest, *source.metric_keys(view.id)]):
        name = f"{subject}/metric {key}"
        sure = expected.metrics.get(key, set())
        maybe = expected.maybe_metrics.get(key, set())
        actual = {pack_point(*point) for point in source.history(view.id, key)}
        gone = sorted(sure - actual)
        new = sorted(actual - sure - maybe)
        if gone or new:
            yield from _metric_findings(name, gone, new)
        elif not _was_odd_before(expected, key, view.latest.get(key)):
            yield from _compare_latest(name, actual, view.latest.get(key))


def _was_odd_before(expected: RunState, key: str, latest: Point | None) -> bool:
    """Whether MLflow shows the same latest value as at adoption, which was none of its points."""
    if key not in expected.odd_latest:
        return False
    odd = expected.odd_latest[key]
    if latest is None or odd is None:
        return latest is odd
    return pack_point(*latest) == pack_point(*odd)


def _metric_findings(name: str, gone: list[bytes], new: list[bytes]) -> Iterator[Finding]:
    pairs, lost, extra = pair_up(map(unpack_point, gone), map(unpack_point, new))
    for old, now in pairs:
        if old[1:] == now[1:]:
            detail = f"the value at step {now[2]} is not the one that was recorded"
            yield Finding("metric_changed", name, to_json(old[0]), to_json(now[0]), detail)
        else:
            detail = "the point is not at the time and step that were recorded"
            yield Finding("metric_changed", name, _shown(old), _shown(now), detail)
    for old in lost:
        yield missing("metric", name, _shown(old), "the point was recorded and is not there")
    for now in extra:
        yield Finding("metric_unexpected", name, None, _shown(now), "no event recorded this point")


def _compare_latest(name: str, actual: set[bytes], latest: Point | None) -> Iterator[Finding]:
    """What MLflow shows as the latest value must be the latest of the history."""
    if not actual:
        if latest is not None:
            yield Finding(
                "metric_unexpected", name, None, _shown(latest), "it has no recorded point"
            )
        return
    points = [unpack_point(packed) for packed in actual]
    newest = max(rank(point) for point in points)
    allowed = [point for point in points if rank(point) == newest]
    if latest is None:
        detail = "the metric was recorded, and MLflow shows no latest value"
        yield missing("metric", name, to_json(allowed[0][0]), detail)
    elif pack_point(*latest) not in {pack_point(*point) for point in allowed}:
        same_place = latest[1:] == allowed[0][1:]
        old, now = (allowed[0][0], latest[0]) if same_place else (allowed[0], latest)
        yield Finding(
            "metric_changed",
            name,
            to_json(old) if same_place else _shown(allowed[0]),
            to_json(now) if same_place else _shown(latest),
            "the latest value that MLflow shows is not the latest that was recorded",
        )


def _shown(point: Any) -> Json:
    value, timestamp, step = point
    return {"value": to_json(value), "timestamp": timestamp, "step": step}


def _compare_inputs(
    subject: str, state: State, expected: RunState, view: RunView
) -> Iterator[Finding]:
    seen: dict[tuple[str, str], int] = {}
    for shown in view.datasets:
        assert isinstance(shown, list)
        name, digest, *row, tags = shown
        key = (str(name), str(digest))
        seen[key] = seen.get(key, 0) + 1
        about = f"{subject}/dataset {name}"
        allowed = [*expected.datasets.get(key, ()), *expected.maybe_datasets.get(key, ())]
        # MLflow joins a dataset to a run once, however often it is logged.
        if seen[key] > (len(allowed) if expected.before else 1) or not allowed:
            yield unexpected("dataset", about, [name, digest])
            continue
        if tags not in allowed:
            detail = "the tags of the dataset are not the ones that were recorded"
            yield Finding("dataset_changed", about, to_json(allowed[0]), to_json(tags), detail)
        rows = state.dataset_rows.get(key, [])
        if row not in rows:
            detail = "source, schema or profile are not the ones that were recorded"
            yield Finding("dataset_changed", about, to_json(rows[0]), to_json(row), detail)
    for key in expected.datasets.keys() - seen.keys():
        detail = "the dataset was recorded as an input and is not there"
        yield missing("dataset", f"{subject}/dataset {key[0]}", list(key), detail)
    models = {str(model) for model in view.models}
    outputs = {(str(o[0]), o[1]) for o in view.outputs if isinstance(o, list)}
    yield from _compare_set("input", subject, expected.models, expected.maybe_models, models)
    yield from _compare_set("output", subject, expected.outputs, expected.maybe_outputs, outputs)


def _compare_set(
    kind: str, subject: str, sure: set[Any], maybe: set[Any], actual: set[Any]
) -> Iterator[Finding]:
    for item in sorted(sure - actual):
        detail = f"the {kind} model was recorded and is not there"
        yield missing(kind, f"{subject}/{kind} {_model(item)}", item, detail)
    for item in sorted(actual - sure - maybe):
        yield unexpected(kind, f"{subject}/{kind} {_model(item)}", item)


def _model(item: Any) -> str:
    return str(item[0] if isinstance(item, tuple) else item)


def compare_logged_model(
    expected: LoggedModelState | None, view: LoggedModelView
) -> Iterator[Finding | Unchecked]:
    """One logged model; not its files."""
    subject = f"logged model {view.id}"
    if expected is not None and expected.wild:
        yield untold(subject)
        return
    if expected is not None and expected.exists.may():
        yield from _logged_model_contents(expected, view)
        return
    yield unexpected("logged_model", subject, view.fields["name"])
    if expected is not None:
        yield from of_what_is_recorded(_logged_model_contents(expected, view))


def _logged_model_contents(expected: LoggedModelState, view: LoggedModelView) -> Iterator[Finding]:
    subject = f"logged model {view.id}"
    yield from compare_fields("logged_model", subject, expected.fields, view.fields)
    yield from compare_keys("tag", subject, expected.tags, view.tags)
    yield from compare_keys("param", subject, expected.params, view.params)
    actual = {}
    for shown in view.metrics:
        assert isinstance(shown, list)
        key, value, timestamp, step, run_id, dataset, digest = shown
        actual[(key, timestamp, step, run_id)] = (float(str(value)) + 0.0, dataset, digest)
    for place in expected.metrics.keys() - actual.keys():
        value = expected.metrics[place][0][0]
        detail = f"the value at step {place[2]} was recorded and is not there"
        yield missing("metric", f"{subject}/metric {place[0]}", value, detail)
    for place, found in actual.items():
        sure, maybe = expected.metrics.get(place, []), expected.maybe_metrics.get(place, [])
        name = f"{subject}/metric {place[0]}"
        if not sure and not maybe:
            yield unexpected("metric", name, found[0])
        elif found not in sure and found not in maybe:
            detail = f"the value at step {place[2]} is not the one that was recorded"
            old: Any = [*sure, *maybe][0]
            same_data = old[1:] == found[1:]
            yield Finding(
                "metric_changed",
                name,
                to_json(old[0] if not same_data or old[0] != found[0] else old),
                to_json(found[0] if same_data or old[0] != found[0] else found),
                detail,
            )
