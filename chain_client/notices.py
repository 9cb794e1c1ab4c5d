"""What observers are told: a proposal changed, an alarm began to stand or ended.

Frozen values of plain parts; notices hold no secret, no salt and no payload. How they come about is
in `chain_client.relay.proposal_changes` and `chain_client.relay.alarm_changes`; who is told, in
`chain_client.observing`. Signatures here are stable.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from chain_client.events import Json
from chain_client.types import Address, Digest, TxHash, to_hex

__all__ = [
    "AlarmNotice",
    "AlarmState",
    "ChangeKind",
    "CheckWarning",
    "NotifySettings",
    "ObserverSettings",
    "Person",
    "ProposalChange",
    "ReportedChecks",
]


class ChangeKind(StrEnum):
    """What happened to a proposal. More may be added."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    """One more approval."""
    REVIEWED = "reviewed"
    QUORUM = "quorum"
    """With this approval there are enough of them."""
    PROMOTABLE = "promotable"
    """The delay that its policy asks for is over, and there are enough approvals."""
    PROMOTED = "promoted"
    GLASS_BROKEN = "glass-broken"
    """It was promoted without a quorum, by breaking the glass."""
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    """Its deadline has passed, and it was not promoted."""
    REVOKED = "revoked"
    """Its version was revoked while it was open: it can't be promoted any more."""
    POLICY_CHANGED = "policy-changed"
    """The policy of its target changed while it was open: it can't be promoted any more."""


