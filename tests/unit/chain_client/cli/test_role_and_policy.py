"""`mlops-chain role` and `policy`: who may what, on chain, at once or through the timelock."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chain_client.config import Settings
from chain_client.ledger.deployment import Deployment
from chain_client.provision import provision_registry

Run = Callable[..., tuple[int, str, str]]
ADA, BOB, CAROL = ("0x" + digit * 40 for digit in "abc")
POLICY = """
[groups]
risk = ["{}", "{}"]
[default."alias:champion"]
group = "risk"
approvals = 2
"""


@pytest.fixture
def run(mlops_chain: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`mlops-chain --home …`"""
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")
    return lambda *words: mlops_chain("--home", home, *words)


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """A policy file."""
    file = tmp_path / "policy.toml"
    file.write_text(POLICY.format(BOB, CAROL))
    return file


def _members(run: Run) -> dict[str, list[str]]:
    listed: list[dict[str, Any]] = json.loads(run("role", "list", "--json")[1])["roles"]
    return {one["role"]: [member["address"] for member in one["members"]] for one in listed}


def test_a_role_is_given_once_and_taken_away(run: Run) -> None:
    code, out, _ = run("role", "grant", "requester", ADA, "--json")
    assert (code, json.loads(out)["state"]) == (0, "done")
    assert _members(run)["requester"] == [ADA]
    assert json.loads(run("role", "grant", "requester", ADA, "--json")[1])["state"] == "already"
    run("role", "revoke", "requester", ADA)
    assert _members(run)["requester"] == []


def test_a_group_is_listed_by_its_name_with_the_names_of_its_members(run: Run) -> None:
    run("user", "bind", "bob", BOB)
    code, out, _ = run("role", "grant", "approver:risk", "bob")
    assert code == 0
    assert "bob" in out
    assert _members(run)["approver:risk"] == [BOB]
    assert f"approver:risk\n  {BOB}  bob\n" in run("role", "list")[1]
    run("role", "revoke", "approver:risk", "bob")
    assert _members(run)["approver:risk"] == []


def test_an_approvers_key_in_the_home_is_warned_of(run: Run, home: Path) -> None:
    address = run("key", "address", "owner")[1].strip()
    code, _, err = run("role", "grant", "approver:risk", address)
    assert code == 0
    assert "An approver's key never belongs there" in " ".join(err.split())
    assert run("role", "grant", "approver:risk", BOB)[2] == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nobody", ADA), "is no role; expected admin"),
        (("approver:", ADA), "or approver:GROUP"),
        (("requester", "dan"), "no address is bound to the user 'dan'"),
        (("requester", ADA, "--key", "keystore:keys/log-writer.json"), "has not the role admin"),
    ],
)
def test_what_can_not_be_granted_is_said_and_nothing_is_sent(
    run: Run, words: tuple[str, ...], said: str
) -> None:
    before = _members(run)
    code, out, err = run("role", "grant", *words)
    assert (code, out) == (2, "")
    assert said in " ".join(err.split())
    assert _members(run) == before


def test_a_policy_is_planned_applied_and_shown(run: Run, policy: Path) -> None:
    code, out, _ = run("policy", "plan", policy, "--json")
    assert code == 1
    assert [step["action"] for step in json.loads(out)["steps"]] == [
        "add_approver",
        "add_approver",
        "set_policy",
    ]
    assert json.loads(run("policy", "show", "--json")[1])["policies"] == []
    assert run("policy", "apply", policy, "--yes")[0] == 0
    assert run("policy", "plan", policy)[:2] == (
        0,
        "nothing to do: the chain says what the file says\n",
    )
    shown = json.loads(run("policy", "show", "--json")[1])
    assert shown["gate_mode"] == "enforce"
    assert [(one["model"], one["target"], one["approvals"]) for one in shown["policies"]] == [
        (None, "alias:champion", 2)
    ]
    assert [one["address"] for one in shown["groups"]["risk"]] == [BOB, CAROL]
    text = run("policy", "show")[1]
    assert "every model  alias:champion\n  2 of risk" in text


