"""A rollback or removal that enough approvers signed while the chain can't be reached. Pure.

The rules are those of the contract (`rollback` and `remove`), applied to the last snapshot, so
that what is accepted here is accepted there when the chain is back. Where the files lie:
`emergency_files`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from chain_client.errors import PromotionDenied
from chain_client.gate.snapshot import Snapshot
from chain_client.ledger.model_registry_values import Cause, Current, Policy
from chain_client.registry.returns import ReturnDocument
from chain_client.registry.statements import SignedStatement
from chain_client.types import Address, Digest, to_hex

Signatures: TypeAlias = tuple[tuple[Address, bytes], ...]

MAX_SIGNATURES = 64
"""More than a group can have members."""


class Flaw(StrEnum):
    """Why an emergency does not count. Stable: programs may look at it."""

    FOREIGN = "foreign_deployment"
    CLOCK_BEHIND = "clock_behind"
    EXPIRED = "deadline_passed"
    PAUSED = "registry_paused"
    NOT_GATED = "no_policy"
    WRONG_SEQUENCE = "sequence_moved"
    NOT_FORMER = "not_formerly_current"
    REVOKED = "version_revoked"
    NOTHING_CURRENT = "nothing_current"
    TOO_MANY = "too_many_signatures"
    NOT_A_MEMBER = "not_approver"
    REJOINED = "stale_signature"
    DUPLICATE = "duplicate_signer"
    NOT_CHECKABLE = "signature_not_checkable"
    TOO_FEW = "quorum_missing"


class EmergencyRefused(PromotionDenied):
    """An emergency does not count.

    Args:
        flaw: why.
        text: what is wrong and what to do.
    """

    def __init__(self, flaw: Flaw, text: str) -> None:
        super().__init__(text)
        self.flaw = flaw


@dataclass(frozen=True, slots=True)
class Emergency:
    """What was signed, and by whom.

    Args:
        document: the rollback or removal.
        signatures: signers with their signatures, in ascending order of signers.
    """

    document: ReturnDocument
    signatures: Signatures

    @property
    def id(self) -> str:
        """Hex of the hash that was signed."""
        return self.document.id.hex()

    def after(self, current: Current, snapshot: Snapshot) -> Current:
        """What is current once it counts.

        Args:
            current: what was current before.
            snapshot: holds the proposal to which it goes back.
        """
        former = self.document.former
        return Current(
            self.document.version,
            Digest(bytes(32)) if former is None else snapshot.former[former.id].digest,
            current.sequence + 1,
            0,
            Cause.REMOVED if former is None else Cause.ROLLED_BACK,
            is_revoked=False,
        )


def combine(statements: Iterable[SignedStatement]) -> Emergency:
    """The emergency of several files, each signed by one approver.

    Raises:
        EmergencyRefused: one signed twice.
        PromotionDenied: there are none, one is not signed, or they are not about one thing.
    """
    files = list(statements)
    if not files:
        raise PromotionDenied("no signed file was given")
    document = files[0].document
    if not isinstance(document, ReturnDocument):
        raise PromotionDenied("offline only a rollback or a removal can be signed")
    signatures: dict[Address, bytes] = {}
    for file in files:
        if file.document != document or file.statement != document.statement():
            raise PromotionDenied("the files are about different things")
        if file.signer is None or file.signature is None:
            raise PromotionDenied("one of the files is not signed")
        if file.signer in signatures:
            raise EmergencyRefused(
                Flaw.DUPLICATE, f"{to_hex(file.signer)} signed twice; each approver counts once"
            )
        signatures[file.signer] = file.signature
    return Emergency(document, tuple(sorted(signatures.items())))


def check_emergency(
    emergency: Emergency, snapshot: Snapshot, current: Current, now_s: float
) -> None:
    """See that an emergency counts on top of what is current.

    Args:
        emergency: what was signed.
        snapshot: the registry as it was last seen.
        current: what is current for its target: the snapshot's, or what other emergencies made.
        now_s: local time.

    Raises:
        EmergencyRefused: it does not.
    """
    flaw = (
        _flaw_of_place(emergency.document, snapshot, now_s)
        or _flaw_of_return(emergency.document, snapshot, current)
        or _flaw_of_signers(emergency, snapshot)
    )
    if flaw is not None:
        raise EmergencyRefused(*flaw)


_Found: TypeAlias = tuple[Flaw, str] | None


def _flaw_of_place(document: ReturnDocument, snapshot: Snapshot, now_s: float) -> _Found:
    domain = document.domain
    if (domain.chain_id, domain.contract) != (snapshot.chain_id, snapshot.registry):
        return Flaw.FOREIGN, "it was signed for another deployment"
    if now_s < snapshot.block.timestamp_s:
        return Flaw.CLOCK_BEHIND, (
            "this machine's clock is behind the last block that was seen, so nobody can tell "
            "whether the deadline has passed; set the clock"
        )
    if now_s > document.deadline_s:
        return Flaw.EXPIRED, "its deadline has passed; have a new one signed"
    if snapshot.is_paused or snapshot.successor is not None:
        return Flaw.PAUSED, "the registry is paused or was succeeded, and would refuse it"
    return None


def _flaw_of_return(document: ReturnDocument, snapshot: Snapshot, current: Current) -> _Found:
    if snapshot.policy_of(document.model_id, document.target_id) is None:
        return Flaw.NOT_GATED, f"{document.target} is not gated; no approval is needed"
    if document.sequence != current.sequence:
        return Flaw.WRONG_SEQUENCE, (
            f"it was signed for sequence {document.sequence} of {document.target}, which is at "
            f"{current.sequence}; have one signed for that"
        )
    former = document.former
    if former is None:
        if current.version == 0:
            return Flaw.NOTHING_CURRENT, f"no version is current for {document.target}"
        return None
    known = snapshot.former.get(former.id)
    if known is None or (known.model, known.target) != (document.model_id, document.target_id):
        return Flaw.NOT_FORMER, f"version {former.version} was never current there"
    if (known.model, known.version) in snapshot.revoked:
        return Flaw.REVOKED, f"version {known.version} was revoked"
    return None


def _flaw_of_signers(emergency: Emergency, snapshot: Snapshot) -> _Found:
    document, signatures = emergency.document, emergency.signatures
    policy = snapshot.policy_of(document.model_id, document.target_id)
    assert policy is not None
    if len(signatures) > MAX_SIGNATURES:
        return Flaw.TOO_MANY, f"{len(signatures)} signatures are more than a group has members"
    statement = document.statement()
    seen: set[Address] = set()
    for signer, signature in signatures:
        who = to_hex(signer)
        if signer in seen:
            return Flaw.DUPLICATE, f"{who} signed twice; each approver counts once"
        seen.add(signer)
        flaw = _flaw_of_member(signer, policy, snapshot)
        if flaw is not None:
            return flaw
        if statement.find_signer(signature) != signer:
            return Flaw.NOT_CHECKABLE, (
                f"the signature of {who} was not made by a key of that address over this text. "
                "What a contract's wallet (ERC-1271) signed can't be checked while the chain "
                "can't be reached: let an approver with a key sign"
            )
    if len(signatures) < policy.threshold:
        return Flaw.TOO_FEW, f"{len(signatures)} of {policy.threshold} signatures are there"
    return None


def _flaw_of_member(signer: Address, policy: Policy, snapshot: Snapshot) -> _Found:
    seats: Sequence[bool] = [
        m.is_member for m in snapshot.groups.get(policy.group, ()) if m.address == signer
    ]
    if not any(seats):
        return Flaw.NOT_A_MEMBER, f"{to_hex(signer)} is no member of the approver group"
    if len(seats) > 1:
        return Flaw.REJOINED, (
            f"{to_hex(signer)} left the group and joined it again; what it signs offline can't be "
            "told from what it signed before. Let another approver sign"
        )
    return None
