"""Policy files: what is read, what is refused with file and key, and what a plan changes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chain_client.errors import InvalidPolicyFile, UnknownName
from chain_client.ledger.model_registry import ANY_MODEL
from chain_client.registry.client import Done
from chain_client.registry.evidence import KINDS
from chain_client.registry.policies import PolicyPlan, apply_plan, plan_policies
from chain_client.registry.policy_files import Rule, read_policy_file
from chain_client.registry.targets import Target
from chain_client.registry.typed_data import STRUCTS
from chain_client.registry.users import bind, bindings
from chain_client.types import Address, to_hex
from tests.unit.chain_client.registry.office import (
    BOB,
    CAROL,
    CHAMPION,
    DAVE,
    FRAUD,
    STRANGER,
    Office,
)

USERS = {"bob": BOB.address(), "carol": CAROL.address(), "dave": DAVE.address()}
HEX = to_hex(STRANGER.address())
TOML = f"""
[groups]
risk = ["bob", "carol", "{HEX}"]

[default."alias:champion"]
group = "risk"
approvals = 2
min_delay = "1h"
expiry = "7d"
evidence = ["evaluation", "run"]

[models."fraud"."stage:production"]
group = "risk"
approvals = 1
"""
YAML = f"""
groups:
  risk: [bob, carol, "{HEX}"]
default:
  "@champion": {{group: risk, approvals: 2, min_delay: 1h, expiry: 7d, evidence: [run, evaluation]}}
models:
  fraud:
    stage:Production:
      group: risk
      approvals: 1
