"""Reading pages of runs from a database through MLflow's own API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mlflow_chain.reading.entities import Point, RunView
from mlflow_chain.reading.pages import (
    RUNS_A_PAGE,
    Counts,
    RunPage,
    RunSource,
    cut_pages,
    group_keys,
)
from mlflow_chain.reading.reader import Unreadable
from mlflow_chain.reading.views import point_view, run_view

if TYPE_CHECKING:
    from mlflow_chain.reading.sql import SqlReader

_FEW = 2
"""Fewer are not worth a query for several."""


def read_in_bulk(reader: SqlReader, run_ids: Sequence[str]) -> Iterator[tuple[str, RunSource]]:
    """Each of the runs with what shows it, a page of them at a time in memory.

    Raises:
        HostUnavailable: the database does not answer.
    """
    for start in range(0, len(run_ids), RUNS_A_PAGE):
        some = run_ids[start : start + RUNS_A_PAGE]
        counts = _count_points(reader, some)
        for ids in cut_pages(some, counts):
            page = _read_page(reader, ids, counts)
            for run_id in ids:
                yield run_id, page


def _count_points(reader: SqlReader, run_ids: Sequence[str]) -> Counts:
    from mlflow.store.tracking.dbmodels.models import SqlMetric
    from sqlalchemy import func

    where = (SqlMetric.run_uuid.in_(run_ids),)
    by = (SqlMetric.run_uuid, SqlMetric.key)
    counted = reader.grouped(*by, func.count(), by=by, where=where)
    return {(run_id, key): count for run_id, key, count in counted}


def _read_page(reader: SqlReader, run_ids: list[str], all_counts: Counts) -> RunPage:
    keys: dict[str, list[str]] = {run_id: [] for run_id in run_ids}
    counts = {place: count for place, count in all_counts.items() if place[0] in keys}
    for run_id, key in counts:
        keys[run_id].append(key)
    page = RunPage(reader, _search(reader, run_ids), keys)
    for key, ids in group_keys(counts).items():
        histories = _histories(reader, key, ids, sum(counts[run_id, key] for run_id in ids))
        for run_id, points in histories.items():
            if len(points) == counts.get((run_id, key)):
                page.points[run_id, key] = points
    return page


def _search(reader: SqlReader, run_ids: list[str]) -> dict[str, RunView]:
    """Those of the runs that a search shows whole."""
    from mlflow.entities import ViewType
    from mlflow.store.tracking.dbmodels.models import SqlInput, SqlRun

    # A search leaves out input models.
    of_model = (SqlInput.source_id.in_(run_ids), SqlInput.source_type == "RUN_INPUT")
    with_models = set(reader.distinct(SqlInput.source_id, *of_model))
    listed = [i for i in run_ids if i not in with_models and i.replace("-", "").isalnum()]
    if len(listed) < _FEW:
        return {}
    inside = reader.distinct(SqlRun.experiment_id, SqlRun.run_uuid.in_(listed))
    quoted = ", ".join(f"'{run_id}'" for run_id in listed)

    def search() -> dict[str, RunView]:
        found = reader.tracking.search_runs(
            [str(experiment_id) for experiment_id in inside],
            f"attributes.run_id IN ({quoted})",
            ViewType.ALL,
            max_results=len(listed),
        )
        return {run.info.run_id: run_view(run) for run in found}

    try:
        return reader.guarded(search)
    except Unreadable:
        return {}  # one of them, which will say so by itself


def _histories(
    reader: SqlReader, key: str, run_ids: list[str], size: int
) -> dict[str, list[Point]]:
    """The points of one metric in several runs, if not more than ``size``."""
    read = getattr(reader.tracking, "get_metric_history_bulk", None)
    if read is None or len(run_ids) < _FEW:
        return {}

    def histories() -> dict[str, list[Point]]:
        found: dict[str, list[Point]] = {}
        for metric in read(run_ids, key, size + 1):
            found.setdefault(metric.run_id, []).append(point_view(metric))
        return found

    try:
        found = reader.guarded(histories)
    except Unreadable:
        return {}
    # Somebody wrote since they were counted, and the last may be cut off.
    return {} if sum(map(len, found.values())) > size else found
