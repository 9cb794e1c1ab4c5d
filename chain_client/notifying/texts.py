"""What people read: a subject that says it all, then who, what, until when, and what to run. Pure.

Names of models, reasons and warnings come from outside; nothing in them forges other lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from chain_client.errors import InvalidInput
from chain_client.events import Json
from chain_client.notices import (
    AlarmNotice,
    AlarmState,
    ChangeKind,
    Person,
    ProposalChange,
    ReportedChecks,
)
from chain_client.registry.durations import show_time
from chain_client.shown_text import escape_unprintable, quote_word
from chain_client.types import to_hex

_SHORT = 14
"""Of an id: ``0x`` and 12 hex digits, which commands take for the whole."""
_SUBJECT = 180
RUNBOOK = "docs/how-to/runbook-alarms.md"


class Audience(StrEnum):
    """Who is told."""

    APPROVERS = "approvers"
    OPERATORS = "operators"


@dataclass(frozen=True, slots=True)
class Message:
    """One message, before it is addressed.

    Args:
        id: the same whenever it is sent again.
        audience: whom it is for.
        type: such as ``proposal.approved``.
        at_s: when it happened, in seconds since the epoch.
        subject: one line.
        text: lines for people.
        data: the same for programs.
    """

    id: str
    audience: Audience
    type: str
    at_s: int
    subject: str
    text: str
    data: dict[str, Json]


_SUBJECTS = {
    ChangeKind.PROPOSED: "approval wanted: {what}",
    ChangeKind.APPROVED: "approved by {actor}, {count}: {what}",
    ChangeKind.REVIEWED: "reviewed by {actor}: {what}",
    ChangeKind.QUORUM: "enough approvals: {what}",
    ChangeKind.PROMOTABLE: "can be promoted now: {what}",
    ChangeKind.PROMOTED: "promoted: {what}",
    ChangeKind.GLASS_BROKEN: "promoted WITHOUT A QUORUM by {actor}: {what}",
    ChangeKind.REJECTED: "rejected by {actor}: {what}",
    ChangeKind.WITHDRAWN: "withdrawn by {actor}: {what}",
    ChangeKind.EXPIRED: "expired: {what}",
    ChangeKind.REVOKED: "version revoked by {actor}: {what}",
    ChangeKind.POLICY_CHANGED: "its policy changed: {what}",
}
_SENTENCES = {
    ChangeKind.PROPOSED: "{actor} asks that {what}.",
    ChangeKind.APPROVED: "{actor} approved that {what}.",
    ChangeKind.REVIEWED: "{actor} looked at the proposal that {what}. A review counts towards no "
    "quorum.",
    ChangeKind.QUORUM: "{actor} approved that {what}. With that there are enough approvals.",
    ChangeKind.PROMOTABLE: "The delay is over: nothing is missing any more, so that {what}.",
    ChangeKind.PROMOTED: "It is done: from now on {what}.",
    ChangeKind.GLASS_BROKEN: "{actor} broke the glass, without a quorum: from now on {what}. This "
    "stays flagged for ever.",
    ChangeKind.REJECTED: "{actor} rejected that {what}. The proposal is closed.",
    ChangeKind.WITHDRAWN: "{actor} withdrew the proposal that {what}. It is closed.",
    ChangeKind.EXPIRED: "Nobody promoted in time what was proposed, that {what}.",
    ChangeKind.REVOKED: "{actor} revoked the version while it was proposed that {what}. It can't "
    "be promoted any more.",
    ChangeKind.POLICY_CHANGED: "The policy of the target changed while it was proposed that "
    "{what}. This proposal can't be promoted any more.",
}


def describe_change(change: ProposalChange) -> Message:
    """A change of a proposal, for approvers."""
    model, target = _safe(change.model), _safe(change.target)
    actor = "somebody" if change.actor is None else _person(change.actor)
    count = f"{len(change.approved_by)} of {change.threshold}"
    subject = _SUBJECTS[change.kind].format(
        what=f"{model} version {change.version} for {target}", actor=actor, count=count
    )
    becomes = {ChangeKind.PROMOTED: "is", ChangeKind.GLASS_BROKEN: "is"}
    verb = becomes.get(change.kind, "becomes")
    sentence = _SENTENCES[change.kind].format(
        what=f"version {change.version} of {model} {verb} current for {target}", actor=actor
    )
    blocks = [sentence, _rows(_change_rows(change)), _next(change)]
    return Message(
        id=change.notice_id,
        audience=Audience.APPROVERS,
        type=f"proposal.{change.kind}",
        at_s=change.at_s,
        subject=_subject(subject),
        text="\n\n".join(block for block in blocks if block) + "\n",
        data=change.to_json(),
    )


def describe_alarm(alarm: AlarmNotice) -> Message:
    """An alarm, for operators."""
    kind, about = _safe(alarm.kind), _safe(alarm.subject)
    stands = alarm.state is AlarmState.RAISED
    since = _time(alarm.since_us // 1_000_000)
    if stands:
        head = f"An alarm stands: {kind}, about {about}."
        blocks = [
            head,
            _safe(alarm.detail),
            _rows([("Since", since), ("Deployment", _safe(alarm.deployment_id))]),
            f"What it means, and what to do: {RUNBOOK}#{kind}\n"
            "See what stands, and say that you have seen it:\n"
            "  mlops-chain alarm list\n"
            f"  mlops-chain alarm acknowledge {quote_word(alarm.kind)} "
            f"{quote_word(alarm.subject)} --reason 'what I found'",
        ]
    else:
        blocks = [
            f"An alarm ended: {kind}, about {about}.",
            _rows(
                [
                    ("It said", _safe(alarm.detail)),
                    ("From", since),
                    ("Until", _time(alarm.at_us // 1_000_000)),
                    ("Deployment", _safe(alarm.deployment_id)),
                ]
            ),
            "See what still stands:\n  mlops-chain alarm list",
        ]
    state = "alarm" if stands else "alarm ended"
    return Message(
        id=alarm.notice_id,
        audience=Audience.OPERATORS,
        type=f"alarm.{alarm.state}",
        at_s=alarm.at_us // 1_000_000,
        subject=_subject(f"{state}: {kind} ({about})"),
        text="\n\n".join(blocks) + "\n",
        data=alarm.to_json(),
    )


def describe_test(id_: str, audience: Audience, at_s: int, deployment_id: str) -> Message:
    """What `mlops-chain notify test` sends."""
    what = "new and changed proposals" if audience is Audience.APPROVERS else "alarms"
    return Message(
        id=id_,
        audience=audience,
        type="test",
        at_s=at_s,
        subject=_subject("test: you will be told here"),
        text=f"This is a test. Here you will be told of {what} of the deployment "
        f"{_safe(deployment_id)}.\n\nNothing has to be done.\n",
        data={"deployment": deployment_id, "audience": str(audience)},
    )


def _change_rows(change: ProposalChange) -> Iterator[tuple[str, str]]:
    if change.reason:
        yield "Reason", _safe(change.reason)
    yield "Requester", _person(change.requester)
    if change.threshold:
        yield "Approvals", _approvals(change)
    if change.may_still_approve:
        yield "May approve", ", ".join(map(_person, change.may_still_approve))
    if change.is_open:
        yield from _check_rows(change.checks, _person(change.requester))
        if change.earliest_s > change.at_s:
            yield "Earliest", _time(change.earliest_s)
        yield "Deadline", _time(change.deadline_s)
    yield "Proposal", to_hex(change.proposal_id)
    where = f"chain {change.chain_id}, block {change.block_number}"
    yield "On chain", where if change.tx_hash is None else f"{where}, {to_hex(change.tx_hash)}"


def _check_rows(checks: ReportedChecks | None, requester: str) -> Iterator[tuple[str, str]]:
    """As `mlops-chain approvals` shows them: what passed, every warning, and what is wrong."""
    if checks is None:
        return
    if checks.configuration is not None:
        passed = ", ".join(map(_safe, checks.passed))
        configuration = to_hex(checks.configuration)[:_SHORT]
        yield "Checks", f"passed, says {requester}: {passed}; configuration {configuration}…"
    for warning in checks.warnings:
        yield "Warning", f"{_safe(warning.check)}: {_safe(warning.text)}"
    more = checks.warning_count - len(checks.warnings)
    if more > 0:
        yield "Warning", f"and {more} more, which mlops-chain approvals shows"
    if checks.obstacle:
        yield "Checks", _safe(checks.obstacle)


def _approvals(change: ProposalChange) -> str:
    count = f"{len(change.approved_by)} of {change.threshold}"
    names = ", ".join(map(_person, change.approved_by))
    return f"{count} ({names})" if names else count


def _next(change: ProposalChange) -> str:
    short = to_hex(change.proposal_id)[:_SHORT]
    model = quote_word(change.model.rpartition("/")[2])
    history = f"Who did what, and when:\n  mlops-chain model history {model} --proposal {short}"
    match change.kind:
        case ChangeKind.PROPOSED | ChangeKind.APPROVED | ChangeKind.REVIEWED:
            return (
                "Look at it, and approve it; the text is shown before anything is signed:\n"
                f"  mlops-chain model approve {short} --key YOUR_KEY\n"
                "or reject it:\n"
                f"  mlops-chain model reject {short} --reason 'why' --key YOUR_KEY"
            )
        case ChangeKind.QUORUM | ChangeKind.PROMOTABLE:
            waits = change.earliest_s > change.at_s
            when = f"from {_time(change.earliest_s)} on" if waits else "now"
            return (
                f"A relay promotes it by itself {when}; where none syncs, anybody may:\n"
                f"  mlops-chain model promote {short}"
            )
        case ChangeKind.PROMOTED | ChangeKind.GLASS_BROKEN:
            return history
        case _:
            return (
                f"{history}\nA new proposal may take it up again:\n"
                f"  mlops-chain model propose {model} {change.version} "
                f"--target {quote_word(change.target)} --supersedes {short} --key YOUR_KEY"
            )


def _rows(rows: Iterator[tuple[str, str]] | list[tuple[str, str]]) -> str:
    found = list(rows)
    width = max(len(name) for name, _ in found)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in found)


def _person(person: Person) -> str:
    return _safe(str(person))


def _safe(text: str) -> str:
    return escape_unprintable(text)


def _time(time_s: int) -> str:
    try:
        return show_time(time_s)
    except InvalidInput:
        return f"{time_s} s since 1970"


def _subject(text: str) -> str:
    whole = f"[mlops-chain] {text}"
    return whole if len(whole) <= _SUBJECT else whole[: _SUBJECT - 1] + "…"


def to_timestamp(time_s: int) -> str:
    """ISO 8601 in UTC, for programs."""
    return datetime.fromtimestamp(time_s, UTC).isoformat().replace("+00:00", "Z")