"""


def _write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_toml_and_yaml_say_the_same(tmp_path: Path) -> None:
    toml = read_policy_file(_write(tmp_path, "p.toml", TOML), USERS)
    yaml = read_policy_file(_write(tmp_path, "p.yaml", YAML), USERS)
    assert (
        toml.groups == yaml.groups == {"risk": (BOB.address(), CAROL.address(), STRANGER.address())}
    )
    assert toml.rules == yaml.rules
    assert toml.rules[None, CHAMPION] == Rule("risk", 2, 3600, 604_800, ("evaluation", "run"))
    assert toml.rules["fraud", Target.parse("stage:Production")] == Rule("risk", 1, 0, 604_800)


def test_the_examples_of_the_reference_hold_and_say_the_same(tmp_path: Path) -> None:
    page = (Path(__file__).parents[4] / "docs/reference/approval-files.md").read_text("utf-8")
    found = {}
    for suffix in ("toml", "yaml"):
        (block,) = re.findall(rf"^```{suffix}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
        found[suffix] = read_policy_file(_write(tmp_path, f"p.{suffix}", block), USERS)
    assert found["toml"].rules == found["yaml"].rules
    assert found["toml"].groups == found["yaml"].groups
    assert len(found["toml"].rules) == 2
    for kind, bit in KINDS.items():
        assert f"`{kind}` {bit}" in page
    for struct in STRUCTS.values():
        assert f"\n{struct.to_text()}\n" in page


RULE = '[default."@a"]\ngroup = "g"\napprovals = 1\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "x: expected one of the keys groups, default, models"),
        ("groups = 3", "groups: expected a table, got 3"),
        ("[groups]\ng = []", "groups.g: expected a list of names and addresses"),
        ("[groups]\ng = [3]", r"groups.g\[0\]: expected a name or an address; write 0x… in quotes"),
        ('[groups]\ng = ["mallory"]', r"groups.g\[0\]: no address is bound to the user 'mallory'"),
        ('[groups]\ng = ["0x12"]', r"groups.g\[0\]: expected 20 bytes of hex, got 1"),
        ('[groups]\ng = ["bob", "bob"]', r"groups.g\[1\]: 0x\w+ is a member already"),
        (f'[groups]\ng = ["0x{"00" * 20}"]', r"groups.g\[0\]: expected an address of somebody"),
        (RULE, "default.\"@a\".group: expected the name of a group \\(known: none\\), got 'g'"),
        ('[groups]\ng = ["bob"]\n' + RULE.replace("1", "2"), "2 can never be reached: the group"),
        ('[groups]\ng = ["bob"]\n' + RULE.replace("1", "0"), "approvals: expected a whole number"),
        ('[groups]\ng = ["bob"]\n' + RULE.replace("1", "true"), "approvals: expected a whole"),
        ('[groups]\ng = ["bob"]\n' + RULE + 'expiry = "soon"', "expiry: expected a duration"),
        ('[groups]\ng = ["bob"]\n' + RULE + 'expiry = "9999w"', "at most 100 years"),
        ('[groups]\ng = ["bob"]\n' + RULE + 'min_delay = "8d"', "min_delay: expected less than"),
        ('[groups]\ng = ["bob"]\n' + RULE + 'evidence = ["gossip"]', "no kind of evidence; known"),
        ('[groups]\ng = ["bob"]\n' + RULE + "evidence = 1", "evidence: expected a list of run"),
        ('[groups]\ng = ["bob"]\n' + RULE + "aprovals = 1", 'default."@a".aprovals: expected one'),
        ('[groups]\ng = ["bob"]\n' + RULE.replace("@a", "a"), "default.\"a\": 'a' is no target"),
        ('[groups]\ng = ["bob"]\n' + RULE + RULE.replace("@a", "alias:a"), "stands there twice"),
        ('[models."a/b/c"]\n', "models.a/b/c: expected a model's name, or workspace/name"),
        ("[groups\n", "it is no TOML"),
    ],
)
def test_a_mistake_is_named_with_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    path = _write(tmp_path, "policy.toml", text)
    with pytest.raises(InvalidPolicyFile, match=message) as caught:
        read_policy_file(path, USERS)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("groups: {a: [bob], a: [carol]}", "line 1: the key 'a' stands there twice"),
        (f"groups: {{a: [{HEX}]}}", "write 0x… in quotes"),
        ("groups: [", "it is no YAML"),
        ("a: !!python/object/apply:os.system [x]", "it is no YAML"),
        ("3: 4", "expected a table"),
    ],
)
def test_a_mistake_in_yaml_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = _write(tmp_path, "policy.yml", text)
    with pytest.raises(InvalidPolicyFile, match=message):
        read_policy_file(path, USERS)


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidPolicyFile, match="can't be read"):
        read_policy_file(tmp_path / "none.toml", USERS)
    with pytest.raises(InvalidPolicyFile, match=r"ends with \.toml"):
        read_policy_file(_write(tmp_path, "policy.json", "{}"), USERS)
    (tmp_path / "latin.toml").write_bytes(b"\xe4")
    with pytest.raises(InvalidPolicyFile, match="UTF-8"):
        read_policy_file(tmp_path / "latin.toml", USERS)


def _plan(office: Office, folder: Path, text: str) -> PolicyPlan:
    client = office.client
    file = read_policy_file(_write(folder, "policy.toml", text), client.users())
    state = client.state()
    return plan_policies(file, state, client.salt, {"fraud": FRAUD}, client.lookup(state))


def test_a_plan_is_the_difference_and_once_applied_nothing(office: Office, tmp_path: Path) -> None:
    plan = _plan(office, tmp_path, TOML)
    group = office.client.group_id("risk")
    assert plan.lines() == [
        f"add {HEX} to risk",
        "set policy of every model alias:champion: 2 of risk, earliest after 1 h, open for 7 d, "
        "with evidence run, evaluation (was: 2 of risk, earliest after 0 s, open for 1 d)",
        "set policy of fraud stage:Production: 1 of risk, earliest after 0 s, open for 7 d",
        f"remove dave ({to_hex(DAVE.address())}) from risk",
    ]
    told: list[str] = []
    apply_plan(office.client, plan, progress=lambda step, _: told.append(step.action))
    assert told == ["add_approver", "set_policy", "set_policy", "remove_approver"]
    assert _plan(office, tmp_path, TOML).is_empty
    members = office.client.state().members(group)
    assert members == (BOB.address(), CAROL.address(), STRANGER.address())
    assert all(result == Done() for result in apply_plan(office.client, plan))
    model = office.client.model_id(FRAUD)
    policy = office.client.contract.policy(model, office.client.target_id("stage:Production"))
    assert not policy.is_default


def test_what_a_file_does_not_name_is_taken_away(office: Office, tmp_path: Path) -> None:
    plan = _plan(office, tmp_path, "")
    assert [step.action for step in plan.steps] == [
        "clear_policy", "remove_approver", "remove_approver", "remove_approver",
    ]  # fmt: skip
    assert plan.lines()[0].startswith("take policy away of every model alias:champion (was: 2 of")
    apply_plan(office.client, plan)
    target = office.client.target_id(CHAMPION)
    assert office.client.contract.policy(ANY_MODEL, target).policy is None
    assert _plan(office, tmp_path, "").is_empty


def test_an_unknown_model_is_refused_before_anything_is_sent(
    office: Office, tmp_path: Path
) -> None:
    text = TOML.replace('"fraud"', '"ghost"')
    with pytest.raises(InvalidPolicyFile, match=r'models\."ghost": there is no such registered'):
        _plan(office, tmp_path, text)


def test_a_group_has_64_seats_for_ever(office: Office, tmp_path: Path) -> None:
    people = ", ".join(f'"0x{number:040x}"' for number in range(1, 63))
    with pytest.raises(InvalidPolicyFile, match="set up a group of another name"):
        _plan(office, tmp_path, f"[groups]\nrisk = [{people}]")


def test_names_are_only_what_the_owner_has_signed(office: Office) -> None:
    deployment, log = office.chain.deployment, office.log
    known = bindings(log, deployment)
    assert known["bob"] == BOB.address()
    from chain_client.errors import InvalidInput
    from chain_client.events import Json, Subject

    with pytest.raises(InvalidInput, match="bound by the deployment's owner"):
        bind(office.records, deployment, STRANGER, "bob", STRANGER.address())
    forged: dict[str, Json] = {
        "deployment": deployment.deployment_id,
        "user": "bob",
        "account": HEX,
        "time_us": 2**60,
        "signature": "0x" + "11" * 65,
    }
    office.records.note("user.bound", Subject("", "user", "bob"), forged)
    office.records.note("user.bound", Subject("", "user", "x"), {"user": 3})
    assert bindings(log, deployment) == known


def test_a_name_may_be_bound_anew_and_released(office: Office) -> None:
    deployment = office.chain.deployment
    bind(office.records, deployment, office.owner, "bob", STRANGER.address())
    assert office.client.resolve("bob") == STRANGER.address()
    bind(office.records, deployment, office.owner, "bob", None)
    with pytest.raises(UnknownName, match="no address is bound to the user 'bob'"):
        office.client.resolve("bob")
    assert office.client.resolve(HEX) == STRANGER.address()


@pytest.mark.parametrize("name", ["", "0x12", "a\nb", "x" * 256])
def test_what_is_no_name_is_not_bound(office: Office, name: str) -> None:
    from chain_client.errors import InvalidInput

    with pytest.raises(InvalidInput, match="expected a printable name"):
        bind(office.records, office.chain.deployment, office.owner, name, Address(b"\x01" * 20))
