"""MLflow's entities as plain values: the form in which reading, baseline and state meet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from chain_client.events import Json

Fields: TypeAlias = "dict[str, Json]"
Texts: TypeAlias = "dict[str, str | None]"
Point: TypeAlias = "tuple[float, Json, Json]"
"""``(value, timestamp, step)`` of one metric; NaN is NaN."""


def rank(point: Point) -> tuple[Any, Any, float]:
    """MLflow's own order of the points of a metric; it counts NaN as 0."""
    value, timestamp, step = point
    return step, timestamp, 0.0 if value != value else value


@dataclass(slots=True)
class ExperimentView:
    """An experiment as the API shows it."""

    id: str
    fields: Fields
    tags: Texts


@dataclass(slots=True)
class RunView:
    """A run as the API shows it, without its metric histories.

    Args:
        latest: the latest point of each metric.
        datasets: as `mapping.tracking.to_dataset_input`.
        models: ids of its input models.
        outputs: ``[model id, step]``.
    """

    id: str
    fields: Fields
    tags: Texts
    params: Texts
    latest: dict[str, Point]
    datasets: list[Json] = field(default_factory=list)
    models: list[Json] = field(default_factory=list)
    outputs: list[Json] = field(default_factory=list)


@dataclass(slots=True)
class LoggedModelView:
    """A logged model as the API shows it.

    Args:
        metrics: ``[key, value, timestamp, step, run id, dataset name, dataset digest]``.
    """

    id: str
    fields: Fields
    tags: Texts
    params: Texts
    metrics: list[Json]


@dataclass(slots=True)
class VersionView:
    """A version of a registered model as the API shows it."""

    version: int
    fields: Fields
    tags: Texts


@dataclass(slots=True)
class RegisteredModelView:
    """A registered model as the API shows it, with its versions."""

    name: str
    fields: Fields
    tags: Texts
    aliases: dict[str, int]
    versions: list[VersionView]
