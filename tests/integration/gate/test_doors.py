"""Every door of MLflow's registry, tried by somebody who has no approval."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
from mlflow.entities.workspace import Workspace, WorkspaceDeletionMode
from mlflow.exceptions import MlflowException
from mlflow.utils.workspace_context import WorkspaceContext

from chain_client.registry.drafts import list_drafts
from mlflow_chain.building import build_workspace_store
from mlflow_chain.gating.tags import setting_reserved_tags
from tests.governed import ALICE, BOB
from tests.integration.gate.conftest import Refusal, World

Refused = Callable[..., Refusal]

RESERVED = "mlops_chain.proposal"

NOT_THERE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


def test_an_alias_without_approval_is_refused_and_names_the_draft(
    world: World, refused: Refused
) -> None:
    found = refused(world.registry.set_registered_model_alias, "fraud", "champion", 3)
    assert found.code == "PERMISSION_DENIED"
    (event,) = world.events("promotion.refused")
    assert f"mlops-chain draft propose {event.subject.id}" in found.text
    assert "needs 2 approvals" in found.text
    assert event.payload["target"] == "alias:champion"
    assert event.payload["version"] == 3
    assert world.alias() is None
    assert world.events("registered_model.alias_set") == []


def test_the_same_attempt_again_makes_no_second_draft(world: World, refused: Refused) -> None:
    for version in (3, "3"):
        refused(world.registry.set_registered_model_alias, "fraud", "champion", version)
    refused(world.registry.set_registered_model_alias, "fraud", "champion", 2)
    ids = [event.subject.id for event in world.events("promotion.refused")]
    assert ids[0] == ids[1] != ids[2]


def test_a_refused_attempt_is_a_draft_that_somebody_can_propose(
    world: World, refused: Refused
) -> None:
    refused(world.registry.set_registered_model_alias, "fraud", "champion", 3)
    refused(world.registry.set_model_version_tag, "fraud", 1, ModelVersionTag(RESERVED, "1"))
    refused(world.registry.transition_model_version_stage, "fraud", 2, "production", True)
    world.client.recorder.close()
    world.people.drain()
    drafts = list(list_drafts(world.client.log))
    found = {(d.model, d.version, str(d.target), d.mode, d.who) for d in drafts}
    who = f"({getpass.getuser()})"
    assert found == {
        ("fraud", 3, "alias:champion", "enforce", who),
        ("fraud", 2, "stage:Production", "enforce", who),
    }


def test_one_approval_of_two_is_not_enough(world: World, refused: Refused) -> None:
    fields = world.people.propose("fraud", 2)
    world.people.approve(fields, ALICE)
    refused(world.registry.set_registered_model_alias, "fraud", "champion", 2)
    world.people.approve(fields, BOB)
    refused(world.registry.set_registered_model_alias, "fraud", "champion", 2)
    world.people.send(ALICE, world.client.model_registry.promote_call(fields))
    world.registry.set_registered_model_alias("fraud", "champion", 2)
    assert world.alias() == 2


def test_an_approval_of_a_text_that_the_log_does_not_hold_or_that_lied_is_not_enough(
    world: World, refused: Refused
) -> None:
    toy = replace(world.people.find("fraud"), name="toy")
    world.people.promote("fraud", 2, told=toy)
    assert (
        "does not say"
        in refused(world.registry.set_registered_model_alias, "fraud", "champion", 2).text
    )
    world.people.promote("fraud", 3, is_noted=False)
    assert (
        "does not hold the text"
        in refused(world.registry.set_registered_model_alias, "fraud", "champion", 3).text
    )
    assert world.alias() is None


def test_what_has_no_policy_goes_on_as_ever(world: World) -> None:
    world.registry.set_registered_model_alias("fraud", "challenger", 2)
    world.registry.transition_model_version_stage("fraud", 2, "staging", False)
    world.registry.delete_registered_model_alias("fraud", "challenger")
    world.registry.delete_model_version("fraud", 3)
    world.registry.create_registered_model("other")
    world.registry.rename_registered_model("other", "another")
    world.registry.delete_registered_model("another")
    assert world.stage(2) == "Staging"
    assert world.events("promotion.refused") == []


def test_another_case_of_an_alias_is_another_alias_and_odd_ones_are_refused(
    world: World, refused: Refused
) -> None:
    world.registry.set_registered_model_alias("fraud", "Champion", 3)
    found = refused(world.registry.set_registered_model_alias, "fraud", "champion\n", 3)
    assert "can't read" in found.text or "no alias" in found.text
    assert world.alias() is None


def test_a_champion_stays_until_its_removal_is_approved(world: World, refused: Refused) -> None:
    world.crown(1)
    found = refused(world.registry.delete_registered_model_alias, "fraud", "champion")
    assert "(draft" not in found.text, "a removal is not proposed"
    assert "removal is not approved" in found.text
    refused(world.registry.set_registered_model_alias, "fraud", "champion", 2)
    refused(world.registry.delete_model_version, "fraud", 1)
    refused(world.registry.delete_registered_model, "fraud")
    refused(world.registry.rename_registered_model, "fraud", "scam")
    assert world.alias() == 1
    assert world.registry.get_registered_model("fraud").name == "fraud"
    world.registry.delete_model_version("fraud", 2)


@pytest.mark.parametrize("stage", ["Production", "production", "PRODUCTION"])
def test_a_gated_stage_is_entered_by_approval_only(
    world: World, refused: Refused, stage: str
) -> None:
    move = world.registry.transition_model_version_stage
    found = refused(move, "fraud", 2, stage, True)
    assert found.code == "PERMISSION_DENIED"
    assert world.stage(2) == "None"


def test_a_gated_stage_holds_one_version(world: World, refused: Refused) -> None:
    move = world.registry.transition_model_version_stage
    world.people.promote("fraud", 1, "stage:Production")
    found = refused(move, "fraud", 1, "Production", archive_existing_versions=False)
    assert "archive_existing_versions=True" in found.text
    assert "(draft" not in found.text, "it is approved already"
    move("fraud", 1, "Production", archive_existing_versions=True)
    assert world.stage(1) == "Production"
    refused(move, "fraud", 1, "Archived", False)
    refused(move, "fraud", 1, "None", False)
    refused(move, "fraud", 2, "Production", True)
    refused(world.registry.delete_model_version, "fraud", 1)
    assert world.stage(1) == "Production"
    world.people.promote("fraud", 2, "stage:Production")
    move("fraud", 2, "Production", True)
    assert (world.stage(1), world.stage(2)) == ("Archived", "Production")


def test_archiving_others_does_not_enter_a_gated_archive(world: World, refused: Refused) -> None:
    move = world.registry.transition_model_version_stage
    move("fraud", 1, "Staging", False)
    world.people.set_policy("stage:Archived")
    refused(move, "fraud", 2, "Staging", True)
    assert (world.stage(1), world.stage(2)) == ("Staging", "None")
    move("fraud", 2, "Staging", False)


def test_a_copy_is_approved_for_nothing_and_takes_no_reserved_tag_along(
    world: World, refused: Refused
) -> None:
    world.crown(1)
    with setting_reserved_tags():
        world.registry.set_model_version_tag(
            "fraud", 1, ModelVersionTag("mlops_chain.proposal", "0x1")
        )
    world.registry.set_model_version_tag("fraud", 1, ModelVersionTag("mine", "1"))
    source = world.registry.get_model_version("fraud", 1)
    copy = world.registry.copy_model_version(source, "fraud")
    assert copy.tags == {"mine": "1"}
    stored = world.registry.get_model_version("fraud", copy.version)
    assert stored.tags == {"mine": "1"}
    (event,) = [e for e in world.events("model_version.created") if e.subject.id == "fraud/4"]
    assert event.payload["tags"] == [["mine", "1"]]
    refused(world.registry.set_registered_model_alias, "fraud", "champion", copy.version)
    other = world.registry.copy_model_version(source, "other")
    refused(world.registry.set_registered_model_alias, "other", "champion", other.version)


@pytest.mark.parametrize("key", ["mlops_chain.proposal", "MLOPS_CHAIN.x", "mlops_chain.\u0301y"])
def test_nobody_sets_or_deletes_reserved_tags(world: World, refused: Refused, key: str) -> None:
    store = world.registry
    for call in (
        lambda: store.set_model_version_tag("fraud", 1, ModelVersionTag(key, "1")),
        lambda: store.delete_model_version_tag("fraud", 1, key),
        lambda: store.set_registered_model_tag("fraud", RegisteredModelTag(key, "1")),
        lambda: store.delete_registered_model_tag("fraud", key),
        lambda: store.create_registered_model("new", [RegisteredModelTag(key, "1")]),
    ):
        assert refused(call).code == "PERMISSION_DENIED"
    assert store.get_model_version("fraud", 1).tags == {}
    assert len(world.events("promotion.refused")) == 5


def test_a_model_that_is_proposed_or_has_its_own_policy_stays_as_it_is(
    world: World, refused: Refused
) -> None:
    world.make_model("own", 1)
    world.people.set_policy("alias:live", model=world.people.id_of("own"))
    refused(world.registry.rename_registered_model, "own", "free")
    refused(world.registry.delete_registered_model, "own")
    world.people.propose("fraud", 2)
    refused(world.registry.delete_model_version, "fraud", 2)
    refused(world.registry.delete_registered_model, "fraud")
    world.registry.delete_model_version("fraud", 3)


def test_an_alias_from_before_the_policy_can_be_deleted_but_not_renamed_along(
    make_world: Callable[..., World], ungoverned_home: Any, refused: Refused
) -> None:
    world = make_world(ungoverned_home)
    world.make_model()
    world.registry.set_registered_model_alias("fraud", "champion", 3)
    world.people.govern()
    refused(world.registry.rename_registered_model, "fraud", "scam")
    refused(world.registry.set_registered_model_alias, "fraud", "champion", 2)
    world.registry.delete_registered_model_alias("fraud", "champion")
    assert world.alias() is None


def test_what_is_not_there_is_refused_in_mlflows_own_words(world: World) -> None:
    store = world.registry
    calls: tuple[Callable[[], Any], ...] = (
        lambda: store.set_registered_model_alias("fraud", "champion", 99),
        lambda: store.set_registered_model_alias("nothing", "champion", 1),
        lambda: store.set_registered_model_alias("fraud", "latest", 1),
        lambda: store.delete_registered_model_alias("nothing", "champion"),
        lambda: store.transition_model_version_stage("fraud", 99, "Production", True),
        lambda: store.transition_model_version_stage("fraud", 1, "nowhere", False),
        lambda: store.rename_registered_model("nothing", "something"),
        lambda: store.delete_registered_model("nothing"),
        lambda: store.delete_model_version("fraud", 99),
    )
    for call in calls:
        with pytest.raises(MlflowException) as caught:
            call()
        code: Any = caught.value.error_code
        assert code in NOT_THERE, caught.value
    assert world.events("promotion.refused") == []
    with pytest.raises(TypeError, match="set_registered_model_alias"):
        store.set_registered_model_alias("fraud")


def test_a_deleted_workspace_takes_no_champion_along_and_gives_none_away(
    world: World, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_WORKSPACES", "true")
    workspaces: Any = build_workspace_store(f"chain+{world.uri}")
    with WorkspaceContext("default"):
        for name in ("aa", "bb"):
            workspaces.create_workspace(Workspace(name=name))
    with WorkspaceContext("aa"):
        world.make_model("credit", 1)
        world.people.promote("credit", 1, workspace="aa")
        world.registry.set_registered_model_alias("credit", "champion", 1)
    for mode in (WorkspaceDeletionMode.SET_DEFAULT, WorkspaceDeletionMode.CASCADE):
        found = refused(workspaces.delete_workspace, "aa", mode)
        assert "credit" in found.text
    with WorkspaceContext("aa"):
        assert world.alias(name="credit") == 1
    workspaces.delete_workspace("bb", WorkspaceDeletionMode.CASCADE)


def test_the_same_name_in_another_workspace_is_another_model(
    world: World, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_WORKSPACES", "true")
    workspaces: Any = build_workspace_store(f"chain+{world.uri}")
    with WorkspaceContext("default"):
        world.crown(1)
        workspaces.create_workspace(Workspace(name="aa"))
    with WorkspaceContext("aa"):
        world.registry.create_registered_model("fraud")
        world.registry.create_model_version("fraud", str(world.folder / "fraud-1"))
        refused(world.registry.set_registered_model_alias, "fraud", "champion", 1)
