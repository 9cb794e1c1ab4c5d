"""How a proposal stands, in one line: a table of what may be missing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chain_client.errors import ContractReverted
from chain_client.hosts import ModelIncarnation
from chain_client.ledger.model_registry import (
    Member,
    Policy,
    PolicyInForce,
    ProposalFields,
    ProposalState,
    ProposalStatus,
)
from chain_client.registry.proposals import PolicyTerms, ProposalDocument, ProposalNames
from chain_client.registry.standing import Standing, stand
from chain_client.registry.summaries import complete_proposal
from chain_client.registry.targets import Target
from chain_client.signing.eip712 import Domain
from chain_client.types import Address, Digest

NOW_S = 1_800_000_000
PEOPLE = [Address(bytes([number]) * 20) for number in range(1, 6)]
ASKS, BOB, CAROL, DAVE, ROBOT = PEOPLE
NAMES = {BOB: "bob", CAROL: "carol", DAVE: "dave"}
ZERO, HASH = Digest(bytes(32)), Digest(b"\x09" * 32)
POLICY = Policy(Digest(b"\x05" * 32), 2, 3600, 604_800, 0, 1)
MEMBERS = [Member(BOB, 0, True), Member(CAROL, 1, True), Member(DAVE, 2, True)]
QUORUM = ContractReverted("QuorumMissing", "1 of 2 approvals are there")
EARLY = ContractReverted("TooEarly", "the policy's delay is not over")


def _document() -> ProposalDocument:
    fields = ProposalFields(
        HASH, HASH, 1, HASH, HASH, ZERO, ZERO, 0, NOW_S + 3 * 3600 + 5, ASKS, ZERO, ZERO
    )
    model = ModelIncarnation("store", "", "fraud", 1)
    names = ProposalNames(model, Target.parse("@champion"), HASH)
    terms = PolicyTerms("risk", POLICY, True)
    return complete_proposal(Domain(1, BOB), fields, names, terms, b"\x01" * 32)


def _stand(**changes: Any) -> Standing:
    """How it stands an hour after it was proposed, with Bob's approval, but for the changes."""
    values: dict[str, Any] = {
        "state": ProposalState(ProposalStatus.OPEN, NOW_S - 3600, NOW_S + 10_805, 0b001, 0),
        "in_force": PolicyInForce(POLICY, HASH, True),
        "members": MEMBERS,
        "registrant": ROBOT,
        "obstacle": QUORUM,
        "now_s": NOW_S,
        "names": NAMES,
    }
    return stand(_document(), **(values | changes))


def _state(**changes: Any) -> ProposalState:
    return replace(
        ProposalState(ProposalStatus.OPEN, NOW_S - 3600, NOW_S + 10_805, 0b001, 0), **changes
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "1 of 2 approvals; carol, dave may still approve; expires in 3 h"),
        (
            {"names": {}},
            "1 of 2 approvals; 0x030303…0303, 0x040404…0404 may still approve; expires in 3 h",
        ),
        (
            {"registrant": CAROL},
            "1 of 2 approvals; dave may still approve; expires in 3 h",
        ),
        (
            {"members": [Member(BOB, 0, True), Member(CAROL, 1, False), Member(ASKS, 2, True)]},
            "1 of 2 approvals; nobody is left who may approve; expires in 3 h",
        ),
        (
            {"members": [Member(BOB, 0, False), *MEMBERS[1:]]},
            "0 of 2 approvals; carol, dave may still approve; expires in 3 h",
        ),
        (
            {"state": _state(approvals=0b011), "obstacle": None},
            "2 of 2 approvals; can be promoted now; expires in 3 h",
        ),
        (
            {"state": _state(approvals=0b011, made_at_s=NOW_S - 60), "obstacle": EARLY},
            "2 of 2 approvals; can be promoted in 59 min at the earliest; expires in 3 h",
        ),
        (
            {"obstacle": ContractReverted("EnforcedPause", "EnforcedPause: it is paused")},
            "1 of 2 approvals; carol, dave may still approve; EnforcedPause: it is paused; "
            "expires in 3 h",
        ),
        ({"now_s": NOW_S + 86_400}, "expired 20 h ago; propose it again"),
        (
            {"in_force": PolicyInForce(POLICY, ZERO, True)},
            "the policy was changed since; propose it again",
        ),
        (
            {"in_force": PolicyInForce(None, ZERO, True), "members": []},
            "the policy was changed since; propose it again",
        ),
        ({"state": _state(status=ProposalStatus.NONE)}, "not proposed yet"),
        ({"state": _state(status=ProposalStatus.PROMOTED)}, "promoted"),
        ({"state": _state(status=ProposalStatus.REJECTED)}, "rejected"),
        ({"state": _state(status=ProposalStatus.WITHDRAWN)}, "withdrawn"),
    ],
)
def test_a_line_says_what_is_missing_and_who_can_give_it(
    changes: dict[str, Any], text: str
) -> None:
    assert _stand(**changes).text == text


def test_it_is_closed_once_nothing_can_come_of_it() -> None:
    assert not _stand().is_closed
    assert not _stand(now_s=NOW_S + 10_805).is_closed
    assert _stand(now_s=NOW_S + 10_806).is_closed
    assert _stand(state=_state(status=ProposalStatus.WITHDRAWN)).is_closed


def test_programs_get_all_of_it() -> None:
    shown = _stand(state=_state(reviews=0b100)).to_json()
    assert shown["approvals"] == 1
    assert shown["threshold"] == 2
    assert shown["reviewed_by"] == ["0x" + "04" * 20]
    assert shown["status"] == "open"
    assert shown["earliest_s"] == NOW_S
    assert shown["obstacle"] == "1 of 2 approvals are there"
