"""What a URI of a registered model asks for."""

from __future__ import annotations

import pytest

from chain_client.errors import InvalidInput
from chain_client.registry.targets import Target
from mlflow_chain.loading.model_uris import ModelUri


@pytest.mark.parametrize("scheme", ["models:/", "chain+models:/"])
@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("fraud@champion", ModelUri("fraud", Target("alias", "champion"))),
        (
            "fraud@champion/code/a.py",
            ModelUri("fraud", Target("alias", "champion"), None, "code/a.py"),
        ),
        ("a@b@champion", ModelUri("a@b", Target("alias", "champion"))),
        ("fraud/3", ModelUri("fraud", None, 3)),
        ("fraud/3/MLmodel", ModelUri("fraud", None, 3, "MLmodel")),
        ("fraud/production", ModelUri("fraud", Target("stage", "Production"))),
        ("with space/Staging/", ModelUri("with space", Target("stage", "Staging"))),
    ],
)
def test_a_uri_names_a_version_an_alias_or_a_stage(
    scheme: str, rest: str, expected: ModelUri
) -> None:
    assert ModelUri.parse(scheme + rest) == expected


@pytest.mark.parametrize(
    "uri",
    [
        "models:/fraud",
        "models:/m-0123456789abcdef",
        "models:/fraud/latest",
        "models:/fraud/LATEST",
        "models:/fraud/None",
        "models:/fraud/²",
        "models:/@champion",
        "models:/fraud@",
        "models:/fraud/3/../4",
        "models:/fraud/no-such-stage",
        "runs:/0123/model",
        "models:",
        "/tmp/model",
        "",
    ],
)
def test_what_nobody_can_approve_is_refused(uri: str) -> None:
    with pytest.raises(InvalidInput):
        ModelUri.parse(uri)


def test_a_uri_is_shown_as_mlflow_writes_it() -> None:
    for uri in ("models:/fraud@champion", "models:/fraud/3", "models:/fraud/Production"):
        assert str(ModelUri.parse(uri)) == uri