class AlarmState(StrEnum):
    """Whether an alarm stands."""

    RAISED = "raised"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever acts with a key.

    Args:
        address: of the key.
        name: that the deployment's owner bound to it; empty if none is.
    """

    address: Address
    name: str = ""

    def __str__(self) -> str:
        """The name, else the address, shortened."""
        text = to_hex(self.address)
        return self.name or f"{text[:8]}…{text[-4:]}"

    def to_json(self) -> dict[str, Json]:
        """All of it by name."""
        return {"address": to_hex(self.address), "name": self.name or None}


@dataclass(frozen=True, slots=True)
class CheckWarning:
    """What a check has approvers read before they sign.

    Args:
        check: its name in the policy file.
        text: of the finding.
    """

    check: str
    text: str

    def to_json(self) -> dict[str, Json]:
        """All of it by name."""
        return {"check": self.check, "text": self.text}


@dataclass(frozen=True, slots=True)
class ReportedChecks:
    """What the report of checks says that a proposal binds. The requester says it, nobody else.

    Args:
        report: its digest; None if it can't be read.
        configuration: hash of what was applied for the checks, by the report; None likewise.
        passed: each check with its plugin, for people.
        warnings: the first of them.
        warning_count: how many there are.
        obstacle: why nobody should rely on it (yet), for people; empty if nothing is wrong.
    """

    report: Digest | None = None
    configuration: Digest | None = None
    passed: tuple[str, ...] = ()
    warnings: tuple[CheckWarning, ...] = ()
    warning_count: int = 0
    obstacle: str = ""

    def to_json(self) -> dict[str, Json]:
        """All of it by name."""
        return {
            "report": None if self.report is None else to_hex(self.report),
            "configuration": None if self.configuration is None else to_hex(self.configuration),
            "passed": list(self.passed),
            "warnings": [warning.to_json() for warning in self.warnings],
            "warning_count": self.warning_count,
            "obstacle": self.obstacle or None,
        }


@dataclass(frozen=True, slots=True)
class ProposalChange:
    """One change of one proposal, which is final on chain.

    Args:
        notice_id: of this change; the same whoever tells it, and whenever it is told again.
        kind: what happened.
        at_s: block time in seconds since the epoch; for what time alone brought about, when.
        block_number: block of the change; for what time alone brought about, one that saw it.
        tx_hash: the transaction; None for what time alone brought about.
        deployment_id: of the home's deployment.
        chain_id: of the chain.
        registry: the contract.
        proposal_id: the proposal.
        model: name of the registered model as it is shown; its id on chain where the log has no
            name that the salt confirms.
        version: number of the version.
        target: such as ``alias:champion``; its id on chain likewise.
        requester: who proposed.
        actor: whose doing the change was; None where anybody may have sent it, or time did it.
        approved_by: whose approvals count, in order.
        threshold: how many are needed.
        may_still_approve: members of the group who have not approved, and are neither requester
            nor registrant; empty once the proposal is closed.
        earliest_s: block time from which it can be promoted, given the approvals.
        deadline_s: block time after which it can't be promoted any more.
        is_open: whether it can still be promoted, after this change.
        reason: that was given, in words; empty if none was, or the log does not have it.
        checks: what its report of checks says; None where it names none.
    """

    notice_id: str
    kind: ChangeKind
    at_s: int
    block_number: int
    tx_hash: TxHash | None
    deployment_id: str
    chain_id: int
    registry: Address
    proposal_id: Digest
    model: str
    version: int
    target: str
    requester: Person
    actor: Person | None
    approved_by: tuple[Person, ...]
    threshold: int
    may_still_approve: tuple[Person, ...]
    earliest_s: int
    deadline_s: int
    is_open: bool
    reason: str = ""
    checks: ReportedChecks | None = None

    def to_json(self) -> dict[str, Json]:
        """All of it by name."""
        return {
            "id": self.notice_id,
            "kind": str(self.kind),
            "at_s": self.at_s,
            "block": self.block_number,
            "transaction": None if self.tx_hash is None else to_hex(self.tx_hash),
            "deployment": self.deployment_id,
            "chain_id": self.chain_id,
            "registry": to_hex(self.registry),
            "proposal": to_hex(self.proposal_id),
            "model": self.model,
            "version": self.version,
            "target": self.target,
            "requester": self.requester.to_json(),
            "actor": None if self.actor is None else self.actor.to_json(),
            "approved_by": [person.to_json() for person in self.approved_by],
            "threshold": self.threshold,
            "may_still_approve": [person.to_json() for person in self.may_still_approve],
            "earliest_s": self.earliest_s,
            "deadline_s": self.deadline_s,
            "is_open": self.is_open,
            "reason": self.reason or None,
            "checks": None if self.checks is None else self.checks.to_json(),
        }


@dataclass(frozen=True, slots=True)
class AlarmNotice:
    """An alarm began to stand, or ended.

    Args:
        notice_id: of this change; the same whoever tells it, and whenever it is told again.
        state: whether it stands now.
        kind: of the alarm, as the runbook lists them.
        subject: what it is about.
        detail: what happened, in words.
        since_us: since when it stands or stood, in µs since the epoch.
        at_us: of this change, in µs since the epoch.
        count: how often its cause was met meanwhile.
        deployment_id: of the home's deployment.
    """

    notice_id: str
    state: AlarmState
    kind: str
    subject: str
    detail: str
    since_us: int
    at_us: int
    count: int
    deployment_id: str

    def to_json(self) -> dict[str, Json]:
        """All of it by name."""
        return {
            "id": self.notice_id,
            "state": str(self.state),
            "alarm": self.kind,
            "subject": self.subject,
            "detail": self.detail,
            "since_us": self.since_us,
            "at_us": self.at_us,
            "count": self.count,
            "deployment": self.deployment_id,
        }


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """The settings ``notify.*``, each by its name. Paths of webhooks are as good as passwords."""

    approvers: str = ""
    operators: str = ""
    approvers_webhook_url: str = field(default="", repr=False)
    operators_webhook_url: str = field(default="", repr=False)
    webhook_secret_file: str = ""
    smtp_url: str = ""
    smtp_user: str = ""
    smtp_password_file: str = ""
    email_from: str = ""


@dataclass(frozen=True, slots=True)
class ObserverSettings:
    """What an observer is given of the relay's settings: no more than it needs.

    Args:
        home: the relay's; a plugin may have files of its own there.
        notify: for one receiver; only our own notifier is given it.
    """

    home: Path
    notify: NotifySettings = NotifySettings()
