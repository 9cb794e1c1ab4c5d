"""From the trace's rows to the changes that somebody must claim.

Every row is classed: it is a change of its own, or follows from one (a cascade, a latest value,
the time of a parent's last update). A row that nobody classed is a finding, not ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

from tests.storm.changes import Change, number
from tests.storm.trace import Row

_DELETED = "Deleted_Internal"
_MODEL_STATUS = {0: "UNSPECIFIED", 1: "PENDING", 2: "READY", 3: "FAILED"}
_OF_MODELS = ("registered_model_tags", "registered_model_aliases", "model_versions")


class Truth:
    """The committed changes.

    Args:
        rows: the trace.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = list(rows)
        self._datasets: dict[str, Any] = {}
        self._inputs: dict[str, Row] = {}
        self._follows = self._cascades()

    def changes(self) -> Iterator[Change]:
        """Each change once for each time that it was committed."""
        for row in self._rows:
            if row.number in self._follows:
                continue
            read = _READ.get(row.table)
            if read is None:
                yield "not classed", row.table, repr(row)
            else:
                yield from read(self, row)

    def _cascades(self) -> set[int]:
        """Rows that fell or moved with their experiment, model or version."""
        found: set[int] = set()
        for place, row in enumerate(self._rows):
            if row.table == "experiments" and row.old and row.changed("lifecycle_stage"):
                found |= self._beside(place, _is_run_of(row))
            elif row.table == "registered_models" and not row.new:
                found |= self._beside(place, _is_deleted_with(row))
            elif row.table == "registered_models" and row.old and row.changed("name"):
                found |= self._beside(place, _moves_with(row))
                found |= self._times_of(place, row.new["name"])
            elif _is_version_deletion(row):
                found |= self._beside(place, _is_alias_of(row))
        return found

    def _beside(self, place: int, belongs: Callable[[Row], bool]) -> set[int]:
        """Neighbours that belong to it: a transaction's rows stand together."""
        found = set()
        for step in (-1, 1):
            at = place + step
            while 0 <= at < len(self._rows) and belongs(self._rows[at]):
                found.add(self._rows[at].number)
                at += step
        return found

    def _times_of(self, place: int, name: str) -> set[int]:
        """After a renaming MLflow notes one time in the model and in each version."""
        found: set[int] = set()
        times = set()
        for row in self._rows[place + 1 :]:
            if row.new.get("name") != name or row.differing() != {"last_updated_time"}:
                break
            if row.table not in ("registered_models", "model_versions"):
                break
            times.add(row.new["last_updated_time"])
            if len(times) > 1:
                break
            found.add(row.number)
        return found

    # tables whose rows name each other

    def dataset(self, row: Row) -> Iterator[Change]:
        new = row.new
        self._datasets[new["dataset_uuid"]] = (new["name"], new["digest"])
        yield "dataset row", new["name"], new["digest"]

    def input(self, row: Row) -> Iterator[Change]:
        new = row.new
        self._inputs[new["input_uuid"]] = row
        source, target = new["source_id"], new["destination_id"]
        kind = new["source_type"], new["destination_type"]
        if kind == ("DATASET", "RUN"):
            yield "dataset", target, *self._datasets[source]
        elif kind == ("RUN_INPUT", "MODEL_INPUT"):
            yield "input", source, target
        elif kind == ("RUN_OUTPUT", "MODEL_OUTPUT"):
            yield "output", source, target, new["step"]
        else:
            yield "not classed", *kind, repr(row)

    def input_tag(self, row: Row) -> Iterator[Change]:
        joined = self._inputs[row.new["input_uuid"]].new
        dataset = self._datasets[joined["source_id"]]
        tag = row.new["name"], row.new["value"]
        yield "dataset tag", joined["destination_id"], *dataset, *tag


def _is_run_of(experiment: Row) -> Callable[[Row], bool]:
    return lambda row: (
        row.table == "runs"
        and row.new.get("experiment_id") == experiment.new["experiment_id"]
        and bool(row.old)
        and row.new["lifecycle_stage"] == experiment.new["lifecycle_stage"]
    )


def _is_deleted_with(model: Row) -> Callable[[Row], bool]:
    tables = (*_OF_MODELS, "model_version_tags")
    return lambda row: row.table in tables and not row.new and row.old["name"] == model.old["name"]


def _moves_with(model: Row) -> Callable[[Row], bool]:
    tables = (*_OF_MODELS, "model_version_tags")
    return lambda row: (
        row.table in tables
        and bool(row.old)
        and row.changed("name")
        and row.new.get("name") == model.new["name"]
    )


def _is_version_deletion(row: Row) -> bool:
    stage = "current_stage"
    return row.table == "model_versions" and row.new.get(stage) == _DELETED and row.changed(stage)


def _is_alias_of(version: Row) -> Callable[[Row], bool]:
    return lambda row: (
        (
            row.table == "registered_model_aliases"
            and not row.new
            and (row.old["name"], row.old["version"])
            == (version.new["name"], version.new["version"])
        )
        or (
            row.table == "registered_models"
            and bool(row.old)
            and not row.changed("name", "description")
        )
    )


