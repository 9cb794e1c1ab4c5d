"""What MLflow may answer, and what of it is not believed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from chain_client.errors import ConfigurationError
from mlflow_chain.loading.model_uris import ModelUri
from mlflow_chain.loading.registry_of import ask_mlflow


class Pages(list[Any]):
    """A page of a listing; there is no further one."""

    token = None


def registry(name: str, *stages: str) -> Any:
    """What a server answers whose model has versions in these stages."""
    versions = [SimpleNamespace(version=n, current_stage=s) for n, s in enumerate(stages, 1)]
    return SimpleNamespace(
        get_registered_model=lambda _: SimpleNamespace(name=name, creation_timestamp=7),
        search_model_versions=lambda *_, **__: Pages(versions),
        get_model_version_by_alias=lambda *_: SimpleNamespace(version="2"),
        get_model_version_download_uri=lambda _, version: f"mlflow-artifacts:/{version}",
    )


def test_a_server_can_t_answer_with_another_model_that_is_approved() -> None:
    with pytest.raises(ConfigurationError, match="another"):
        ask_mlflow(registry("other"), "s", ModelUri.parse("models:/fraud@champion"))


def test_an_alias_and_the_only_version_of_a_stage_are_found() -> None:
    asked = ask_mlflow(registry("fraud"), "s", ModelUri.parse("models:/fraud@champion"))
    assert (asked.version, asked.download_uri) == (2, "mlflow-artifacts:/2")
    assert (asked.model.name, asked.model.creation_ms, asked.model.workspace) == ("fraud", 7, "")
    staged = registry("fraud", "Archived", "Production")
    assert ask_mlflow(staged, "s", ModelUri.parse("models:/fraud/production")).version == 2


@pytest.mark.parametrize("stages", [("Production", "Production"), ("Archived",), ()])
def test_a_stage_with_several_versions_or_none_is_refused(stages: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError, match="one version"):
        ask_mlflow(registry("fraud", *stages), "s", ModelUri.parse("models:/fraud/Production"))
