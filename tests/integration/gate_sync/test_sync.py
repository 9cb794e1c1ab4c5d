"""After a promotion on chain, MLflow has it too: alias, stage and tags, and nothing else."""

from __future__ import annotations

import json

import pytest

from chain_client.cli import cli
from chain_client.ledger.model_registry_values import ProposalStatus
from chain_client.types import to_hex
from tests.governed import ALICE, BOB, BREAKER, CAROL
from tests.integration.gate_sync.people import CHAMPION, PRODUCTION, People
from tests.recorded_database import Recorded


def test_a_promotion_reaches_the_alias_and_the_tags(people: People) -> None:
    document = people.promote(1)
    report = people.client.sync()
    assert report.troubles == []
    assert [(found.target, found.version, found.found) for found in report.set] == [
        (CHAMPION, 1, ())
    ]
    assert people.targets() == {CHAMPION: (1,)}
    tags = people.tags(1)
    assert tags.pop("promoted_at").endswith("Z")
    assert tags == {
        "target": CHAMPION,
        "proposal": to_hex(document.id),
        "approvals": f"2 of 2: {to_hex(ALICE.address())}, bob",
        "digest": to_hex(document.names.digest),
    }
    assert people.findings() == []


def test_a_second_pass_writes_nothing(people: People) -> None:
    people.promote(1)
    people.client.sync()
    report = people.client.sync()
    assert (report.set, report.tagged, report.troubles) == ([], [], [])
    assert len(people.events("registered_model.alias_set")) == 1
    assert len(people.events("model_version.tag_set")) == 5


def test_what_has_its_quorum_is_promoted_by_the_submitter(people: People) -> None:
    document = people.propose(2, PRODUCTION)
    people.approve(document)
    report = people.client.sync(dry_run=True)
    assert report.promoted == [document.id]
    assert people.client.model_registry.proposal(document.id).status is ProposalStatus.OPEN
    assert people.client.sync().promoted == [document.id]
    assert people.targets() == {PRODUCTION: (2,)}


def test_a_proposal_that_lacks_an_approval_or_time_is_left(people: People) -> None:
    lacking = people.propose(1)
    people.approve(lacking, ALICE)
    people.set_policy(PRODUCTION, min_delay_s=3600)
    early = people.propose(2, PRODUCTION)
    people.approve(early)
    report = people.client.sync()
    assert (report.promoted, report.troubles) == ([], [])
    made_s = people.client.model_registry.proposal(early.id).made_at_s
    assert report.due_s == made_s + 3600
    assert people.targets() == {}


def test_the_next_version_takes_alias_and_tags_over(people: People) -> None:
    people.promote(1)
    people.client.sync()
    people.promote(2)
    people.client.sync()
    assert people.targets() == {CHAMPION: (2,)}
    assert people.tags(1) == {}
    assert people.tags(2)["target"] == CHAMPION
    assert people.findings() == []


def test_a_stage_holds_only_what_is_current(people: People) -> None:
    for version in (1, 2):
        people.promote(version, PRODUCTION)
        people.client.sync()
    assert people.targets() == {"stage:Archived": (1,), PRODUCTION: (2,)}
    people.remove(PRODUCTION)
    people.client.sync()
    assert people.targets() == {"stage:Archived": (1, 2)}
    assert people.tags(2) == {}
    assert people.findings() == []


def test_a_version_of_two_targets_names_both(people: People) -> None:
    people.promote(1)
    document = people.promote(1, PRODUCTION)
    assert people.client.sync().troubles == []
    assert people.tags(1)["target"] == f"{CHAMPION}, {PRODUCTION}"
    assert people.tags(1)["proposal"] == to_hex(document.id)


def test_rollback_removal_and_broken_glass_arrive(people: People) -> None:
    first = people.promote(1)
    people.client.sync()
    people.break_glass(2)
    people.client.sync()
    assert people.targets() == {CHAMPION: (2,)}
    assert people.tags(2)["approvals"] == f"broke glass: {to_hex(BREAKER.address())}"
    people.rollback(first)
    people.client.sync()
    assert people.targets() == {CHAMPION: (1,)}
    carol = to_hex(CAROL.address())
    assert people.tags(1)["approvals"] == f"2 of 2: {to_hex(ALICE.address())}, {carol}"
    people.remove()
    people.client.sync()
    assert people.targets() == {}
    assert people.tags(1) == {}
    assert people.findings() == []


def test_a_target_that_the_chain_never_decided_is_left(people: People, recorded: Recorded) -> None:
    recorded.edit(
        "insert into registered_model_aliases (name, alias, version) values (?, 'champion', 3)",
        people.name,
    )
    people.promote(1, PRODUCTION)
    people.client.sync()
    assert people.targets() == {CHAMPION: (3,), PRODUCTION: (1,)}


