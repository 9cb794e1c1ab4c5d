"""Values as MLflow's store will show them again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from chain_client.events import Json

Mapped: TypeAlias = tuple[str, str, dict[str, Json]]
"""Subject kind, subject id, payload."""

LARGEST = 1.7976931348623157e308
"""MLflow's SQL stores put this in the place of infinity."""


def to_integer(value: Any) -> Json:
    """A timestamp or step as the store shows it; a fraction stays one."""
    if type(value) is int:
        return value
    number = float(value)
    return int(value) if number.is_integer() else number


def to_point(metric: Any) -> tuple[Json, ...]:
    """``(key, value, timestamp, step)``; behind it the value that was given, if it differs."""
    value = metric.value
    if type(value) is not float:
        value = float(value)
    timestamp, step = metric.timestamp, metric.step
    if type(timestamp) is not int:
        timestamp = to_integer(timestamp)
    if type(step) is not int:
        step = to_integer(step)
    if -LARGEST <= value <= LARGEST or value != value:
        return (metric.key, value, timestamp, step)
    return (metric.key, LARGEST if value > 0 else -LARGEST, timestamp, step, value)


def to_model_point(metric: Any) -> tuple[Json, ...]:
    """A metric as a logged model shows it: NaN is 0 there, and a dataset may be named."""
    key, value, timestamp, step = to_point(metric)[:4]
    shown = 0.0 if value != value else value
    dataset = (metric.dataset_name, metric.dataset_digest)
    return (key, shown, timestamp, step, metric.model_id, *dataset)


def to_points(metrics: Sequence[Any]) -> dict[str, Json]:
    """The payload parts of metrics."""
    parts: dict[str, Json] = {"metrics": [to_point(metric) for metric in metrics]}
    of_models: list[Json] = [
        to_model_point(metric) for metric in metrics if metric.model_id is not None
    ]
    if of_models:
        parts["model_metrics"] = of_models
    return parts


def to_param(param: Any) -> tuple[Json, ...]:
    """``(key, value)``; a value that MLflow cuts to its limit has the original behind it."""
    from mlflow.utils.validation import MAX_PARAM_VAL_LENGTH

    return _cut(param.key, param.value, MAX_PARAM_VAL_LENGTH)


def to_run_tag(tag: Any) -> tuple[Json, ...]:
    """As `to_param`, for a tag of a run."""
    from mlflow.utils.validation import MAX_TAG_VAL_LENGTH

    return _cut(tag.key, tag.value, MAX_TAG_VAL_LENGTH)


def _cut(key: str, given: Any, limit: int) -> tuple[Json, ...]:
    # Not by MLflow's own validation: it would warn the user a second time.
    text = to_text(given)
    if text is not None and len(text) > limit:
        return (key, text[:limit], text)
    return (key, text)


def to_text(value: Any) -> str | None:
    """Text as a text column shows it."""
    return value if value is None or type(value) is str else str(value)


def to_pairs(entities: Iterable[Any] | None) -> list[Json]:
    """Tags or params as ``[key, value]``; of one key the last counts, as in MLflow."""
    last = {entity.key: to_text(entity.value) for entity in entities or ()}
    return [[key, value] for key, value in last.items()]