def test_what_a_policy_file_does_not_name_is_taken_away(run: Run, policy: Path) -> None:
    run("policy", "apply", policy, "--yes")
    policy.write_text(f'[groups]\nrisk = ["{BOB}"]\n')
    code, out, _ = run("policy", "plan", policy)
    assert code == 1
    assert "-  take policy away of every model alias:champion" in out
    assert f"-  remove {CAROL} from risk" in out
    assert run("policy", "apply", policy, "--yes")[0] == 0
    assert json.loads(run("policy", "show", "--json")[1])["policies"] == []
    assert _members(run)["approver:risk"] == [BOB]


def test_a_policy_is_not_applied_without_a_yes(
    run: Run, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("policy", "apply", policy, "--json")[0] == 2
    monkeypatch.setattr("click.confirm", _refuse)
    code, out, err = run("policy", "apply", policy)
    assert (code, err) == (2, "error: aborted\n")
    assert "set policy" in out
    assert json.loads(run("policy", "show", "--json")[1])["policies"] == []


def _refuse(*_: object, **__: object) -> None:
    import click

    raise click.Abort


def test_a_mistake_in_a_policy_file_is_named(run: Run, policy: Path) -> None:
    policy.write_text(POLICY.format(BOB, CAROL).replace('group = "risk"', 'group = "risc"'))
    code, _, err = run("policy", "plan", policy)
    assert code == 2
    assert 'default."alias:champion".group: expected the name of a group (known: risk)' in err
    assert run("policy", "plan", "none.toml")[0] == 2
    policy.write_text('[models.nix."alias:champion"]\n')
    assert run("policy", "plan", policy)[0] == 2


def test_through_a_timelock_the_same_command_is_given_twice(run: Run, home: Path) -> None:
    settings = Settings(home=home, relay_autostart=False)
    deployment = Deployment.read(home / "deployment.json")
    provision_registry(settings, deployment, 3_600)
    code, out, _ = run("role", "grant", "requester", ADA)
    assert code == 0
    assert "scheduled" in out
    assert "give the same command again then" in " ".join(out.split())
    assert json.loads(run("role", "grant", "requester", ADA, "--json")[1])["state"] == "scheduled"
    assert _members(run)["requester"] == []
    waiting = json.loads(run("role", "list", "--json")[1])["waiting"]
    assert len(waiting) == 1
    assert waiting[0]["is_ready"] is False
    assert "can be carried out from" in run("role", "list")[1]


def _until_ready(run: Run) -> dict[str, Any]:
    """What waits in the timelock, once all of it is ready."""
    deadline = time.monotonic() + 30
    while True:
        waiting: list[dict[str, Any]] = json.loads(run("role", "list", "--json")[1])["waiting"]
        if all(one["is_ready"] for one in waiting) or time.monotonic() > deadline:
            return {one["operation"]: one["is_ready"] for one in waiting}


def test_what_was_scheduled_is_carried_out_by_the_same_command(
    run: Run, home: Path, policy: Path
) -> None:
    settings = Settings(home=home, relay_autostart=False)
    provision_registry(settings, Deployment.read(home / "deployment.json"), 2)
    scheduled = json.loads(run("role", "grant", "requester", ADA, "--json")[1])
    assert scheduled["state"] == "scheduled"
    assert _until_ready(run) == {scheduled["operation"]: True}
    assert _members(run)["requester"] == []
    code, out, _ = run("role", "grant", "requester", ADA)
    assert (code, out.split()[0]) == (0, "done")
    assert _members(run)["requester"] == [ADA]
    assert json.loads(run("role", "list", "--json")[1])["waiting"] == []
    assert json.loads(run("role", "grant", "requester", ADA, "--json")[1])["state"] == "already"

    members = json.loads(run("policy", "apply", policy, "--yes", "--json")[1])
    assert members["is_whole"] is False
    for _ in range(3):
        _until_ready(run)
        applied = json.loads(run("policy", "apply", policy, "--yes", "--json")[1])
        if applied["is_whole"]:
            break
    assert applied["is_whole"] is True
    assert run("policy", "plan", policy)[0] == 0
    assert sorted(_members(run)["approver:risk"]) == [BOB, CAROL]
