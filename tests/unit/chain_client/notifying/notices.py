"""Notices for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chain_client.notices import (
    AlarmNotice,
    AlarmState,
    ChangeKind,
    CheckWarning,
    Person,
    ProposalChange,
    ReportedChecks,
)
from chain_client.types import Address, Digest, TxHash

ADA, BOB, CAROL = (
    Person(Address(bytes([n]) * 20), name) for n, name in enumerate(("ada", "bob", "carol"), 1)
)


def a_change(**values: Any) -> ProposalChange:
    """A proposal as it is made, but for what is given."""
    made = ProposalChange(
        notice_id="ab" * 16,
        kind=ChangeKind.PROPOSED,
        at_s=1_800_000_000,
        block_number=7,
        tx_hash=TxHash(b"\x11" * 32),
        deployment_id="deployment",
        chain_id=31337,
        registry=Address(b"\x22" * 20),
        proposal_id=Digest(b"\x3f" * 32),
        model="fraud",
        version=3,
        target="alias:champion",
        requester=ADA,
        actor=ADA,
        approved_by=(),
        threshold=2,
        may_still_approve=(BOB, CAROL),
        earliest_s=1_800_000_000,
        deadline_s=1_800_086_400,
        is_open=True,
    )
    return replace(made, **values)


def checks(*warnings: str, **values: Any) -> ReportedChecks:
    """A report of one check with these warnings, but for what is given."""
    made = ReportedChecks(
        report=Digest(b"\x44" * 32),
        configuration=Digest(b"\x55" * 32),
        passed=("tags (plugin acme-tags of acme 1.0)",),
        warnings=tuple(CheckWarning("tags", text) for text in warnings),
        warning_count=len(warnings),
    )
    return replace(made, **values)


def an_alarm(**values: Any) -> AlarmNotice:
    """An alarm that stands, but for what is given."""
    raised = AlarmNotice(
        notice_id="cd" * 16,
        state=AlarmState.RAISED,
        kind="chain",
        subject="anchor",
        detail="the chain does not answer",
        since_us=1_800_000_000_000_000,
        at_us=1_800_000_000_000_000,
        count=1,
        deployment_id="deployment",
    )
    return replace(raised, **values)
