"""Runs of a database read a page at a time: few calls of MLflow's API where there were many.

What a page does not hold (MLflow's search does not list the run, a metric has too many points,
a row is damaged) is asked for by itself, so that a page shows what its reader shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mlflow_chain.reading.entities import Point, RunView

RUNS_A_PAGE = 200
POINTS_A_PAGE = 20_000
"""How many points of all its metrics a page may hold, about 10 MB while they are read."""

Counts = dict[tuple[str, str], int]
"""How many points each metric has, by run and key."""


class RunSource(Protocol):
    """What shows runs: a reader, or a page of one."""

    def find_run(self, run_id: str) -> RunView | None:
        """See `reading.reader.Reader.find_run`."""

    def metric_keys(self, run_id: str) -> list[str]:
        """See `reading.reader.Reader.metric_keys`."""

    def history(self, run_id: str, key: str) -> Iterator[Point]:
        """See `reading.reader.Reader.history`."""


@dataclass(slots=True)
class RunPage:
    """Some runs with their metrics.

    Args:
        reader: asked for what is not here.
        views: runs by id.
        keys: of each run on the page, the keys of its metrics.
        points: whole histories by run and key.
    """

    reader: RunSource
    views: dict[str, RunView] = field(default_factory=dict)
    keys: dict[str, list[str]] = field(default_factory=dict)
    points: dict[tuple[str, str], list[Point]] = field(default_factory=dict)

    def find_run(self, run_id: str) -> RunView | None:
        """One run, as the reader shows it."""
        view = self.views.get(run_id)
        return self.reader.find_run(run_id) if view is None else view

    def metric_keys(self, run_id: str) -> list[str]:
        """The key of every metric of a run, as the reader shows them."""
        keys = self.keys.get(run_id)
        return self.reader.metric_keys(run_id) if keys is None else keys

    def history(self, run_id: str, key: str) -> Iterator[Point]:
        """Every point of a metric, as the reader shows them."""
        points = self.points.get((run_id, key))
        return self.reader.history(run_id, key) if points is None else iter(points)


def cut_pages(run_ids: Sequence[str], counts: Counts) -> Iterator[list[str]]:
    """The runs in groups, each with at most `POINTS_A_PAGE` points or of one run only."""
    sizes = dict.fromkeys(run_ids, 0)
    for (run_id, _), count in counts.items():
        if run_id in sizes:
            sizes[run_id] += count
    page: list[str] = []
    size = 0
    for run_id in run_ids:
        if page and size + sizes[run_id] > POINTS_A_PAGE:
            yield page
            page, size = [], 0
        page.append(run_id)
        size += sizes[run_id]
    if page:
        yield page


def group_keys(counts: Counts) -> dict[str, list[str]]:
    """By key of a metric, the runs whose points of it are few enough to be held in a page."""
    groups: dict[str, list[str]] = {}
    for (run_id, key), count in counts.items():
        if 0 < count <= POINTS_A_PAGE:
            groups.setdefault(key, []).append(run_id)
    return groups
