"""A team's own checks, by the command line: what blocks, what warns, and what can't be got around.

The plugin is that of examples/promotion_checks, with its own policy file; MLflow and the chain are
the real ones.
"""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain_client.client import ChainClient
from chain_client.config import Settings
from chain_client.errors import PromotionDenied, SummaryMismatch
from chain_client.events import Actor
from chain_client.governing.logged import bring_in
from chain_client.governing.proposing import Wish, write
from chain_client.ledger.model_registry_values import ANY_MODEL, ProposalStatus
from chain_client.plugin_host import PluginHost, using_plugin_host
from chain_client.registry import documents
from chain_client.registry.approval import Verdict, read_approval
from chain_client.registry.check_configuration import ConfiguredCheck, note_applied
from chain_client.registry.proposals import ProposalDocument
from chain_client.registry.statements import request_approval, request_authorship
from chain_client.registry.summaries import complete_proposal, salt_line_of
from chain_client.registry.targets import Target
from chain_client.registry.typed_data import MEANING_APPROVAL
from chain_client.signing import open_signer
from chain_client.types import to_hex
from tests.integration.governance.conftest import Site

EXAMPLE = Path(__file__).parents[3] / "examples/promotion_checks"
CHAMPION = Target.parse("@champion")


@pytest.fixture
def checked(site: Site, third_party_plugins: PluginHost, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site on which the example's own policy file is applied."""
    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(site.home))
    shutil.copy(EXAMPLE / "policy.toml", site.folder / "policy.toml")
    site.chain("policy", "apply", site.folder / "policy.toml", "--yes")
    return site


def train(
    site: Site,
    auc: float,
    tags: Mapping[str, str],
    *,
    dataset: str = "loans-2026-03",
    experiment: str = "0",
) -> int:
    """A run with a metric and a dataset, and the version that it made: its number."""
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.tracking import MlflowClient

    uri = f"chain+sqlite:///{site.folder}/mlflow.db"
    client = MlflowClient(uri, uri)
    run = client.create_run(experiment).info.run_id
    client.log_metric(run, "auc", auc)
    used = Dataset("loans", dataset, "local", "{}")
    client.log_inputs(run, [DatasetInput(used, [InputTag("mlflow.data.context", "training")])])
    folder = site.folder / "files" / run
    folder.mkdir(parents=True)
    (folder / "model.txt").write_text(f"weights {run}")
    version = client.create_model_version("fraud", folder.as_uri(), run, tags=dict(tags))
    return int(version.version)


GOOD = {"ticket": "ML-17", "owner": "ada"}


def test_checks_block_warn_and_let_pass(checked: Site) -> None:
    site = checked
    champion = train(site, 0.85, GOOD)
    site.approve(site.propose(champion), "bob", "carol")
    site.json("sync")
    assert site.champion() == str(champion)

    worse = train(site, 0.84, {"ticket": "none"}, dataset="loans-2025-11")
    words = ("model", "propose", "fraud", worse, "--target", "@champion")
    refused = site.chain(*words, "--key", site.keys["ada"], "--yes", code=2)
    assert f"version {worse} may not be proposed for alias:champion" in refused
    assert f"auc is 0.84, and that of version {champion}, the champion, 0.85" in refused
    assert "the tag 'ticket' of the version does not look like ML-[0-9]+" in refused
    assert "the dataset 'loans' with the digest loans-2025-11 is not allowed" in refused
    (shown,) = site.json("model", "show", "fraud")["incarnations"]
    assert [one["version"] for one in shown["versions"]] == [champion]
    assert site.json("approvals")["waiting"] == []

    hardly = train(site, 0.855, {"ticket": "ML-18"})
    site.chain("model", "check", "fraud", hardly, "--target", "@champion")
    proposal = site.propose(hardly)
    (waiting,) = site.json("approvals")["waiting"]
    (warning, other) = waiting["checks"]["warnings"]
    assert warning["text"].startswith("hardly better: auc is 0.855")
    assert warning["values"]["champion"] == 0.85
    assert other["text"] == "the version has no tag 'owner'"
    assert 'WARNING of check "better": "hardly better: auc is 0.855' in waiting["summary"]
    configuration = waiting["checks"]["configuration"]
    assert f"Configuration of the checks: {configuration}" in waiting["summary"]
    (shown,) = site.json("model", "show", "fraud")["incarnations"]
    assert shown["targets"][0]["open"][0]["checks"] == waiting["checks"]
    assert "warning" in site.chain("model", "show", "fraud")
    same = site.json("model", "check", "fraud", hardly, "--target", "@champion")
    assert (same["differences"], same["proposal"]) == ([], proposal)
    with using_plugin_host(PluginHost(third_party=False)):
        away = json_of(site, "model", "check", "fraud", hardly, "--target", "@champion", code=1)
    assert away["differences"] == []
    assert [said.partition(":")[0] for said in away["uncompared"]] == [
        "better",
        "described",
        "known-data",
    ]
    assert f"configuration of the checks {configuration}" in site.chain("policy", "show")
    (policy,) = site.json("policy", "show")["policies"]
    assert policy["checks_configuration"] == configuration
    assert [check["name"] for check in policy["checks"]] == ["better", "described", "known-data"]
    site.approve(proposal, "bob", "carol")
    site.json("sync")
    assert site.champion() == str(hardly)
    assert findings(site) == []


