"""A report of checks counts for one proposal, and says what its findings say."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_client.checks import CheckFinding
from chain_client.errors import InvalidInput, SummaryMismatch
from chain_client.registry.check_reports import CheckReport, CheckResult
from chain_client.registry.evidence import EvidenceItem
from chain_client.registry.proposals import ProposalDocument
from chain_client.registry.summaries import check_summary, complete_proposal, salt_line_of
from chain_client.types import Digest
from tests.strategies import texts
from tests.unit.chain_client.registry.documents_for_tests import SALT, proposals, words

names = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8)
values = st.dictionaries(names, st.none() | st.booleans() | st.integers(-9, 9) | texts, max_size=2)
findings = st.builds(
    CheckFinding, st.just("warn"), texts.filter(lambda text: bool(text.strip())), values
)
results = st.builds(
    CheckResult, names, names, names, names, words, st.lists(findings, max_size=2).map(tuple)
)


def of(document: ProposalDocument, found: list[CheckResult], **changed: Any) -> ProposalDocument:
    """The document with a report that is about it, but for what is changed."""
    fields = document.fields
    report = CheckReport(
        "deployment",
        fields.model,
        fields.target,
        fields.version,
        document.names.digest,
        fields.requester,
        fields.policy_hash,
        fields.nonce,
        Digest(b"\x07" * 32),
        1_700_000_000_000_000,
        tuple(sorted({one.name: one for one in found}.values(), key=lambda one: one.name)),
    )
    report = replace(report, **changed)
    evidence = (*document.names.evidence[:3], report.evidence)
    return complete_proposal(
        document.domain,
        fields,
        replace(document.names, checks=report, evidence=evidence),
        document.terms,
        salt_line_of(document.summary),
    )


checked = st.builds(of, proposals(), st.lists(results, min_size=1, max_size=3))


@settings(max_examples=30)
@given(checked)
def test_a_document_with_a_report_is_true_and_survives_json(document: ProposalDocument) -> None:
    check_summary(document, SALT)
    again = ProposalDocument.from_json(json.loads(json.dumps(document.to_json())))
    assert again == document
    check_summary(again, SALT)
    report = document.names.checks
    assert report is not None
    assert CheckReport.from_json(report.to_json()) == report


@settings(max_examples=30)
@given(checked)
def test_every_warning_is_a_line_of_its_own_in_what_is_signed(document: ProposalDocument) -> None:
    report = document.names.checks
    assert report is not None
    lines = document.summary.split("\n")
    assert len([one for one in lines if one.startswith("WARNING of check ")]) == len(
        list(report.warnings())
    )
    assert f"Configuration of the checks: 0x{'07' * 32}" in lines


@settings(max_examples=30)
@given(proposals(), st.lists(results, min_size=1, max_size=2), st.data())
def test_a_report_about_anything_else_is_not_signed(
    document: ProposalDocument, found: list[CheckResult], data: st.DataObject
) -> None:
    parts = ("model", "target", "files", "policy_hash", "nonce", "requester", "version")
    part = data.draw(st.sampled_from(parts))
    true = of(document, found).names.checks
    value = getattr(true, part)
    other = value ^ 1 if part == "version" else bytes([value[0] ^ 1]) + value[1:]
    lie = of(document, found, **{part: other})
    with pytest.raises(SummaryMismatch, match="is about another proposal"):
        check_summary(lie, None)


@settings(max_examples=30)
@given(proposals(), st.lists(results, min_size=1, max_size=2))
def test_a_report_that_blocks_or_is_not_the_one_named_is_not_signed(
    document: ProposalDocument, found: list[CheckResult]
) -> None:
    no = replace(found[0], findings=(CheckFinding("block", "no"),))
    with pytest.raises(SummaryMismatch, match="says that the promotion is blocked"):
        check_summary(of(document, [no]), None)
    true = of(document, found)
    report = true.names.checks
    assert report is not None
    for evidence in (
        (),
        (EvidenceItem("checks", 3),),
        (EvidenceItem("checks", digest=b"\x01" * 32),),
        (report.evidence, report.evidence),
    ):
        lie = complete_proposal(
            true.domain,
            true.fields,
            replace(true.names, evidence=evidence),
            true.terms,
            salt_line_of(true.summary),
        )
        with pytest.raises(SummaryMismatch, match="is not the one that it names as evidence"):
            check_summary(lie, None)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("format",), "mlops-chain checks 2", "checks.format"),
        (("passed",), False, "checks.passed: it is not what the findings say"),
        (("checks",), [], "a list of 1 to 16"),
        (("checks", 0, "findings"), [{}] * 33, "findings: expected a list"),
        (("checks", 0, "findings", 0, "level"), "info", "expected block or warn"),
        (("checks", 0, "findings", 0, "values"), {"a": "b" * 5000}, "at most 4096 bytes"),
        (("checks", 0, "name"), "", "expected names of 1 to 200 letters"),
        (("checks", 0, "configuration"), "0x11", "expected 0x and 64 hex digits"),
    ],
)
def test_what_is_no_report_is_refused(path: tuple[Any, ...], value: object, message: str) -> None:
    finding = CheckFinding("warn", "hm", {"auc": 0.5})
    result = CheckResult("a", "p", "d", "1", Digest(bytes(32)), (finding,))
    data: Any = CheckReport(
        *("d", Digest(bytes(32)), Digest(bytes(32)), 1, Digest(bytes(32)), bytes(20)),  # type: ignore[arg-type]
        *(Digest(bytes(32)), Digest(bytes(32)), Digest(bytes(32)), 1, (result,)),
    ).to_json()
    assert CheckReport.from_json(data).results == (result,)
    place = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(InvalidInput, match=message):
        CheckReport.from_json(data)
