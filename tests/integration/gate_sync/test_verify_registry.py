"""Verification names what MLflow shows of models that the chain does not say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chain_client.client import ChainClient
from chain_client.config import Settings
from chain_client.events import Subject
from chain_client.hosts import Scope
from chain_client.verify import Report, Verdict
from tests.integration.gate_sync.people import CHAMPION, PRODUCTION, People
from tests.recorded_database import Recorded


@pytest.fixture
def promoted(people: People) -> People:
    """Version 1 is champion, version 2 is in Production, as approved."""
    return _promote(people)


@pytest.fixture(scope="module")
def standing(governed: People, place: Path) -> People:
    """The same, for tests after which it is so again."""
    return _promote(governed.new(place))


def _promote(people: People) -> People:
    people.promote(1)
    people.promote(2, PRODUCTION)
    assert people.client.sync().troubles == []
    return people


def _detail(report: Report) -> str:
    (found,) = [check.detail for check in report.checks if check.name == "registry"]
    return found


def _kinds(people: People) -> dict[str, str]:
    """Kinds of what the registry's step found, by subject; the comparison's own left out."""
    ours = ("promotion_", "model_digest_", "registry_", "revoked_", "gate_")
    found = [f for f in people.verify().findings if f.kind.startswith(ours)]
    return {f.subject.removeprefix(f"model {people.name}/"): f.kind for f in found}


def test_nothing_is_said_while_nothing_was_ever_gated(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", relay_autostart=False, spool_durability="process")
    client = ChainClient.open(settings, create=True)
    client.recorder.note("item.seen", Subject("", "item", "one"), {"number": 1})
    client.recorder.close()
    report = client.verify(Scope())
    client.close()
    assert report.verdict is Verdict.HOLDS
    assert [check.name for check in report.checks if "registry" in check.name] == []


def test_honest_use_gives_no_finding(promoted: People) -> None:
    promoted.promote(3)
    promoted.client.sync()
    promoted.remove(PRODUCTION)
    promoted.client.sync()
    report = promoted.verify()
    assert report.findings == []
    assert report.verdict is Verdict.HOLDS
    assert promoted.name not in _detail(report)


def test_a_promotion_that_sync_has_not_reached_yet_is_no_finding(promoted: People) -> None:
    promoted.promote(3)
    report = promoted.verify()
    assert report.findings == []
    assert "decided a moment ago" in _detail(report)


_EDITS: dict[str, tuple[str, dict[str, str]]] = {
    "alias moved": (
        "update registered_model_aliases set version = 3 where name = :name",
        {CHAMPION: "promotion_differs"},
    ),
    "alias removed": (
        "delete from registered_model_aliases where name = :name",
        {CHAMPION: "promotion_differs"},
    ),
    "stage moved": (
        "update model_versions set current_stage = 'Production' where version = 3 and name = :name",
        {PRODUCTION: "promotion_differs"},
    ),
    "tag edited": (
        "update model_version_tags set value = '3 of 3: me' "
        "where version = 1 and key = 'mlops_chain.approvals' and name = :name",
        {"version 1/tag mlops_chain.approvals": "registry_tag_changed"},
    ),
    "tag invented": (
        "insert into model_version_tags (name, version, key, value) "
        "values (:name, 3, 'mlops_chain.target', 'alias:champion')",
        {"version 3/tag mlops_chain.target": "registry_tag_changed"},
    ),
    "tag of a digest edited": (
        "update model_version_tags set value = '0x' || printf('%064d', 7) "
        "where version = 1 and key = 'mlops_chain.digest' and name = :name",
        {"version 1/tag mlops_chain.digest": "registry_tag_changed"},
    ),
}


@pytest.mark.usefixtures("age")
def test_tampering_by_sql_is_named(standing: People, recorded: Recorded) -> None:
    copy = recorded.file.read_bytes()
    for name, (statement, expected) in _EDITS.items():
        assert recorded.edit(statement.replace(":name", f"'{standing.name}'")) > 0, name
        assert _kinds(standing) == expected, name
        recorded.file.write_bytes(copy)
    assert _kinds(standing) == {}


def test_changed_files_of_a_registered_version_are_named(standing: People) -> None:
    added, renamed = standing.files / "1" / ".gitignore", standing.files / "2" / "model.txt"
    added.write_text("model.txt")
    renamed.rename(renamed.with_name("weights.txt"))
    assert _kinds(standing) == {
        "version 1": "model_digest_differs",
        "version 2": "model_digest_differs",
    }
    added.unlink()
    renamed.with_name("weights.txt").rename(renamed)
    assert _kinds(standing) == {}


def test_a_revoked_version_that_is_still_current_is_named(promoted: People) -> None:
    promoted.revoke(1)
    assert _kinds(promoted) == {CHAMPION: "revoked_version_current"}
    promoted.promote(3)
    promoted.client.sync()
    assert _kinds(promoted) == {}


@pytest.mark.usefixtures("age")
def test_what_was_set_past_an_open_gate_is_named_with_its_time(
    promoted: People, open_gate: Callable[[], Any]
) -> None:
    store = open_gate()
    store.set_registered_model_alias(promoted.name, "champion", 3)
    store.transition_model_version_stage(promoted.name, 3, "Production", True)
    promoted.client.sync()
    found = _kinds(promoted)
    assert found == {
        CHAMPION: "promotion_without_approval",
        PRODUCTION: "promotion_without_approval",
        "gate/warn": "gate_not_enforced",
    }
    (gate,) = [f for f in promoted.verify().findings if f.kind == "gate_not_enforced"]
    assert f"model {promoted.name}/{CHAMPION} at 20" in gate.detail


def test_an_open_gate_that_nobody_used_is_remarked(
    standing: People, open_gate: Callable[[], Any]
) -> None:
    open_gate().set_registered_model_alias(standing.name, "shadow", 3)
    report = standing.verify()
    assert report.findings == []
    assert "gate: gate not enforced from 20" in _detail(report)


def test_a_rename_past_an_open_gate_carries_no_approval_along(
    promoted: People, open_gate: Callable[[], Any]
) -> None:
    store, name = open_gate(), promoted.name
    promoted.name = f"new-{name}"
    store.rename_registered_model(name, promoted.name)
    found = _kinds(promoted)
    assert {subject for subject, kind in found.items() if kind != "registry_tag_changed"} == {
        CHAMPION,
        PRODUCTION,
        "gate/warn",
    }
    # The tags went along too, and say of the new name what nobody decided.
    assert found["version 1/tag mlops_chain.proposal"] == "registry_tag_changed"
    # The home is shared: for the tests that follow it is the model that the chain knows.
    store.rename_registered_model(promoted.name, name)


def test_broken_glass_is_remarked_for_ever(promoted: People) -> None:
    promoted.break_glass(3)
    promoted.client.sync()
    promoted.promote(2)
    promoted.client.sync()
    report = promoted.verify()
    assert report.findings == []
    assert f"model {promoted.name}/{CHAMPION}: version 3 broke the glass at 20" in _detail(report)


def test_what_stood_before_the_policy_is_remarked(people: People) -> None:
    people.store.set_registered_model_alias(people.name, "canary", 2)
    people.set_policy("alias:canary")
    people.promote(1, PRODUCTION)
    people.client.sync()
    report = people.verify()
    assert report.findings == []
    assert "version 2 stood there before it was gated" in _detail(report)


def test_what_sync_set_back_is_remarked_for_ever(promoted: People, recorded: Recorded) -> None:
    recorded.edit("update registered_model_aliases set version = 3 where name = ?", promoted.name)
    promoted.client.sync()
    report = promoted.verify()
    assert report.findings == []
    assert "it was moved past the gate to [3] and set back" in _detail(report)
