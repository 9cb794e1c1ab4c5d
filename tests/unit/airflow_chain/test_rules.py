"""What of Airflow is recorded: rules as tables."""

from __future__ import annotations

import pytest

from airflow_chain.rules import IDENTIFIERS_ONLY, Decision, Extent, Policy, parse_policy
from chain_client.errors import ConfigurationError

POLICY = """
[default]
rendered = "none"

[[rule]]
dag = "payroll_*"
record = false

[[rule]]
dag = ["train_*", "tune_*"]
task = "fit"
rendered = "values"
error_text = "hashes"

[[rule]]
operator = "Bash*"
record = false

[[rule]]
dag = "train_*"
conf = "values"
"""


@pytest.mark.parametrize(
    ("thing", "decided"),
    [
        (("other",), Decision(rendered=Extent.NONE)),
        (("payroll_may",), Decision(record=False, rendered=Extent.NONE)),
        (("payroll_may", "fit", "PythonOperator"), Decision(record=False, rendered=Extent.NONE)),
        (("xpayroll_may",), Decision(rendered=Extent.NONE)),
        (("Payroll_may",), Decision(rendered=Extent.NONE)),
        (
            ("train_a", "fit", "BashOperator"),
            Decision(rendered=Extent.VALUES, error_text=Extent.HASHES),
        ),
        (("tune_a", "fit", None), Decision(rendered=Extent.VALUES, error_text=Extent.HASHES)),
        (("train_a", "refit", "BashOperator"), Decision(record=False, rendered=Extent.NONE)),
        (
            ("train_a", "refit", "PythonOperator"),
            Decision(conf=Extent.VALUES, rendered=Extent.NONE),
        ),
        (("train_a",), Decision(conf=Extent.VALUES, rendered=Extent.NONE)),
        (("other", "fit", None), Decision(rendered=Extent.NONE)),
    ],
)
def test_the_first_rule_that_matches_counts(
    thing: tuple[str, str | None, str | None], decided: Decision
) -> None:
    assert parse_policy(POLICY).decide(*thing) == decided


def test_without_rules_identifiers_and_hashes_are_recorded_but_no_text() -> None:
    assert (
        Policy().decide("any")
        == parse_policy("").decide("any", "task", "Operator")
        == Decision(True, Extent.HASHES, Extent.HASHES, Extent.NONE)
    )


def test_while_rules_are_unreadable_nothing_but_identifiers_is_recorded() -> None:
    assert Decision(True, Extent.NONE, Extent.NONE, Extent.NONE) == IDENTIFIERS_ONLY


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[default", "not valid TOML"),
        ("[defaults]", r"the policy: unknown key 'defaults'; known are default, rule"),
        ("default = 1", r"expected \[default\] to be a table"),
        ("[rule]\ndag='a'", r"under its own \[\[rule\]\]"),
        ("rule = [1]", r"under its own \[\[rule\]\]"),
        ("[[rule]]\ndag='a'", r"\[\[rule\]\] 1: says nothing; expected record, conf"),
        ("[[rule]]\nrecord=true\n[[rule]]\nrecord='no'", r"\[\[rule\]\] 2: expected record to be"),
        ("[default]\nconf='all'", r"\[default\]: expected conf to be one of none, hashes, values"),
        ("[default]\nconf=1", r"\[default\]: expected conf to be one of none, hashes, values"),
        ("[[rule]]\nrecord=true\ndags='a'", "unknown key 'dags'; known are record, conf"),
        ("[default]\ndag='a'", "unknown key 'dag'"),
        ("[[rule]]\nrecord=true\ndag=''", "expected dag to be a pattern or a list"),
        ("[[rule]]\nrecord=true\ntask=[]", "expected task to be a pattern or a list"),
        ("[[rule]]\nrecord=true\noperator=[1]", "expected operator to be a pattern or a list"),
        ("[[rule]]\nrecord=true\noperator='a.B'", "class name without its module"),
    ],
)
def test_what_is_not_understood_is_told_with_its_place(text: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        parse_policy(text)
