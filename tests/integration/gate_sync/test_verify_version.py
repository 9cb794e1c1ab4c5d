"""A version's bytes are what was registered and approved, or what differs is named."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from chain_client.client import ChainClient
from chain_client.errors import UnknownName
from chain_client.governing.verifying import VerifiedVersion, verify_version
from chain_client.verify.report import Verdict
from tests.governed import BREAKER
from tests.integration.gate_sync.people import CHAMPION, People


@pytest.fixture(autouse=True)
def leave_nothing_to_sync(people: People) -> Iterator[None]:
    """Whatever test comes next finds MLflow equal to the chain."""
    yield
    people.remove()


def kinds(found: VerifiedVersion) -> list[str]:
    return [finding.kind for finding in found.report.findings]


def own_check(found: VerifiedVersion) -> tuple[str, bool]:
    check = found.report.checks[0]
    return check.name, check.ok


def test_a_registered_version_and_what_is_current_hold(client: ChainClient, people: People) -> None:
    people.promote(1)
    named = verify_version(client, people.name, version=1)
    assert own_check(named) == ("version", True), named.report.checks[0].detail
    assert "version_files_changed" not in kinds(named)
    current = verify_version(client, people.name, target=CHAMPION)
    assert (current.version, current.target) == (1, CHAMPION)
    assert current.digest == named.digest
    assert own_check(current) == ("version", True)


@pytest.mark.parametrize("damage", ["edit", "add", "remove"])
def test_changed_files_are_named(client: ChainClient, people: People, damage: str) -> None:
    people.promote(1)
    folder = people.files / "1"
    if damage == "edit":
        (folder / "model.txt").write_text("weights 2")
    elif damage == "add":
        (folder / "more.txt").write_text("more")
    else:
        shutil.move(folder / "model.txt", folder / "other.txt")
    found = verify_version(client, people.name, target=CHAMPION)
    assert own_check(found) == ("version", False)
    assert kinds(found)[0] == "version_files_changed"
    assert found.report.verdict is Verdict.DIFFERS
    assert f"{people.name}/1" in found.report.findings[0].subject


def test_what_nobody_can_have_approved_is_named(client: ChainClient, people: People) -> None:
    assert kinds(verify_version(client, people.name, version=2))[0] == "version_not_registered"
    assert kinds(verify_version(client, people.name, target=CHAMPION))[0] == "target_not_current"
    people.promote(3)
    model = client.registry.model_id(people.model)
    client.registry.revoke_version(model, 3, "leaks", signer=BREAKER)
    assert kinds(verify_version(client, people.name, version=3))[0] == "version_revoked"
    with pytest.raises(UnknownName):
        verify_version(client, "no-such-model", version=1)
