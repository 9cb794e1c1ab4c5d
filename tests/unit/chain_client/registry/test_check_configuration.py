"""Which checks count: what who administers the registry has signed at last, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain_client.errors import InvalidInput, InvalidPolicyFile, PromotionDenied
from chain_client.events import Json, Subject
from chain_client.ledger.model_registry import ANY_MODEL
from chain_client.log.schema import payloads
from chain_client.registry.administration import Noted
from chain_client.registry.check_configuration import (
    CHECKS_APPLIED,
    ConfiguredCheck,
    hash_checks,
    note_applied,
)
from chain_client.registry.client import Done
from chain_client.registry.evidence import to_kinds
from chain_client.registry.policies import apply_plan, plan_policies
from chain_client.registry.policy_files import read_policy_file
from chain_client.signing import Signer
from chain_client.signing.eip712 import Domain
from chain_client.types import Address, to_hex
from tests.unit.chain_client.registry.office import ALICE, CHAMPION, FRAUD, STRANGER, Office

BETTER = ConfiguredCheck("better", "promotion-checks", {"metric": "auc", "at_least": 0.8})
WEAK = replace(BETTER, configuration={"metric": "auc", "at_least": 0.1})
FILE = """
[groups]
risk = ["bob", "carol", "dave"]
[default."@champion"]
group = "risk"
approvals = 2
expiry = "1d"
checks = ["better"]
[checks.better]
plugin = "promotion-checks"
metric = "auc"
at_least = 0.8
"""


def plan(office: Office, folder: Path, text: str) -> Any:
    client, path = office.client, folder / "policy.toml"
    path.write_text(text)
    file = read_policy_file(path, client.users())
    state = client.state()
    return plan_policies(
        *(file, state, client.salt, {"fraud": FRAUD}, client.lookup(state)),
        client.applied_checks(),
    )


def note(
    office: Office, signer: Signer, check: ConfiguredCheck, time_us: int, **other: Any
) -> None:
    client = office.client
    note_applied(
        office.records,
        other.get("deployment_id", client.deployment.deployment_id),
        other.get("domain", client.domain),
        signer,
        (ANY_MODEL, client.target_id(CHAMPION)),
        (check,),
        time_us,
        other.get("log_size", client._log.size()),
    )


def required(office: Office) -> tuple[ConfiguredCheck, ...]:
    client = office.client
    found = client.required_checks(client.model_id(FRAUD), client.target_id(CHAMPION))
    assert found is not None
    return found.checks


def test_a_plan_applies_checks_before_the_policy_that_demands_them(
    office: Office, tmp_path: Path
) -> None:
    client = office.client
    place = client.model_id(FRAUD), client.target_id(CHAMPION)
    assert client.required_checks(*place) is None
    first = plan(office, tmp_path, FILE)
    assert [step.action for step in first.steps] == ["apply_checks", "set_policy"]
    assert first.lines()[0] == (
        "check for every model alias:champion: better by plugin promotion-checks with "
        '{"at_least": 0.8, "metric": "auc"}'
    )
    assert [type(one) for one in apply_plan(client, first)] == [Noted, Done]
    in_force = client.contract.policy(*place).policy
    assert in_force is not None
    assert to_kinds(in_force.evidence_kinds) == ("checks",)
    assert required(office) == (BETTER,)
    assert plan(office, tmp_path, FILE).is_empty
    (step,) = plan(office, tmp_path, FILE.replace("0.8", "0.9")).steps
    assert "[changed]" in step.text
    last = plan(office, tmp_path, FILE.partition("checks =")[0])
    assert [step.action for step in last.steps] == ["set_policy", "clear_checks"]
    apply_plan(client, last)
    assert client.required_checks(*place) is None
    assert plan(office, tmp_path, FILE.partition("checks =")[0]).is_empty


def test_only_what_an_admin_signed_for_this_registry_counts(office: Office, tmp_path: Path) -> None:
    client = office.client
    place = ANY_MODEL, client.target_id(CHAMPION)
    with pytest.raises(InvalidInput, match="checks are applied by who administers the registry"):
        client.apply_checks(place, (WEAK,), signer=ALICE)
    apply_plan(client, plan(office, tmp_path, FILE))
    later = client.applied_checks()[place].time_us + 1_000_000
    size = client._log.size()
    note(office, ALICE, WEAK, later)
    note(office, office.owner, WEAK, later, deployment_id="another")
    elsewhere = Domain(client.domain.chain_id, Address(b"\x77" * 20))
    note(office, office.owner, WEAK, later, domain=elsewhere)
    # What the owner had signed once, put there again, is older than what counts, whatever its
    # clock said; and nobody knew a log that was longer than it is.
    note(office, office.owner, WEAK, later, log_size=0)
    note(office, office.owner, WEAK, later, log_size=2**53 - 1)
    # Nor does what is signed for a time that is far away.
    note(office, office.owner, WEAK, 2**52)
    # A signature holds for no other content.
    changes: tuple[dict[str, Json], ...] = (
        {"time_us": later},
        {"log_size": size},
        {"checks": [WEAK.to_json()]},
        {"model": "0x" + "11" * 32},
        {"checks": "none", "signature": None},
    )
    for changed in changes:
        payload: dict[str, Json] = {
            "deployment": client.deployment.deployment_id,
            "model": to_hex(place[0]),
            "target": to_hex(place[1]),
            "checks": [BETTER.to_json()],
            "time_us": 7,
            "log_size": 0,
            "signature": "0x" + "11" * 65,
        }
        subject = Subject("", "checks", "x")
        office.records.note(CHECKS_APPLIED, subject, {**payload, **changed})
    assert required(office) == (BETTER,)


def test_no_older_configuration_comes_back_when_an_admin_leaves(
    office: Office, tmp_path: Path
) -> None:
    client = office.client
    place = ANY_MODEL, client.target_id(CHAMPION)
    apply_plan(client, plan(office, tmp_path, FILE.replace("0.8", "0.1")))
    client.grant_role("admin", STRANGER.address())
    assert client.apply_checks(place, (BETTER,), signer=STRANGER) == Noted()
    assert required(office) == (BETTER,)
    client.revoke_role("admin", STRANGER.address())
    with pytest.raises(PromotionDenied, match="who administers the registry no more"):
        required(office)
    # The same again by the owner is something else, although nothing of it differs.
    assert plan(office, tmp_path, FILE).lines()[0].startswith("check for every model")
    assert client.apply_checks(place, (BETTER,)) == Noted()
    assert client.apply_checks(place, (BETTER,)) == Done()
    assert required(office) == (BETTER,)
    # Who has left has signed far ahead, which stops nobody.
    for ahead_us in (2**52, 10**15):
        note(office, STRANGER, WEAK, time.time_ns() // 1000 + ahead_us)
    assert required(office) == (BETTER,)


@pytest.mark.parametrize("how", ["removed", "damaged", "edited", "no seed"])
def test_what_can_t_be_read_any_more_brings_no_older_configuration_back(
    office: Office, tmp_path: Path, how: str
) -> None:
    client = office.client
    place = ANY_MODEL, client.target_id(CHAMPION)
    apply_plan(client, plan(office, tmp_path, FILE.replace("0.8", "0.1")))
    weak = client.applied_checks()[place]
    assert client.apply_checks(place, (BETTER,)) == Noted()
    strict = client.applied_checks()[place]
    assert weak.index is not None
    assert strict.index is not None
    damages: dict[str, dict[str, Any]] = {
        "removed": {"event": None},
        "damaged": {"event": b""},
        "edited": {"event": payloads_of(office, weak.index)["event"]},
        "no seed": {"seed": None},
    }
    with client._log.engine.begin() as connection:
        connection.execute(
            payloads.update().where(payloads.c.log_index == strict.index).values(damages[how])
        )
    with pytest.raises(PromotionDenied, match=f"entry {strict.index} of the log, which says"):
        required(office)
    assert client.applied_checks() == {}
    # Nor does it come back by being put there once more.
    note(office, office.owner, WEAK, weak.time_us, log_size=weak.log_size)
    with pytest.raises(PromotionDenied, match=f"entry {strict.index} of the log, which says"):
        required(office)
    assert not plan(office, tmp_path, FILE).is_empty
    apply_plan(client, plan(office, tmp_path, FILE))
    assert required(office) == (BETTER,)


def payloads_of(office: Office, index: int) -> Mapping[str, Any]:
    with office.client._log.engine.connect() as connection:
        found = connection.execute(payloads.select().where(payloads.c.log_index == index))
        return dict(found.mappings().one())


def test_a_policy_whose_checks_nobody_configured_lets_nothing_be_proposed(office: Office) -> None:
    client = office.client
    place = client.model_id(FRAUD), client.target_id(CHAMPION)
    in_force = client.contract.policy(*place).policy
    assert in_force is not None
    client.set_policy(None, CHAMPION, replace(in_force, evidence_kinds=1 << 9))
    with pytest.raises(PromotionDenied, match="no configuration of them that an admin has signed"):
        client.required_checks(*place)
    office.register()
    with pytest.raises(InvalidInput, match="evidence that is missing: checks"):
        office.write()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('checks = ["better"]', 'checks = "better"'), r"checks: expected a list of names"),
        (('checks = ["better"]', 'checks = ["worse"]'), r"names of checks \(known: better\), got"),
        (('checks = ["better"]', 'evidence = ["checks"]'), "the names of the checks under checks"),
        (('checks = ["better"]', ""), r"checks.better: expected a rule that lists it"),
        (('plugin = "promotion-checks"', ""), "checks.better.plugin: expected the name of a pl"),
        (("at_least = 0.8", "at_least = nan"), "checks.better: at_least: expected a text, a num"),
        (("at_least = 0.8", "at_least = 2026-01-01"), "true, false, a list or a table, got date"),
        (('"promotion-checks"', '"a\\nb"'), "checks.better: plugin: expected 1 to 100 printable"),
    ],
)
def test_a_mistake_about_checks_is_named(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(FILE.replace(*change))
    users = {name: Address(bytes([n] * 20)) for n, name in enumerate(("bob", "carol", "dave"), 1)}
    with pytest.raises(InvalidPolicyFile, match=message):
        read_policy_file(path, users)


def test_the_hash_is_of_all_that_was_configured() -> None:
    assert hash_checks((BETTER,)) != hash_checks((WEAK,)) != hash_checks(())
    assert BETTER.hash != replace(BETTER, plugin="other").hash
    assert ConfiguredCheck.from_json(BETTER.to_json()) == BETTER
