"""What somebody changes in the database of a server shows over its API."""

from __future__ import annotations

import mlflow
from mlflow.entities import Metric, Param, RunTag

from chain_client.hosts import Finding
from tests.integration.rest.test_recording import World
from tests.recorded_database import Recorded

EDITS = [
    ("update params set value = '9' where run_uuid = :run", "param_changed"),
    ("update tags set value = 'x' where run_uuid = :run and key = 'a'", "tag_changed"),
    ("delete from tags where run_uuid = :run and key = 'b'", "tag_missing"),
    ("update metrics set value = 7 where run_uuid = :run and step = 1", "metric_changed"),
    ("update runs set status = 'FAILED' where run_uuid = :run", "run_field_changed"),
    ("update experiments set name = name || 'x' where experiment_id = :experiment", None),
    ("update registered_model_aliases set version = 3 where name = :name", "alias_changed"),
    ("update model_versions set description = 'x' where name = :name and version = 1", None),
    ("update model_version_tags set value = 'x' where name = :name and version = 2", "tag_changed"),
    ("update registered_models set description = 'x' where name = :name", "model_field_changed"),
    ("update logged_models set name = 'x' where model_id = :model", "logged_model_field_changed"),
    ("delete from model_versions where name = :name and version = 3", "version_missing"),
]
"""Statements, and the kind of finding that they must give (None: ``…_field_changed``)."""


def test_each_changed_column_is_found(tracked: Recorded) -> None:
    world = World()
    store = world.tracking
    store.log_batch(world.run, [Metric("m", 1.0, 1, 1)], [Param("p", "1")], [RunTag("b", "1")])
    assert tracked.findings() == []
    names = {
        ":run": world.run,
        ":experiment": world.experiment,
        ":name": world.name,
        ":model": world.model,
    }
    known: set[str] = set()
    for statement, kind in EDITS:
        place = next(name for name in names if name in statement)
        assert tracked.edit(statement.replace(place, "?"), names[place]) >= 1, statement
        scope = {":name": {"model": world.name}}.get(place, {})
        new = [f for f in tracked.findings(**scope) if _name(f) not in known]
        known |= {_name(f) for f in new}
        assert new, statement
        assert {f.kind for f in new} == {kind or new[0].kind}, statement
        assert kind is not None or new[0].kind.endswith("_field_changed")


def _name(finding: Finding) -> str:
    return f"{finding.kind} {finding.subject}"


def test_a_run_that_nobody_recorded_is_found(tracked: Recorded) -> None:
    mlflow.MlflowClient().create_run("0")
    plain = mlflow.MlflowClient(tracked.uri.removeprefix("chain+"))
    run = plain.create_run("0")
    (found,) = (f for f in tracked.findings() if f.kind.startswith("run_"))
    assert (found.kind, found.subject) == ("run_unexpected", f"run {run.info.run_id}")
