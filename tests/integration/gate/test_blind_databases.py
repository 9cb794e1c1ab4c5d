"""Databases in which ``CHAMPION`` is ``champion``: the gate asks for every spelling of a target.

Databases of that kind can't be had here; one of the other kind is told to be taken for one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chain_client.ledger.model_registry_values import Policy
from chain_client.registry.targets import Target
from mlflow_chain.gating import view
from tests.integration.gate.conftest import World


@pytest.fixture
def blind(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose database is blind to case, and whose alias ``Live`` is gated."""
    monkeypatch.setattr(view, "_BLIND_TO_CASE", frozenset({"sqlite"}))
    people = world.people
    policy = Policy(people.group, 2, 0, 86_400)
    world.client.registry.set_policy(None, Target.alias("Live"), policy, signer=people.owner)
    world.client.recorder.close()
    people.drain()
    return world


@pytest.mark.parametrize("alias", ["Live", "live", "LIVE", "lïve"])
def test_no_spelling_of_a_gated_alias_is_set_without_approval(
    blind: World, refused: Callable[..., Any], alias: str
) -> None:
    found = refused(blind.registry.set_registered_model_alias, "fraud", alias, 2)
    assert found.code == "PERMISSION_DENIED"
    assert "alias:Live" in found.text


def test_no_other_spelling_of_a_gated_alias_is_deleted_or_loses_its_model(
    blind: World, refused: Callable[..., Any]
) -> None:
    blind.people.promote("fraud", 1, "alias:Live")
    blind.registry.set_registered_model_alias("fraud", "LIVE", 1)
    assert "removal" in refused(blind.registry.delete_registered_model_alias, "fraud", "LIVE").text
    refused(blind.registry.delete_model_version, "fraud", 1)
    refused(blind.registry.rename_registered_model, "fraud", "other")


def test_what_may_be_taken_for_a_gated_alias_is_refused_and_other_scripts_are_not(
    blind: World, refused: Callable[..., Any]
) -> None:
    assert (
        "may take it for"
        in refused(blind.registry.set_registered_model_alias, "fraud", "champiøn", 2).text
    )
    blind.registry.set_registered_model_alias("fraud", "冠军", 2)
    blind.registry.set_registered_model_alias("fraud", "Candidate", 2)
    assert blind.alias("冠军") == blind.alias("Candidate") == 2


def test_where_case_is_seen_another_spelling_is_another_alias(world: World) -> None:
    world.registry.set_registered_model_alias("fraud", "Champion", 2)
    assert world.alias("Champion") == 2
