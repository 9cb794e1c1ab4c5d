"""What makes files that were attested unfindable, or removes them, is refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import LoggedModelStatus

from tests.governed import BREAKER
from tests.integration.gate.conftest import Refusal, World

Refused = Callable[..., Refusal]


@pytest.fixture
def logged(world: World) -> Any:
    """A logged model whose files are those of a version of ``credit``."""
    made = world.tracking.create_logged_model("0", "net")
    folder = Path(made.artifact_location)
    folder.mkdir(parents=True)
    (folder / "MLmodel").write_text("flavor")
    world.tracking.finalize_logged_model(made.model_id, LoggedModelStatus.READY)
    world.registry.create_registered_model("credit")
    world.registry.create_model_version("credit", str(folder))
    return made


def test_a_logged_model_with_attested_files_is_not_deleted(
    world: World, refused: Refused, logged: Any
) -> None:
    world.people.attest("credit", 1)
    found = refused(world.tracking.delete_logged_model, logged.model_id)
    assert "attested" in found.text
    refused(world.tracking._hard_delete_logged_model, logged.model_id)
    assert world.tracking.get_logged_model(logged.model_id).model_id == logged.model_id


def test_a_logged_model_without_is_deleted_as_ever(world: World, logged: Any) -> None:
    world.people.attest("fraud", 1)
    world.tracking.delete_logged_model(logged.model_id)
    world.tracking._hard_delete_logged_model(logged.model_id)


def test_a_run_and_an_experiment_with_attested_files_are_not_removed(
    world: World, refused: Refused
) -> None:
    experiment = world.tracking.create_experiment("train")
    run = world.tracking.create_run(experiment, "me", 1, [], "n").info
    other = world.tracking.create_run(experiment, "me", 1, [], "n").info
    folder = Path(run.artifact_uri) / "model"
    folder.mkdir(parents=True)
    (folder / "MLmodel").write_text("flavor")
    world.registry.create_registered_model("credit")
    world.registry.create_model_version("credit", str(folder), run.run_id)
    world.people.attest("credit", 1)
    for info in (run, other):
        world.tracking.delete_run(info.run_id)
    refused(world.tracking._hard_delete_run, run.run_id)
    world.tracking._hard_delete_run(other.run_id)
    world.tracking.delete_experiment(experiment)
    refused(world.tracking._hard_delete_experiment, experiment)
    assert world.tracking.get_run(run.run_id).info.run_id == run.run_id


def test_changed_files_are_not_those_that_were_approved(world: World, refused: Refused) -> None:
    world.people.promote("fraud", 1)
    world.people.promote("fraud", 2, "stage:Production")
    (world.folder / "fraud-1" / "weights.bin").write_bytes(b"other")
    (world.folder / "fraud-2" / ".gitignore").write_text("*")
    found = refused(world.registry.set_registered_model_alias, "fraud", "champion", 1)
    assert "changed" in found.text
    refused(world.registry.transition_model_version_stage, "fraud", 2, "Production", True)
    assert world.alias() is None


def test_an_attestation_that_comes_later_counts_at_once(world: World, refused: Refused) -> None:
    world.crown(1)
    (world.folder / "fraud-1" / "weights.bin").write_bytes(b"other")
    assert (
        "changed" in refused(world.registry.set_registered_model_alias, "fraud", "champion", 1).text
    )
    world.people.attest("fraud", 1)
    assert (
        "not those that were approved"
        in refused(world.registry.set_registered_model_alias, "fraud", "champion", 1).text
    )


def test_files_that_can_not_be_looked_at_are_not_promoted(world: World, refused: Refused) -> None:
    world.people.promote("fraud", 1)
    folder = world.folder / "fraud-1"
    folder.rename(folder.with_name("moved"))
    found = refused(world.registry.set_registered_model_alias, "fraud", "champion", 1)
    assert found.code == "RESOURCE_CONFLICT"
    folder.with_name("moved").rename(folder)
    world.registry.set_registered_model_alias("fraud", "champion", 1)


def test_a_version_that_shows_elsewhere_is_not_the_approved_one(
    world: World, refused: Refused
) -> None:
    """The source of a version is part of MLflow's database, which is not to be believed."""
    world.people.promote("fraud", 1)
    world.people.attest("fraud", 2)
    file = world.uri.removeprefix("sqlite:///")
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(
            "update model_versions set storage_location = ?, source = ? where version = 1",
            (str(world.folder / "fraud-2"),) * 2,
        )
    found = refused(world.registry.set_registered_model_alias, "fraud", "champion", 1)
    assert "not those that were approved" in found.text


def test_a_revoked_version_is_promoted_no_more(world: World, refused: Refused) -> None:
    world.people.promote("fraud", 1)
    people = world.people
    revoke = world.client.model_registry.revoke_version_call
    people.send(BREAKER, revoke(people.id_of("fraud"), 1, bytes([1]) * 32))
    found = refused(world.registry.set_registered_model_alias, "fraud", "champion", 1)
    assert "revoked" in found.text


def test_glass_that_was_broken_lets_pass(world: World) -> None:
    world.people.break_glass(world.people.propose("fraud", 3))
    world.registry.set_registered_model_alias("fraud", "champion", 3)
    assert world.alias() == 3
