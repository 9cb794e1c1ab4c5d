"""The life of a champion by the command line: proposed, approved, promoted, and taken back."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from chain_client.signing.recursion_limit import unchanged_recursion_limit
from chain_client.types import to_hex
from tests.integration.governance.conftest import POLICY, Site
from tests.reference_account import Account

with unchanged_recursion_limit():
    from eth_account.messages import encode_typed_data


def test_the_whole_life_of_a_champion(site: Site) -> None:
    first = site.propose(1)
    assert site.approve(first, "bob", "carol")["is_promotable"] is True
    assert site.champion() is None
    assert site.json("model", "promote", first)["status"] == "promoted"
    site.json("sync")
    assert site.champion() == "1"

    second = site.propose(2)
    site.approve(second, "carol", "bob")
    site.json("model", "promote", second)
    site.json("sync")
    assert site.champion() == "2"

    bobs = site.folder / "bobs.json"
    words = ("model", "rollback", "fraud", "--target", "@champion")
    site.json(*words, "--key", site.keys["bob"], "--yes", "--out", bobs)
    assert "1 of 2 signatures are there" in site.chain("model", "rollback", "--in", bobs, code=2)
    done = site.json("model", "rollback", "--in", bobs, "--key", site.keys["carol"], "--yes")
    assert (done["version"], len(done["signers"])) == (1, 2)
    site.json("sync")
    assert site.champion() == "1"

    revoked = site.json(
        *("model", "revoke", "fraud", 2, "--reason", "leaked data"),
        *("--key", site.keys["dora"], "--yes"),
    )
    assert revoked["still_current"] == []
    (place,) = site.json("model", "list")["models"]
    assert (place["version"], place["cause"]) == (1, "rolled_back")
    (shown,) = site.json("model", "show", "fraud")["incarnations"]
    assert [one["is_revoked"] for one in shown["versions"]] == [False, True]
    _check_history(site, first, second)


def _check_history(site: Site, first: str, second: str) -> None:
    told = site.json("model", "history", "fraud", "--target", "@champion")["history"]
    short = [(one["what"], one["name"], one["meaning"], one["version"]) for one in told]
    assert short == [
        ("policy set", None, None, None),
        ("promotion proposed", "ada", "authorship", 1),
        ("proposal approved", "bob", "approval", 1),
        ("proposal approved", "carol", "approval", 1),
        ("version promoted", None, None, 1),
        ("promotion proposed", "ada", "authorship", 2),
        ("proposal approved", "carol", "approval", 2),
        ("proposal approved", "bob", "approval", 2),
        ("version promoted", None, None, 2),
        ("rollback approved", "bob", "rollback", None),
        ("rollback approved", "carol", "rollback", None),
        ("version rolled back to", None, None, 1),
    ]
    assert [one["proposal"] for one in told[1:5]] == [first] * 4
    assert [one["proposal"] for one in told[5:9]] == [second] * 4
    blocks = [one["block"] for one in told]
    assert blocks == sorted(blocks)
    assert all(re.fullmatch("0x[0-9a-f]{64}", one["transaction"]) for one in told)
    whole = site.json("model", "history", "fraud")["history"]
    (revoked,) = [one for one in whole if one["what"] == "version revoked"]
    assert (revoked["name"], revoked["detail"]) == ("dora", "reason: leaked data")
    text = site.chain("model", "history", "fraud")
    assert "proposal approved: version 2 for alias:champion" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_history_needs_no_mlflow(site: Site) -> None:
    proposal = site.propose(1)
    site.store.engine.dispose()
    (site.folder / "mlflow.db").rename(site.folder / "away.db")
    told = site.json("model", "history", "fraud", "--proposal", proposal[:14])["history"]
    assert [one["what"] for one in told] == ["promotion proposed"]
    assert not (site.folder / "mlflow.db").exists()


def test_a_foreign_wallet_signs_and_anybody_submits(site: Site) -> None:
    wallet: Any = Account.from_key(b"\x17" * 32)
    site.chain("user", "bind", "erin", wallet.address)
    policy = site.folder / "policy.toml"
    policy.write_text(POLICY.format(members='["bob", "carol", "erin"]'))
    site.chain("policy", "apply", policy, "--yes")
    proposal = site.propose(1)
    asked = site.folder / "asked.json"
    assert site.json("model", "approve", proposal, "--out", asked)["signed"] is False
    typed = json.loads(asked.read_text())["typedData"]
    signature = wallet.sign_message(encode_typed_data(full_message=typed)).signature
    words = ("model", "approve", "--in", asked)
    assert "is not signed" in site.chain(*words, code=2)
    other: Any = Account.from_key(b"\x18" * 32)
    wrong = other.sign_message(encode_typed_data(full_message=typed)).signature
    assert "NotApprover" in site.chain(*words, "--signature", to_hex(wrong), code=2)
    found = site.json(*words, "--signature", to_hex(signature))
    assert found["approved_by"] == [wallet.address.lower()]
    document = json.loads(asked.read_text())
    (site.folder / "signed.json").write_text(
        json.dumps({**document, "signature": to_hex(signature)})
    )
    again = site.json("model", "approve", "--in", site.folder / "signed.json")
    assert (again["approvals"], again["transactions"]) == (1, [])


@pytest.mark.parametrize("name", ["ada", "dora"])
def test_who_may_not_approve_is_told_who_may(site: Site, name: str) -> None:
    proposal = site.propose(1)
    words = ("model", "approve", proposal, "--key", site.keys[name], "--yes")
    said = site.chain(*words, code=2)
    assert name in said
    assert "0 of 2 approvals; bob, carol may still approve; expires in" in said
    assert site.json("approvals")["waiting"][0]["approvals"] == 0


def test_a_proposal_without_its_quorum_is_not_promoted_and_waiting_for_it_ends(
    site: Site,
) -> None:
    proposal = site.propose(1)
    site.approve(proposal, "bob")
    said = site.chain("model", "promote", proposal, code=2)
    assert "1 of 2 approvals; carol may still approve" in said
    said = site.chain("model", "promote", proposal, "--wait", "--timeout", "0", code=2)
    assert "waited 0 s: 1 of 2 approvals" in said
    site.approve(proposal, "carol")
    assert site.json("model", "promote", proposal, "--wait")["status"] == "promoted"


def test_an_inbox_holds_what_its_owner_may_still_approve(site: Site) -> None:
    proposal = site.propose(1)
    mine = site.json("approvals", "--mine", "--key", site.keys["bob"])["waiting"]
    assert [one["proposal"] for one in mine] == [proposal]
    assert mine[0]["requester_name"] == "ada"
    assert mine[0]["expires_in_s"] > 0
    site.approve(proposal, "bob")
    assert site.json("approvals", "--mine", "--address", "bob")["waiting"] == []
    text = site.chain("approvals", "--address", site.addresses["carol"])
    assert f"{proposal[2:14]}  fraud 1 → alias:champion" in text
    assert "1 of 2 approvals; carol may still approve" in text
    assert "nothing waits for ada" in site.chain("approvals", "--address", "ada")


def test_reviews_count_towards_nothing_and_rejections_close_with_their_reason(site: Site) -> None:
    proposal = site.propose(1)
    words = ("model", "review", proposal, "--key", site.keys["bob"], "--yes")
    found = site.json(*words)
    assert (found["approvals"], found["reviewed_by"]) == (0, [site.addresses["bob"]])
    words = ("model", "reject", proposal, "--key", site.keys["carol"], "--yes")
    assert "give --reason" in site.chain(*words, code=2)
    assert site.json(*words, "--reason", "fails on leap days")["status"] == "rejected"
    told = site.json("model", "history", "fraud", "--proposal", proposal)["history"]
    assert [(one["what"], one["name"], one["detail"]) for one in told][1:] == [
        ("proposal reviewed", "bob", None),
        ("proposal rejected", "carol", "reason: fails on leap days"),
    ]
    assert "rejected" in site.chain("model", "promote", proposal, code=2)
    again = site.propose(1, "--supersedes", proposal)
    assert again != proposal
    words = ("model", "withdraw", again, "--key", site.keys["ada"], "--yes")
    assert site.json(*words)["status"] == "withdrawn"


def test_the_same_is_not_proposed_twice_by_mistake(site: Site) -> None:
    proposal = site.propose(1)
    words = ("model", "propose", "fraud", 1, "--target", "@champion", "--key", site.keys["ada"])
    said = site.chain(*words, "--yes", code=2)
    assert "is proposed for alias:champion already, by ada" in said
    assert proposal[2:14] in said
    assert site.propose(1, "--again") != proposal


def test_a_requesters_wallet_signs_elsewhere_too(site: Site) -> None:
    asked, signed = site.folder / "ask.json", site.folder / "asked.json"
    words: tuple[Any, ...] = (
        "model",
        "propose",
        "fraud",
        1,
        "--target",
        "@champion",
        "--requester",
        "ada",
    )
    assert "--out FILE and --requester" in site.chain(*words, code=2)
    assert site.json(*words, "--out", asked)["meaning"] == "authorship"
    words = ("model", "propose", "--in", asked, "--key", site.keys["ada"], "--offline", "--yes")
    site.chain(*words, "--out", signed)
    assert site.json("model", "propose", "--in", signed)["status"] == "open"
    assert "means authorship" in site.chain("model", "approve", "--in", signed, code=2)


def test_changed_files_can_not_be_proposed_again(site: Site) -> None:
    proposal = site.propose(1)
    site.chain("model", "withdraw", proposal, "--key", site.keys["ada"], "--yes")
    (site.folder / "files/1/.gitignore").write_text("*")
    words = ("model", "propose", "fraud", 1, "--target", "@champion", "--key", site.keys["ada"])
    said = site.chain(*words, "--yes", code=2)
    assert "its files are not those that were registered" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nix", 1, "--target", "@champion"), "there is no registered model 'nix'"),
        (("fraud", 9, "--target", "@champion"), "9"),
        (("fraud", 1, "--target", "stage:Production"), "it is not gated"),
        (("fraud", 1, "--target", "champion"), "'champion' is no target; expected alias:<name>"),
        (("fraud", 1, "--target", "@champion", "--evidence", "odd:1"), "expected one of run"),
        (("fraud", 1), "give NAME, VERSION and --target"),
    ],
)
def test_what_can_not_be_proposed_is_said_and_not_registered(
    site: Site, words: tuple[Any, ...], said: str
) -> None:
    assert said in site.chain(
        "model", "propose", *words, "--key", site.keys["ada"], "--yes", code=2
    )
    assert site.json("model", "list")["models"] == []


def test_only_a_requester_proposes(site: Site) -> None:
    words = ("model", "propose", "fraud", 1, "--target", "@champion", "--key", site.keys["bob"])
    assert "has not the role requester" in site.chain(*words, "--yes", code=2)


def test_a_refused_caller_has_made_a_draft_that_somebody_proposes(site: Site) -> None:
    with pytest.raises(MlflowException) as refused:
        site.store.set_registered_model_alias("fraud", "champion", "1")
    assert site.champion() is None
    (draft,) = site.json("draft", "list")["drafts"]
    assert draft["id"] in str(refused.value)
    assert (draft["model"], draft["version"], draft["target"]) == ("fraud", 1, "alias:champion")
    assert "fraud 1 → alias:champion" in site.chain("draft", "list")
    assert draft["reason"] in " ".join(site.chain("draft", "show", draft["id"][:6]).split())
    found = site.json("draft", "propose", draft["id"][:6], "--key", site.keys["ada"], "--yes")
    site.approve(found["proposal"], "bob", "carol")
    site.json("model", "promote", found["proposal"])
    site.store.set_registered_model_alias("fraud", "champion", "1")
    assert site.champion() == "1"


def test_a_removal_takes_the_same_signatures(site: Site) -> None:
    proposal = site.propose(1)
    site.approve(proposal, "bob", "carol")
    site.json("model", "promote", proposal)
    site.json("sync")
    bobs = site.folder / "bobs.json"
    words = ("model", "remove", "fraud", "--target", "@champion")
    site.json(*words, "--key", site.keys["bob"], "--yes", "--out", bobs)
    done = site.json("model", "remove", "--in", bobs, "--key", site.keys["carol"], "--yes")
    assert done["version"] is None
    site.json("sync")
    assert site.champion() is None
    assert "No other version" not in site.chain("model", "list")


def test_a_breaker_acts_at_once_and_it_shows_for_ever(site: Site) -> None:
    words = ("model", "break-glass", "fraud", 2, "--target", "@champion", "--yes")
    assert "give the breaker's --key" in site.chain(*words, "--reason", "fire", code=2)
    said = site.chain(*words, "--reason", "fire", "--key", site.keys["bob"], code=2)
    assert "has not the role breaker" in said
    found = site.json(*words, "--reason", "fire", "--key", site.keys["dora"])
    assert found["status"] == "promoted"
    (place,) = site.json("model", "list")["models"]
    assert (place["version"], place["cause"]) == (2, "broke_glass")
    told = site.json("model", "history", "fraud")["history"]
    (broken,) = [one for one in told if one["what"] == "glass broken"]
    assert (broken["name"], broken["meaning"]) == ("dora", "break-glass")
    assert broken["detail"] == "reason: fire"


def test_nothing_is_signed_without_a_yes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    proposal = site.propose(1)
    words = ("model", "approve", proposal, "--key", site.keys["bob"])
    assert "--json asks nothing" in site.chain(*words, "--json", code=2)
    said: list[str] = []

    def refuse(text: str, **_: Any) -> None:
        import click

        said.append(text)
        raise click.Abort

    monkeypatch.setattr("click.confirm", refuse)
    assert "aborted" in site.chain(*words, code=2)
    assert said == [f"Sign this approval as bob ({site.addresses['bob']})?"]
    assert site.json("approvals")["waiting"][0]["approvals"] == 0


def test_without_the_chain_enough_approvers_go_back_offline(site: Site) -> None:
    for version in (1, 2):
        proposal = site.propose(version)
        site.approve(proposal, "bob", "carol")
        site.json("model", "promote", proposal)
        site.json("sync")
    chain = site.home / "chain" / "embedded.db"
    chain.rename(site.home / "away.db")
    words = ("model", "rollback", "fraud", "--target", "@champion")
    asked, files = site.folder / "rb.json", []
    site.chain(*words, "--offline", "--out", asked)
    for name in ("bob", "carol"):
        files += ["--in", site.folder / f"rb-{name}.json"]
        sign = ("model", "rollback", "--in", asked, "--key", site.keys[name], "--offline", "--yes")
        site.chain(*sign, "--out", files[-1])
    assert "1 of 2" in site.chain("model", "rollback", *files[:2], "--offline", code=2)
    accepted = site.json("model", "rollback", *files, "--offline")
    assert accepted["state"] == "pending"
    site.store.set_registered_model_alias("fraud", "champion", "1")
    assert site.champion() == "1"
    (site.home / "away.db").rename(chain)
