"""Prompts share MLflow's registry with models: they pass, and nothing passes as one of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag

from mlflow_chain.reading.governed import PROMPT_MARK
from tests.integration.gate.conftest import Refusal, World

Refused = Callable[..., Refusal]


def test_a_prompt_has_its_aliases_without_approval(world: World) -> None:
    store = world.registry
    store.create_prompt("greeting")
    store.create_prompt_version("greeting", "Hello {{name}}")
    store.create_prompt_version("greeting", "Hi {{name}}")
    store.set_prompt_alias("greeting", "champion", 1)
    store.set_prompt_alias("greeting", "champion", 2)
    assert world.alias(name="greeting") == 2
    store.delete_prompt_alias("greeting", "champion")
    store.set_prompt_tag("greeting", "language", "en")
    store.delete_prompt_version("greeting", 1)
    store.delete_prompt("greeting")
    assert world.events("promotion.refused") == []


@pytest.mark.parametrize("marker", [PROMPT_MARK, PROMPT_MARK.upper()])
def test_a_model_does_not_become_a_prompt(world: World, refused: Refused, marker: str) -> None:
    store = world.registry
    refused(store.set_registered_model_tag, "fraud", RegisteredModelTag(marker, "true"))
    refused(store.set_model_version_tag, "fraud", 3, ModelVersionTag(marker, "true"))
    refused(store.delete_registered_model_tag, "fraud", marker)
    refused(store.delete_model_version_tag, "fraud", 3, marker)
    assert world.alias() is None


def test_a_version_with_files_below_a_prompt_is_no_prompt(world: World, refused: Refused) -> None:
    store = world.registry
    store.create_prompt("sly")
    files = world.folder / "fraud-3"
    marked = [ModelVersionTag(PROMPT_MARK, "true")]
    store.create_model_version("sly", str(files), tags=marked)
    refused(store.set_registered_model_alias, "sly", "champion", 1)
    store.create_prompt_version("sly", "text")
    refused(store.set_registered_model_alias, "sly", "champion", 2)


def test_a_marked_version_of_a_model_moves_no_alias(world: World, refused: Refused) -> None:
    world.crown(1)
    store = world.registry
    marked = [ModelVersionTag(PROMPT_MARK, "true")]
    made = store.create_model_version("fraud", "dummy-source", tags=marked)
    refused(store.set_registered_model_alias, "fraud", "champion", made.version)
    assert world.alias() == 1