def json_of(site: Site, *words: object, code: int) -> dict[str, Any]:
    """As `Site.json`, where the answer is no."""
    got, out, err = site.run("--home", site.home, *words, "--json")
    assert got == code, (words, out, err)
    found: dict[str, Any] = json.loads(out)
    return found


def findings(site: Site) -> list[dict[str, Any]]:
    """What verify names; the files of these versions nobody recorded, so its exit code is not 0."""
    _, out, _ = site.run("--home", site.home, "verify", "--json")
    found: list[dict[str, Any]] = json.loads(out)["findings"]
    return found


class Proposer:
    """Somebody with a requester's key who can write into the log: what he tries."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.client = ChainClient.open(
            Settings(home=site.home, relay_autostart=False, spool_durability="process")
        )
        self.key = open_signer(f"keystore:{site.keys['ada']}", base=site.folder)
        self.registry = self.client.registry

    def write(self, version: int) -> ProposalDocument:
        return write(
            self.client, Wish("fraud", version, CHAMPION, again=True), self.key.address(), 9
        )

    def forge(
        self, document: ProposalDocument, *, noted: bool = True, **changed: Any
    ) -> ProposalDocument:
        """The document with another report, in which everything fits together."""
        report = document.names.checks
        assert report is not None
        report = replace(report, **changed)
        names = replace(document.names, checks=report, evidence=(report.evidence,))
        if noted:
            documents.note_report(self.client.recorder, names.model.store_id, report, Actor())
            bring_in(self.client)
        salt_line = salt_line_of(document.summary)
        return complete_proposal(document.domain, document.fields, names, document.terms, salt_line)

    def send(self, document: ProposalDocument) -> None:
        """Past every check of our client, straight to the contract."""
        documents.note_document(self.client.recorder, document)
        bring_in(self.client)
        statement = request_authorship(document)
        signature = statement.statement.sign(self.key)
        call = self.registry.contract.propose_call(document.fields, signature)
        self.registry._submit("propose", call, document, ProposalStatus.OPEN)

    def approve(self, document: ProposalDocument, *names: str) -> None:
        """What a wallet signs, straight to the contract."""
        keys = [
            open_signer(f"keystore:{self.site.keys[name]}", base=self.site.folder) for name in names
        ]
        statement = request_approval(document, MEANING_APPROVAL).statement
        signed = [statement.sign(key) for key in keys]
        self.registry._approve(document, [key.address() for key in keys], signed, None)

    def apply(self, checks: tuple[ConfiguredCheck, ...], time_us: int) -> None:
        """Note a configuration as the admin would, with the own key."""
        registry, deployment = self.registry, self.client.deployment
        place = ANY_MODEL, registry.target_id(CHAMPION)
        note_applied(
            *(self.client.recorder, deployment.deployment_id, registry.domain, self.key),
            *(place, checks, time_us, self.client.log.size()),
        )
        bring_in(self.client)


@pytest.fixture
def proposer(checked: Site) -> Iterator[Proposer]:
    """Ada, who is up to something."""
    found = Proposer(checked)
    yield found
    found.client.close()


def test_nobody_gets_around_the_checks_without_being_found(
    checked: Site, proposer: Proposer, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, registry = checked, proposer.registry
    bad = train(site, 0.5, {})
    good = train(site, 0.9, GOOD)
    words = ("model", "propose", "fraud", bad, "--target", "@champion", "--yes")
    key = ("--key", site.keys["ada"])

    # A policy file of one's own is not read, and applying it takes the admin's key.
    weak = site.folder / "weak.toml"
    weak.write_text((site.folder / "policy.toml").read_text().replace("0.8", "0.1"))
    told = site.chain("policy", "apply", weak, "--yes", *key, code=2)
    assert "checks are applied by who administers the registry" in told
    none = tuple(
        ConfiguredCheck(name, "promotion-checks", {"kind": "tags"})
        for name in ("better", "described", "known-data")
    )
    proposer.apply(none, 2**52)
    assert "at least 0.8 is asked for" in site.chain(*words, *key, code=2)

    # Nothing that nobody ran counts as evidence, and a plugin that is away blocks.
    brought = ("--evidence", f"checks:0x{'11' * 32}")
    assert "checks are no evidence to bring" in site.chain(*words, *key, *brought, code=2)
    with monkeypatch.context() as away, using_plugin_host(PluginHost(third_party=False)):
        away.setenv("MLOPS_CHAIN_PLUGINS", "own")
        told = site.chain(*words, *key, code=2)
        assert told.count("it could not be carried out: the plugin promotion-checks of") == 3
    assert site.json("model", "list")["models"] == []

    # The report of another version, or of another try, is about another proposal.
    true, again = proposer.write(good), proposer.write(good)
    assert true.names.checks is not None
    for document in (proposer.write(good), again):
        stolen = replace(
            document.names, checks=true.names.checks, evidence=(true.names.checks.evidence,)
        )
        lie = complete_proposal(
            document.domain,
            document.fields,
            stolen,
            document.terms,
            salt_line_of(document.summary),
        )
        with pytest.raises(SummaryMismatch, match="about another proposal"):
            registry.propose(lie, signer=proposer.key)

    # A report by another configuration: no client of ours takes it, and verify names it.
    results = true.names.checks.results
    other = tuple(replace(one, plugin="mine") for one in results)
    forged = proposer.forge(true, results=other)
    assert forged.names.checks is not None
    with pytest.raises(PromotionDenied, match="another configuration"):
        registry.propose(forged, signer=proposer.key)
    proposer.send(forged)
    told = site.chain("model", "approve", to_hex(forged.id), "--key", site.keys["bob"], code=2)
    assert "nobody should approve it" in told
    assert "nobody should approve it" in " ".join(site.chain("approvals").split())
    (finding,) = findings(site)
    assert finding["kind"] == "check_report_differs"

    # A report that the log does not hold.
    hidden = proposer.forge(again, noted=False, time_us=1)
    proposer.send(hidden)
    told = site.chain("model", "approve", to_hex(hidden.id), "--key", site.keys["bob"], code=2)
    assert "is not in the log" in told
    assert {one["kind"] for one in findings(site)} == {
        "check_report_differs",
        "check_report_missing",
    }

    # Approved past our clients, it is promoted by nobody; and where somebody promotes it past them
    # as well, nothing becomes of it in MLflow.
    proposer.approve(forged, "bob", "carol")
    proposer.approve(hidden, "bob", "carol")
    code, out, _ = site.run("--home", site.home, "sync", "--json")
    told = " ".join(one["text"] for one in json.loads(out)["troubles"])
    assert code != 0
    assert "checked by a configuration that nobody who administers the registry had applied" in told
    assert "or the report of checks that it names" in told
    told = site.chain("model", "promote", to_hex(forged.id), code=2)
    assert "checked by a configuration that nobody who administers" in told
    approval = read_approval(registry, forged, "latest")
    assert (approval.verdict, approval.cause) == (Verdict.CLOSED, "not_checked")
    assert read_approval(registry, hidden, "latest").cause == "report_unknown"
    call = registry.contract.promote_call(forged.fields)
    registry._submit("promote", call, forged, ProposalStatus.PROMOTED)
    code, out, _ = site.run("--home", site.home, "sync", "--json")
    assert code != 0
    assert "nobody who administers the registry had applied when it was made, nor since" in out
    assert site.champion() is None


def test_a_changed_configuration_makes_open_proposals_unfit(checked: Site) -> None:
    site = checked
    proposal = site.propose(train(site, 0.9, GOOD), "--again")
    policy = site.folder / "policy.toml"
    policy.write_text(policy.read_text().replace("at_least = 0.8", "at_least = 0.85"))
    planned = json_of(site, "policy", "plan", policy, code=1)
    (step,) = planned["steps"]
    assert (step["action"], [one["name"] for one in step["checks"]]) == (
        "apply_checks",
        list(tomllib.loads(policy.read_text())["checks"]),
    )
    assert '"at_least": 0.85' in step["text"]
    assert "[changed]" in step["text"]
    site.chain("policy", "apply", policy, "--yes")
    assert site.json("policy", "plan", policy)["steps"] == []
    told = site.chain("model", "approve", proposal, "--key", site.keys["bob"], code=2)
    assert "checked by another configuration" in told
    differs = json_of(site, "model", "check", "fraud", 3, "--target", "@champion", code=1)
    assert differs["passed"] is True
    assert differs["differences"] == [
        "the proposal was checked by another configuration than the one that is applied"
    ]
    site.json("model", "withdraw", proposal, "--key", site.keys["ada"], "--yes")
    again = site.propose(3)
    assert site.approve(again, "bob", "carol")["is_promotable"] is True
    # What was checked by what had been applied then stays true.
    assert findings(site) == []
    lines = [line for line in policy.read_text().splitlines() if not line.startswith("checks")]
    policy.write_text("\n".join(lines[: lines.index("[checks.better]")]))
    planned = json_of(site, "policy", "plan", policy, code=1)
    assert [one["action"] for one in planned["steps"]] == ["set_policy", "clear_checks"]
    site.chain("policy", "apply", policy, "--yes")
    site.propose(2)
    assert site.json("policy", "show")["policies"][0]["checks"] == []


def test_a_model_in_a_workspace_is_checked_there_wherever_it_is_proposed(
    checked: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.entities.workspace import Workspace
    from mlflow.tracking import MlflowClient
    from mlflow.utils.workspace_context import WorkspaceContext

    from mlflow_chain.building import build_workspace_store

    site, uri = checked, f"chain+sqlite:///{checked.folder}/mlflow.db"
    with monkeypatch.context() as told:
        told.setenv("MLFLOW_ENABLE_WORKSPACES", "true")
        workspaces: Any = build_workspace_store(uri)
        workspaces.create_workspace(Workspace(name="team-a"))
        with WorkspaceContext("default"):
            other = train(site, 0.5, {})  # of the same name
        with WorkspaceContext("team-a"):
            client = MlflowClient(uri, uri)
            client.create_registered_model("fraud")
            experiment = client.create_experiment("loans")
            bad = train(site, 0.7, {"ticket": "none"}, experiment=experiment)
            good = train(site, 0.9, GOOD, experiment=experiment)
    words = ("model", "propose", "team-a/fraud", "--target", "@champion", "--yes")
    key = ("--key", site.keys["ada"])
    told_bad = site.chain(*words[:3], bad, *words[3:], *key, code=2)
    assert "auc is 0.7, and at least 0.8 is asked for" in told_bad
    assert "the tag 'ticket' of the version does not look like" in told_bad
    assert "could not be carried out" not in told_bad
    site.chain(*words[:3], good, *words[3:], *key)
    assert {"MLFLOW_ENABLE_WORKSPACES", "MLFLOW_WORKSPACE"}.isdisjoint(os.environ)
    assert (other, bad, good) == (3, 1, 2)