def _experiment(truth: Truth, row: Row) -> Iterator[Change]:
    new = row.new
    if not row.old:
        yield "experiment", str(new["experiment_id"]), new["name"], new["creation_time"]
        return
    entity, updated = str(new["experiment_id"]), new["last_update_time"]
    if row.changed("name"):
        yield "experiment name", entity, new["name"], updated
    if row.changed("lifecycle_stage"):
        yield "experiment stage", entity, new["lifecycle_stage"], updated
    if row.changed("artifact_location") and row.old["artifact_location"]:
        yield "not classed", row.table, repr(row)


def _run(truth: Truth, row: Row) -> Iterator[Change]:
    new = row.new
    run = new["run_uuid"]
    if not row.old:
        yield "run", run, str(new["experiment_id"]), new["name"], new["start_time"]
        return
    if row.changed("name"):
        yield "run name", run, new["name"]
    if row.changed("status", "end_time"):
        yield "run end", run, new["status"], new["end_time"]
    if row.changed("lifecycle_stage"):
        yield "run stage", run, new["lifecycle_stage"]


def _metric(truth: Truth, row: Row) -> Iterator[Change]:
    new = row.new
    value = "nan" if new["is_nan"] else number(float(new["value"]))
    yield "metric", new["run_uuid"], new["key"], value, new["timestamp"], new["step"]


def _model_metric(truth: Truth, row: Row) -> Iterator[Change]:
    new = row.new
    point = new["metric_timestamp_ms"], new["metric_step"], new["run_id"]
    yield "model metric", new["model_id"], new["metric_name"], number(new["metric_value"]), *point


def _pair(kind: str, *columns: str) -> Callable[[Truth, Row], Iterator[Change]]:
    """Keys that are set, overwritten and deleted; the last column is the value."""

    def read(truth: Truth, row: Row) -> Iterator[Change]:
        if row.new:
            yield kind, *(str(row.new[name]) for name in columns)
        else:
            yield f"{kind} gone", *(str(row.old[name]) for name in columns[:-1])

    return read


def _logged_model(truth: Truth, row: Row) -> Iterator[Change]:
    new = row.new
    model, updated = new["model_id"], new["last_updated_timestamp_ms"]
    if not row.old:
        yield "logged model", model, str(new["experiment_id"]), new["name"], updated
    elif row.changed("lifecycle_stage"):
        yield "logged model stage", model, new["lifecycle_stage"], updated
    else:
        yield "logged model status", model, _MODEL_STATUS[new["status"]], updated


def _registered_model(truth: Truth, row: Row) -> Iterator[Change]:
    old, new = row.old, row.new
    if not old:
        yield "model", new["name"], new["description"], new["creation_time"]
    elif not new:
        yield "model gone", old["name"]
    elif row.changed("name"):
        yield "model name", old["name"], new["name"]
    elif row.changed("description"):
        yield "model text", new["name"], new["description"], new["last_updated_time"]


def _version(truth: Truth, row: Row) -> Iterator[Change]:
    new = row.new
    if not new:
        yield "not classed", row.table, repr(row)
        return
    version = new["name"], new["version"]
    updated = new["last_updated_time"]
    if not row.old:
        yield "version", *version, new["source"], new["run_id"], new["creation_time"]
    elif row.changed("name"):
        yield "not classed", row.table, repr(row)
    elif _is_version_deletion(row):
        yield "version gone", *version
    elif row.changed("description"):
        yield "version text", *version, new["description"], updated
    else:
        yield "version stage", *version, new["current_stage"], updated


def _nothing(truth: Truth, row: Row) -> Iterator[Change]:
    """What follows from other rows: verification compares it."""
    return iter(())


_Read: TypeAlias = Callable[[Truth, Row], Iterator[Change]]

_READ: dict[str, _Read] = {
    "experiments": _experiment,
    "experiment_tags": _pair("experiment tag", "experiment_id", "key", "value"),
    "runs": _run,
    "metrics": _metric,
    "latest_metrics": _nothing,
    "params": _pair("param", "run_uuid", "key", "value"),
    "tags": _pair("tag", "run_uuid", "key", "value"),
    "datasets": Truth.dataset,
    "inputs": Truth.input,
    "input_tags": Truth.input_tag,
    "logged_models": _logged_model,
    "logged_model_params": _pair("logged model param", "model_id", "param_key", "param_value"),
    "logged_model_tags": _pair("logged model tag", "model_id", "tag_key", "tag_value"),
    "logged_model_metrics": _model_metric,
    "registered_models": _registered_model,
    "registered_model_tags": _pair("model tag", "name", "key", "value"),
    "registered_model_aliases": _pair("alias", "name", "alias", "version"),
    "model_versions": _version,
    "model_version_tags": _pair("version tag", "name", "version", "key", "value"),
}
