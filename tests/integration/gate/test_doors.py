"""Every door of MLflow's registry, tried by somebody who has no approval."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag

from tests.governed import ALICE, BOB
from tests.integration.gate.conftest import Refusal, World

Refused = Callable[..., Refusal]


def test_an_alias_without_approval_is_refused_and_names_the_draft(
    world: World, refused: Refused
) -> None:
    found = refused(world.registry.set_registered_model_alias, "fraud", "champion", 3)
    assert found.code == "PERMISSION_DENIED"
    (event,) = world.events("promotion.refused")
    assert f"mlops-chain model propose --draft {event.subject.id}" in found.text
    assert "needs 2 approvals" in found.text
    assert world.alias() is None
    assert world.events("registered_model.alias_set") == []
    again = refused(world.registry.set_registered_model_alias, "fraud", "champion", "3")
    assert again.text == found.text


def test_one_approval_of_two_is_not_enough(world: World, refused: Refused) -> None:
    fields = world.people.propose("fraud", 2)
    world.people.approve(fields, ALICE)
    refused(world.registry.set_registered_model_alias, "fraud", "champion", 2)
    world.people.approve(fields, BOB)
    refused(world.registry.set_registered_model_alias, "fraud", "champion", 2)
    world.people.send(ALICE, world.client.model_registry.promote_call(fields))
    world.registry.set_registered_model_alias("fraud", "champion", 2)
    assert world.alias() == 2
