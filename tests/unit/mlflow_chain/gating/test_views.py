"""What stands in MLflow, as plain values; names that databases take for one."""

from __future__ import annotations

from typing import Any

import pytest
from mlflow.entities.model_registry import ModelVersionTag

from chain_client.events import Actor
from chain_client.gate.question import Action, Change, Code, Refused
from chain_client.hosts import ModelIncarnation
from chain_client.registry.targets import Target
from mlflow_chain.gating.demands import Demand
from mlflow_chain.gating.refusing import draft_id, refusal
from mlflow_chain.gating.spellings import is_ambiguous, spellings
from mlflow_chain.gating.tags import is_reserved, setting_reserved_tags, without_reserved
from mlflow_chain.gating.view import ModelView

FRAUD = ModelIncarnation("s", "", "fraud", 1)


def _demand(version: int = 3, target: str = "alias:champion", created: int = 1) -> Demand:
    model = ModelIncarnation("s", "", "fraud", created)
    return Demand(model, Change(Action.SET, "fraud", target, version))


def test_what_stands_is_told_by_target_without_prompts() -> None:
    view = ModelView(
        FRAUD, {"champion": 1, "text": 2}, {"Production": [1, 3], "Staging": [2]}, frozenset({2})
    )
    assert view.standing() == {
        Target("alias", "champion"): (1,),
        Target("stage", "Production"): (1, 3),
    }
    assert view.standing(3) == {Target("stage", "Production"): (1, 3)}
    assert view.standing(2) == {}


@pytest.mark.parametrize("alias", ["champion", "Champion", "CHAMPION", "châmpion", "ｃhampion"])
def test_where_case_is_not_seen_every_known_spelling_is_meant(alias: str) -> None:
    known = ["ChampioN", "candidate", "CHAMPION"]
    found = spellings(alias, known)
    assert found[0] == alias
    assert set(found) == {alias, "champion", "ChampioN", "CHAMPION"}
    assert not is_ambiguous(alias)


@pytest.mark.parametrize(
    ("alias", "is_meant"),
    [
        ("champiøn", True),
        ("chamþion", True),
        ("v1٣", True),
        ("чемпион", False),
        ("冠军", False),
        ("冠军-Gold", False),
    ],
)
def test_letters_that_collations_may_take_for_ascii_are_ambiguous(
    alias: str, is_meant: bool
) -> None:
    assert is_ambiguous(alias) == is_meant


def test_reserved_tags_are_left_out_and_only_sync_may_set_them() -> None:
    mine, ours = ModelVersionTag("mine", "1"), ModelVersionTag("Mlops_Chain.digest", "1")
    assert without_reserved([mine]) is None
    assert without_reserved(None) is None
    assert without_reserved([mine, ours]) == [mine]
    with setting_reserved_tags():
        assert not is_reserved("mlops_chain.digest")
    assert is_reserved("mlops_chain.digest")


def test_a_draft_is_of_one_user_one_incarnation_one_version_and_one_target() -> None:
    ada = Actor(authenticated="ada")
    first = draft_id("s", ada, _demand())
    assert first == draft_id("s", ada, _demand())
    others = {
        draft_id("other", ada, _demand()),
        draft_id("s", Actor(authenticated="bob"), _demand()),
        draft_id("s", Actor(claimed="ada"), _demand()),
        draft_id("s", ada, _demand(version=2)),
        draft_id("s", ada, _demand(target="alias:live")),
        draft_id("s", ada, _demand(created=2)),
    }
    assert len(others | {first}) == 7
    assert len(first) == 16


@pytest.mark.parametrize("code", list(Code))
def test_no_refusal_has_a_status_that_clients_retry(code: Code) -> None:
    error: Any = refusal(Refused(code, "Because.", "Do this."), "abcd")
    assert error.get_http_status_code() in (403, 409)
    assert "Because." in str(error)
    assert "abcd" in str(error)
