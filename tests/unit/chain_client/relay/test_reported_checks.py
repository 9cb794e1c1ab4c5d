"""What approvers are told of checks: as far as the log has the report, and whose word it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from chain_client.checks import CheckFinding
from chain_client.events import Actor
from chain_client.hosts import ModelIncarnation
from chain_client.ledger.model_registry_values import ANY_MODEL
from chain_client.notices import CheckWarning, ReportedChecks
from chain_client.registry import documents
from chain_client.registry.check_configuration import ConfiguredCheck, hash_checks, note_applied
from chain_client.registry.check_reports import CheckReport, CheckResult
from chain_client.registry.identity import Salt
from chain_client.registry.proposals import PolicyTerms, ProposalDocument, ProposalNames
from chain_client.registry.summaries import complete_proposal
from chain_client.registry.targets import Target
from chain_client.relay.reported_checks import MOST_WARNINGS
from chain_client.types import Digest
from tests.embedded_chains import OWNER
from tests.registries import APPROVERS, MODEL, REQUESTER, TARGET
from tests.unit.chain_client.registry.office import LoggedRecords
from tests.unit.chain_client.relay.gated_sites import Site, told_now

FRAUD = ModelIncarnation("5f" * 16, "", "fraud", 1_700_000_000_123)
CHECK = ConfiguredCheck("tags", "acme-tags", {"wanted": "owner"})
WARNED = CheckFinding("warn", "the version has no tag 'owner'\nBcc: all@example.com", {"tags": []})
FILES = Digest(b"\x67" * 32)


@dataclass
class Requester:
    """Asks for promotions past our client, and says of checks what he likes."""

    site: Site

    def __post_init__(self) -> None:
        self.records: Any = LoggedRecords(self.site.log)

    def apply(self) -> None:
        """An admin applies the check."""
        site = self.site
        note_applied(
            *(self.records, site.deployment.deployment_id, site.registry.domain, OWNER),
            *((ANY_MODEL, TARGET), (CHECK,), site.clock.time_us(), site.log.size()),
        )

    def write(self, *findings: CheckFinding, plugin: str = CHECK.plugin) -> ProposalDocument:
        """A proposal with a report of these findings; nobody is shown it yet."""
        registry, deployment = self.site.registry, self.site.deployment
        fields = registry.fields()
        result = CheckResult(CHECK.name, plugin, "acme", "1.0", CHECK.hash, findings)
        report = CheckReport(
            deployment.deployment_id,
            *(MODEL, TARGET, fields.version, FILES, REQUESTER.address()),
            *(fields.policy_hash, fields.nonce, hash_checks([CHECK]), 1, (result,)),
        )
        found = registry.contract.policy(MODEL, TARGET)
        assert found.policy is not None
        terms = PolicyTerms("risk", found.policy, is_default=True)
        names = ProposalNames(
            *(FRAUD, Target.parse("@champion"), FILES, "", (report.evidence,), report)
        )
        return complete_proposal(registry.domain, fields, names, terms, b"\x51" * 32)

    def note_report(self, document: ProposalDocument) -> None:
        report = document.names.checks
        assert report is not None
        documents.note_report(self.records, FRAUD.store_id, report, Actor())

    def note(self, document: ProposalDocument) -> None:
        """The log gets its readable side."""
        self.note_report(document)
        documents.note_document(self.records, document)

    def send(self, document: ProposalDocument) -> None:
        registry = self.site.registry
        registry.send(REQUESTER, registry.contract.propose_call(document.fields))


@pytest.fixture
def requester(site: Site) -> Requester:
    found = Requester(site)
    found.apply()
    return found


def _told(site: Site, salt: Salt | None = None) -> ReportedChecks:
    """What the one proposal is told with."""
    ((change, _),) = told_now(site.changes(site.from_the_start(), salt))
    assert change.checks is not None
    return change.checks


def test_what_passed_and_every_warning_is_told_with_each_change(
    site: Site, requester: Requester
) -> None:
    document = requester.write(WARNED)
    report = document.names.checks
    assert report is not None
    requester.note(document)
    requester.send(document)
    site.registry.send(APPROVERS[0], site.registry.contract.approve_call(document.fields))
    changes = [change for change, _ in told_now(site.changes(site.from_the_start()))]
    assert [change.kind for change in changes] == ["proposed", "approved"]
    expected = ReportedChecks(
        report.digest,
        hash_checks([CHECK]),
        ("tags (plugin acme-tags of acme 1.0)",),
        (CheckWarning("tags", WARNED.text),),
        1,
    )
    assert [change.checks for change in changes] == [expected] * 2
    assert changes[0].to_json()["checks"] == {
        "report": "0x" + report.digest.hex(),
        "configuration": "0x" + report.configuration.hex(),
        "passed": ["tags (plugin acme-tags of acme 1.0)"],
        "warnings": [{"check": "tags", "text": WARNED.text}],
        "warning_count": 1,
        "obstacle": None,
    }


def test_a_proposal_that_names_no_report_is_told_without_one(site: Site) -> None:
    site.registry.propose()
    ((change, _),) = told_now(site.changes(site.from_the_start()))
    assert change.checks is None
    assert change.to_json()["checks"] is None


def test_of_very_many_warnings_the_first_are_told_and_how_many_there_are(
    site: Site, requester: Requester
) -> None:
    document = requester.write(*(CheckFinding("warn", f"warning {n}") for n in range(32)))
    requester.note(document)
    requester.send(document)
    found = _told(site)
    texts = [warning.text for warning in found.warnings]
    assert texts == [f"warning {n}" for n in range(MOST_WARNINGS)]
    assert found.warning_count == 32


def test_what_comes_to_the_log_within_a_minute_is_waited_for(
    site: Site, requester: Requester
) -> None:
    document = requester.write(WARNED)
    requester.send(document)
    changes = site.changes(site.from_the_start())
    assert told_now(changes) == []
    assert changes.is_waiting
    documents.note_document(requester.records, document)
    assert told_now(changes) == []  # the report itself is not there yet
    requester.note_report(document)
    ((change, _),) = told_now(changes)
    assert change.checks is not None
    assert (change.checks.warning_count, change.checks.obstacle) == (1, "")


def _nothing(site: Site, requester: Requester, document: ProposalDocument) -> None:
    pass


def _erased(site: Site, requester: Requester, document: ProposalDocument) -> None:
    requester.note(document)
    stored = site.log.entry(site.log.size() - 1).stored
    assert stored is not None
    del site.store.objects[stored.digest]


def _noted(site: Site, requester: Requester, document: ProposalDocument) -> None:
    requester.note(document)


@pytest.mark.parametrize(
    ("findings", "note"),
    [
        ((WARNED,), _nothing),
        ((WARNED,), _erased),
        ((CheckFinding("block", "the metric is missing"),), _noted),
    ],
    ids=["not there", "erased", "blocking"],
)
def test_a_report_that_cannot_be_read_is_told_as_such_after_a_minute(
    site: Site,
    requester: Requester,
    findings: tuple[CheckFinding, ...],
    note: Callable[[Site, Requester, ProposalDocument], None],
) -> None:
    document = requester.write(*findings)
    note(site, requester, document)
    requester.send(document)
    site.clock.ahead_s = 61
    found = _told(site)
    assert "the report of checks that the proposal names can't be read" in found.obstacle
    assert replace(found, obstacle="") == ReportedChecks()


def test_the_report_beside_a_text_that_the_salt_does_not_confirm_is_not_told(
    site: Site, requester: Requester
) -> None:
    document = requester.write(WARNED)
    requester.note(document)
    requester.send(document)
    site.clock.ahead_s = 61
    found = _told(site, Salt(b"\x33" * 32))
    assert "or says something else than what was signed" in found.obstacle
    assert found.warnings == ()


def test_a_report_that_the_log_does_not_hold_is_no_reason_to_approve(
    site: Site, requester: Requester
) -> None:
    document = requester.write(WARNED)
    documents.note_document(requester.records, document)
    requester.send(document)
    site.clock.ahead_s = 61
    found = _told(site)
    assert "the log does not hold the report of checks" in found.obstacle
    assert found.warning_count == 1


def test_a_report_of_other_checks_than_were_applied_is_told_as_such(
    site: Site, requester: Requester
) -> None:
    document = requester.write(plugin="mine")
    requester.note(document)
    requester.send(document)
    site.clock.ahead_s = 61
    found = _told(site)
    assert "by a configuration that nobody who administers the registry" in found.obstacle
    assert found.passed == ("tags (plugin mine of acme 1.0)",)
