"""What ``--json`` prints and what docs/reference/cli.md says that it prints are the same.

The fixture of this folder sees in every test that nothing is printed that is not documented; here
nothing is documented that is not printed, on a home that has some of everything.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from chain_client.checks import CheckFinding
from chain_client.cli import cli
from chain_client.events import Actor
from chain_client.ledger.model_registry_values import ANY_MODEL
from chain_client.registry import documents
from chain_client.registry.check_configuration import ConfiguredCheck, hash_checks, note_applied
from chain_client.registry.check_reports import CheckReport, CheckResult
from chain_client.registry.drafts import Draft, note_draft
from chain_client.registry.evidence import to_mask
from chain_client.types import Digest
from tests.closing import everything_closed
from tests.unit.chain_client.cli.documented import documented, undocumented, unprinted
from tests.unit.chain_client.registry.office import ALICE, CHAMPION, DIGEST, FRAUD, Office

Run = Callable[..., tuple[int, str, str]]
CHECK = ConfiguredCheck("tags", "acme-tags", {"wanted": "owner"})
UNGROUPED = {name for name, command in cli.commands.items() if not isinstance(command, click.Group)}
WARNED = CheckFinding("warn", "the version has no tag 'owner'", {"tag": "owner"})


@pytest.fixture(scope="module")
def busy_home(founded_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with checks, a current version, a proposal that was checked, a draft, an alarm."""
    path = tmp_path_factory.mktemp("busy") / "home"
    shutil.copytree(founded_home, path)
    with everything_closed():
        office = Office(path)
        office.govern()
        office.promote(1)
        _demand_checks(office)
        _propose_checked(office, 2)
        draft = Draft("3f9a" * 4, FRAUD.store_id, "", "fraud", 9, CHAMPION, "who", Actor())
        note_draft(office.records, draft)
        office.log.raise_alarm("in_doubt", "a call", "nobody knows how it ended")
    return path


def _demand_checks(office: Office) -> None:
    """The policy demands checks from now on, and an admin says which."""
    office.govern(evidence_kinds=to_mask(["checks"]))
    client, chain = office.client, office.chain
    place = (ANY_MODEL, client.target_id(CHAMPION))
    note_applied(
        *(office.records, chain.deployment_id, client.domain, office.owner, place, [CHECK]),
        *(office.clock.time_us(), office.log.size()),
    )


def _propose_checked(office: Office, version: int) -> None:
    client, chain = office.client, office.chain
    model, target = client.model_id(FRAUD), client.target_id(CHAMPION)
    result = CheckResult(CHECK.name, CHECK.plugin, "acme", "1.0", CHECK.hash, (WARNED,))
    policy_hash = client.contract.policy(model, target).policy_hash
    report = CheckReport(
        *(chain.deployment_id, model, target, version, DIGEST, ALICE.address(), policy_hash),
        *(Digest(secrets.token_bytes(32)), hash_checks([CHECK]), 1, (result,)),
    )
    documents.note_report(office.records, FRAUD.store_id, report, Actor())
    office.propose(version, checks=report)


@pytest.mark.parametrize(
    ("words", "beyond"),
    [
        (("alarm", "list"), ()),
        (("approvals",), ()),
        (("doctor",), ()),
        (("draft", "list"), ()),
        (("draft", "show", "3f9a"), ()),
        (("key", "address", "owner"), ()),
        (("key", "list"), ()),
        (("model", "history", "fraud"), ()),
        (("model", "list"), ()),
        (("model", "show", "fraud"), ()),
        (("plugins", "list"), ()),
        (("policy", "show"), ()),
        (("role", "list"), ("waiting",)),
        (("status",), ("stores", "payloads", "cross", "observers")),
        (("tx", "list", "--all"), ()),
        (("tx", "show", "1"), ()),
        (("user", "list"), ()),
    ],
    ids=" ".join,
)
def test_what_is_documented_is_printed(
    mlops_chain: Run, busy_home: Path, words: tuple[str, ...], beyond: tuple[str, ...]
) -> None:
    """All but what is ``beyond`` this home: no timelock, no database, no relay."""
    out = mlops_chain("--home", busy_home, *words, "--json")[1]
    name = " ".join(words[: 1 if words[0] in UNGROUPED else 2])
    paths = unprinted(json.loads(out), documented(name))
    assert {path.partition(".")[0] for path in paths} == set(beyond)


def _commands(group: click.Group, before: tuple[str, ...] = ()) -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, (*before, name))
        elif any("--json" in option.opts for option in command.params):
            yield " ".join((*before, name))


def test_the_members_of_every_command_are_named() -> None:
    assert isinstance(cli, click.Group)
    commands = list(_commands(cli))
    assert "model show" in commands
    assert [name for name in commands if set(documented(name)) == {"ok"}] == []


def test_a_member_that_is_not_documented_is_found_wherever_it_is_added(
    mlops_chain: Run, busy_home: Path
) -> None:
    shown = json.loads(mlops_chain("--home", busy_home, "model", "show", "fraud", "--json")[1])
    members = documented("model show")
    assert list(undocumented(shown, members)) == []
    (model,) = shown["incarnations"]
    model["targets"][0]["open"][0]["checks"]["warnings"][0]["level"] = "warn"
    model["targets"][0]["open"][0]["checks"]["warnings"][0]["values"]["any"] = "name"
    model["versions"][0]["digest"] = "0x"
    assert list(undocumented({**shown, "format": 1}, members)) == [
        "incarnations.targets.open.checks.warnings.level",
        "incarnations.versions.digest",
        "format",
    ]
