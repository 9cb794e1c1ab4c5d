"""What the gate does by its setting, and what it records of that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from tests.integration.gate.conftest import Refusal, World

Refused = Callable[..., Refusal]
Make = Callable[..., World]


def test_without_a_policy_everything_is_as_ever(make_world: Make, ungoverned_home: Path) -> None:
    world = make_world(ungoverned_home)
    world.make_model()
    world.registry.set_registered_model_alias("fraud", "champion", 3)
    world.registry.transition_model_version_stage("fraud", 3, "Production", False)
    world.registry.rename_registered_model("fraud", "scam")
    world.registry.delete_registered_model("scam")
    assert world.events("gate.mode") == []
    assert world.events("promotion.refused") == []


def test_the_first_policy_closes_the_gate_of_a_process_that_runs(
    make_world: Make, ungoverned_home: Path, refused: Refused
) -> None:
    world = make_world(ungoverned_home)
    world.make_model()
    world.registry.set_registered_model_alias("fraud", "champion", 1)
    world.people.govern()
    refused(world.registry.set_registered_model_alias, "fraud", "champion", 3)
    assert world.alias() == 1
    (event,) = world.events("gate.mode")
    assert (event.payload["mode"], event.payload["setting"]) == ("enforce", "auto")


def test_a_gate_that_warns_lets_pass_and_says_what_it_would_have_done(make_world: Make) -> None:
    world = make_world(gate_mode="warn")
    world.make_model()
    world.registry.set_registered_model_alias("fraud", "champion", 3)
    world.registry.transition_model_version_stage("fraud", 2, "Production", False)
    assert world.alias() == 3
    assert [e.payload["would_have_blocked"] for e in world.events("promotion.refused")] == [
        True,
        True,
    ]
    assert [e.payload["target"] for e in world.events("promotion.would_block")] == [
        "alias:champion",
        "stage:Production",
    ]
    (event,) = world.events("gate.mode")
    assert event.payload["mode"] == "warn"


def test_a_gate_that_is_off_does_not_look_and_says_so(make_world: Make) -> None:
    world = make_world(gate_mode="off")
    world.make_model()
    world.registry.set_registered_model_alias("fraud", "champion", 3)
    assert world.alias() == 3
    assert world.events("promotion.refused") == []
    (event,) = world.events("gate.mode")
    assert event.payload["mode"] == "off"


def test_enforcing_without_a_default_policy_does_not_start(
    make_world: Make, ungoverned_home: Path
) -> None:
    with pytest.raises(MlflowException, match="no default policy"):
        make_world(ungoverned_home, gate_mode="enforce")


def test_enforcing_with_one_starts_and_refuses(make_world: Make, refused: Refused) -> None:
    world = make_world(gate_mode="enforce")
    world.make_model()
    refused(world.registry.set_registered_model_alias, "fraud", "champion", 3)
    (event,) = world.events("gate.mode")
    assert event.payload["mode"] == "enforce"


def test_with_the_chain_gone_what_is_gated_is_refused_and_the_rest_goes_on(
    world: World, refused: Refused
) -> None:
    world.crown(1)
    chain = world.client.folder.chain
    world.client.close()
    chain.rename(chain.with_name("elsewhere"))
    found = refused(world.registry.set_registered_model_alias, "fraud", "champion", 2)
    assert found.code == "RESOURCE_CONFLICT"
    assert "chain" in found.text
    refused(world.registry.delete_registered_model_alias, "fraud", "champion")
    refused(world.registry.rename_registered_model, "fraud", "scam")
    world.registry.set_registered_model_alias("fraud", "challenger", 2)
    world.make_version()
    world.tracking.create_run("0", "me", 1, [], "n")
    assert world.alias() == 1
    chain.with_name("elsewhere").rename(chain)
    world.registry.set_registered_model_alias("fraud", "champion", 1)


def test_with_no_chain_and_nothing_known_of_it_every_alias_is_refused(
    make_world: Make, refused: Refused
) -> None:
    world = make_world()
    world.make_model()
    (world.client.home / "gate" / "snapshot.json").unlink(missing_ok=True)
    chain = world.client.folder.chain
    world.client.close()
    chain.rename(chain.with_name("elsewhere"))
    refused(world.registry.set_registered_model_alias, "fraud", "challenger", 2)
    world.make_version()


def test_with_the_registry_paused_nothing_gated_moves(world: World, refused: Refused) -> None:
    world.people.promote("fraud", 1)
    world.people.send(world.people.owner, world.client.model_registry.pause_call())
    found = refused(world.registry.set_registered_model_alias, "fraud", "champion", 1)
    assert found.code == "RESOURCE_CONFLICT"
    assert world.alias() is None
    world.registry.set_registered_model_alias("fraud", "challenger", 1)
