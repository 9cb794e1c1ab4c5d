"""Reports: the verdict, and the JSON that programs read."""

from __future__ import annotations

import pytest

from chain_client.hosts import Finding
from chain_client.verify.report import Check, Report, Verdict

GOOD = Check("chain", True, "fine")
BAD = Check("head", False, "differs")
UNKNOWN = Check("leaves", False, "no answer", carried_out=False)
FINDING = Finding("log_truncated", "log", {"size": 2}, None, "two are gone")


@pytest.mark.parametrize(
    ("checks", "findings", "verdict"),
    [
        ([], [], Verdict.HOLDS),
        ([GOOD], [], Verdict.HOLDS),
        ([GOOD, BAD], [], Verdict.DIFFERS),
        ([GOOD, UNKNOWN], [], Verdict.NOT_CHECKED),
        ([BAD, UNKNOWN], [], Verdict.DIFFERS),
        ([GOOD], [FINDING], Verdict.DIFFERS),
        ([UNKNOWN], [FINDING], Verdict.DIFFERS),
    ],
)
def test_what_was_seen_to_differ_outranks_what_was_not_checked(
    checks: list[Check], findings: list[Finding], verdict: Verdict
) -> None:
    report = Report(list(checks), list(findings))
    assert report.verdict is verdict
    assert report.to_json()["ok"] is (verdict is Verdict.HOLDS)
    assert int(verdict) == {"HOLDS": 0, "DIFFERS": 1, "NOT_CHECKED": 2}[verdict.name]


def test_json_has_exactly_the_documented_members() -> None:
    report = Report()
    report.conclude("chain", [], "fine")
    report.conclude("head", [FINDING], "see below")
    assert report.to_json() == {
        "ok": False,
        "checks": [
            {"name": "chain", "ok": True, "detail": "fine"},
            {"name": "head", "ok": False, "detail": "1 finding; see below"},
        ],
        "findings": [
            {
                "kind": "log_truncated",
                "subject": "log",
                "expected": {"size": 2},
                "actual": None,
                "detail": "two are gone",
            }
        ],
        "explained": [],
    }
