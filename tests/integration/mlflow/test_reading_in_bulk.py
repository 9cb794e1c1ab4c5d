"""A page of runs shows each run as MLflow shows it alone, whatever is in the database."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelInput,
    LoggedModelOutput,
    Metric,
    Param,
)
from mlflow.tracking._tracking_service.utils import _get_store

from chain_client.hosts import Finding
from mlflow_chain.reading import bulk, pages
from mlflow_chain.reading.pages import RunSource
from mlflow_chain.reading.reader import Unreadable
from mlflow_chain.reading.sql import SqlReader
from mlflow_chain.verifying.state import pack_point
from tests.recorded_database import Recorded

pytestmark = pytest.mark.filterwarnings("ignore")


def fill() -> list[str]:
    """Runs with all that runs may have, in two experiments."""
    store: Any = _get_store()
    client = MlflowClient()
    other = client.create_experiment("other")
    model = mlflow.initialize_logged_model("model").model_id
    runs = [client.create_run(("0", other)[n % 2]).info.run_id for n in range(9)]
    odd = [float("nan"), float("inf"), float("-inf"), -0.0, 0.0, 1e-320, 2.0**60]
    for n, run_id in enumerate(runs):
        points = [Metric("shared", n / 3 + i, i, i) for i in range(n * 3)]
        points += [Metric("odd", value, 5, 2**60) for value in odd]
        points += [Metric(f"own {n} ü", 1.0, 1, 1), Metric("Shared", 1.0, 1, 1)]
        store.log_batch(run_id, points + points, [Param("p", str(n))], [])
    data = [DatasetInput(Dataset("d", "1", "local", "s"), [InputTag("a", "1")])]
    store.log_inputs(runs[0], data)
    store.log_inputs(runs[1], data, [LoggedModelInput(model)])
    store.log_outputs(runs[2], [LoggedModelOutput(model, 1)])
    client.delete_run(runs[3])
    client.delete_experiment(other)
    return sorted(runs)


def shown(source: RunSource, run_id: str) -> object:
    """All that can be seen of a run, or how it can't be seen."""
    try:
        view = source.find_run(run_id)
        keys = sorted(source.metric_keys(run_id))
        histories = {
            key: sorted(pack_point(*point) for point in source.history(run_id, key)) for key in keys
        }
    except Unreadable as exc:
        return str(exc)
    if view is None:
        return None
    latest = {key: pack_point(*point) for key, point in view.latest.items()}
    inputs = (view.datasets, view.models, view.outputs)
    return view.fields, view.tags, view.params, latest, inputs, keys, histories


def differences(recorded: Recorded, run_ids: list[str]) -> list[str]:
    """The runs that a page shows in another way."""
    with closing(SqlReader(recorded.uri.removeprefix("chain+"))) as reader:
        return [
            run_id
            for run_id, page in reader.in_bulk(run_ids)
            if shown(page, run_id) != shown(reader, run_id)
        ]


def ids(recorded: Recorded) -> list[str]:
    """The ids of all runs that have a row."""
    with closing(SqlReader(recorded.uri.removeprefix("chain+"))) as reader:
        return sorted(reader.run_ids())


@pytest.fixture(params=["one page", "pages of two runs", "less than a metric"])
def _size_of_pages(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "pages of two runs":
        monkeypatch.setattr(bulk, "RUNS_A_PAGE", 2)
    elif request.param == "less than a metric":
        monkeypatch.setattr(pages, "POINTS_A_PAGE", 8)


DAMAGE = [
    "delete from latest_metrics where key = 'odd'",
    "delete from metrics where key = 'odd'",
    "update metrics set is_nan = 1 where key = 'shared'",
    "update metrics set value = 'text' where key = 'shared' and step = 4",
    "update runs set lifecycle_stage = 'hidden' where run_uuid = ?",
    "update runs set experiment_id = 77 where run_uuid = ?",
    "update runs set experiment_id = 'text' where run_uuid = ?",
    "update runs set status = 'nonsense' where run_uuid = ?",
    "update runs set run_uuid = 'it''s \"odd\"' where run_uuid = ?",
    "update latest_metrics set value = 'text' where run_uuid = ?",
    "delete from params where run_uuid = ?",
    "delete from runs where run_uuid = ?",
]


@pytest.mark.usefixtures("_size_of_pages")
def test_a_page_shows_what_mlflow_shows_of_each_run(tracked: Recorded) -> None:
    runs = fill()
    assert differences(tracked, runs) == []
    assert differences(tracked, [*runs, "nobody"]) == []
    for turn, edit in enumerate(DAMAGE):
        values = [runs[turn % len(runs)]] * edit.count("?")
        assert tracked.edit(edit, *values) > 0, edit
        assert differences(tracked, ids(tracked)) == [], edit


@pytest.mark.usefixtures("_size_of_pages")
def test_findings_do_not_depend_on_the_size_of_pages(tracked: Recorded) -> None:
    runs = fill()
    assert tracked.findings() == []
    tracked.edit("update metrics set value = 99 where key = 'shared' and step = 20")
    tracked.edit("delete from metrics where key = 'shared' and step = 21")
    tracked.edit("update latest_metrics set value = 99 where run_uuid = ?", runs[0])
    tracked.edit("update inputs set destination_id = 'x' where destination_type = 'MODEL_INPUT'")
    found: list[Finding] = tracked.findings()
    kinds = sorted({finding.kind for finding in found})
    assert kinds == ["input_missing", "input_unexpected", "metric_changed", "metric_missing"]


def test_points_that_are_written_while_a_page_is_read_are_no_reason_to_lose_others(
    tracked: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = fill()
    monkeypatch.setattr(
        bulk, "_count_points", lambda reader, ids: {(run_id, "odd"): 1 for run_id in ids}
    )
    with closing(SqlReader(tracked.uri.removeprefix("chain+"))) as reader:
        for run_id, page in reader.in_bulk(runs):
            assert len(list(page.history(run_id, "odd"))) == 6  # one zero, and no point twice