def test_what_was_moved_past_the_gate_is_set_back_and_kept_in_mind(
    people: People, recorded: Recorded
) -> None:
    people.promote(1)
    people.client.sync()
    recorded.edit("update registered_model_aliases set version = 2 where name = ?", people.name)
    assert people.client.sync(dry_run=True).set[0].was_moved
    assert people.targets() == {CHAMPION: (2,)}
    report = people.client.sync()
    assert [(found.found, found.was_moved) for found in report.set] == [((2,), True)]
    assert people.targets() == {CHAMPION: (1,)}
    assert people.alarms() == ["target_moved"]
    moved = people.events("target.moved")
    assert [(e.payload["found"], e.payload["expected"]) for e in moved] == [([2], 1)]


@pytest.mark.parametrize("statement", ["set value = '9 of 9: me'", "set key = 'mlops_chain.note'"])
def test_a_tag_that_lies_is_set_right(people: People, recorded: Recorded, statement: str) -> None:
    people.promote(1)
    people.client.sync()
    expected = people.tags(1)
    where = "where key = 'mlops_chain.approvals' and name = ?"
    recorded.edit(f"update model_version_tags {statement} {where}", people.name)
    assert people.client.sync().tagged == [f"{people.name} version 1"]
    assert people.tags(1) == expected


def test_changed_files_are_refused_and_alarmed_and_stop_nothing_else(
    people: People,
) -> None:
    people.promote(1)
    people.promote(2, PRODUCTION)
    (people.files / "1" / "model.txt").write_text("poison")
    report = people.client.sync()
    assert people.targets() == {PRODUCTION: (2,)}
    assert [trouble.subject for trouble in report.troubles] == [f"{people.name} {CHAMPION}"]
    assert people.tags(1) == {}
    assert people.alarms() == ["sync"]
    (people.files / "1" / "model.txt").write_text("weights 1")
    people.remove()
    assert people.client.sync().troubles == []
    assert people.alarms() == []


def test_models_of_nobody_here_are_counted_and_passed_over(
    people: People, recorded: Recorded
) -> None:
    people.promote(1)
    before = people.client.sync(dry_run=True).foreign
    statement = "update registered_models set creation_time = creation_time + 1 where name = ?"
    recorded.edit(statement, people.name)
    report = people.client.sync()
    assert (report.foreign, report.set, report.troubles) == (before + 1, [], [])
    assert people.targets() == {}
    # The home is shared: for the tests that follow it is here again.
    recorded.edit(statement.replace("+ 1", "- 1"), people.name)
    assert people.client.sync().foreign == before


def test_a_promotion_by_somebody_else_at_the_same_time_is_success(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chain_client.sync.syncing import Syncer

    document = people.propose(1)
    people.approve(document)
    send = Syncer._send

    def late(self: Syncer, call: object, action: str) -> object:
        people.registry.promote(document)
        return send(self, call, action)  # type: ignore[arg-type]

    monkeypatch.setattr(Syncer, "_send", late)
    report = people.client.sync()
    assert (report.promoted, report.troubles) == ([document.id], [])
    assert people.targets() == {CHAMPION: (1,)}


def test_a_member_that_left_approved_nothing(people: People) -> None:
    for key in (ALICE, BOB, CAROL):
        people.registry.add_approver("audit", key.address(), signer=people.owner)
    people.set_policy(CHAMPION, group="audit")
    document = people.propose(1)
    people.approve(document, ALICE, BOB)
    people.registry.remove_approver("audit", BOB.address(), signer=people.owner)
    assert people.client.sync().promoted == []
    people.approve(document, CAROL)
    assert people.client.sync().promoted == [document.id]
    alice, carol = to_hex(ALICE.address()), to_hex(CAROL.address())
    assert people.tags(1)["approvals"] == f"2 of 2: {alice}, {carol}"


def test_the_command_says_what_it_would_do_and_what_it_could_not(
    people: People, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> tuple[int, str]:
        home = str(people.client.home)
        code = cli(["--home", home, "sync", *words], standalone_mode=False)
        return int(code or 0), capsys.readouterr().out

    people.promote(1)
    code, out = run("--dry-run", "--json")
    wanted = [found for found in json.loads(out)["set"] if found["model"] == people.name]
    assert code == 0
    assert [(w["target"], w["version"], w["found"]) for w in wanted] == [(CHAMPION, 1, [])]
    assert people.targets() == {}
    (people.files / "1" / "model.txt").write_text("poison")
    code, out = run()
    assert code == 2
    assert f"not done {people.name} {CHAMPION}" in out.replace("\n", " ")
    assert "equal to the chain" not in out
    (people.files / "1" / "model.txt").write_text("weights 1")
    people.remove()
    code, out = run()
    assert (code, out.strip()) == (0, "MLflow is equal to the chain; nothing was to be done")
