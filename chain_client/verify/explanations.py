"""Differences that a person explained: how an explanation is made, signed, read and checked.

The exact format is in ``docs/reference/explanations.md``. An explanation is a recorded event like
any other; only one that the deployment's owner has signed counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chain_client import records
from chain_client.canonical import encode
from chain_client.errors import ChainError, InvalidEvent
from chain_client.event_codec import decode_event
from chain_client.events import Event, Json, OutcomeStatus, Subject
from chain_client.hosts import Finding
from chain_client.ledger.deployment import Deployment
from chain_client.signing import Signer
from chain_client.signing.eip712 import Domain, find_signer, sign_digest, typed_digest
from chain_client.types import Address, from_hex, to_hex
from chain_client.verify.evidence import Evidence

STORE_EXPLAINED = "store.explained"
KINDS = ("restored_backup", "gc", "manual_edit", "other")
"""What a person may say was the cause."""
MAX_FINDINGS = 500
"""Most findings that one event explains."""
MAX_BYTES = 4_000_000
"""Most bytes of canonical JSON that they take, unless one alone takes more."""

_TEXTS = ("deployment", "kind", "reason", "who", "signer", "signature")

Item = list[Json]
"""Kind, subject, expected and actual of a finding."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What a person says of findings in one database.

    Args:
        deployment_id: whose log it is recorded in.
        store_id: the database.
        kind: one of `KINDS`.
        reason: in the person's own words.
        who: the name the person gave.
        time_us: wall time, in µs since the epoch.
        items: the findings.
    """

    deployment_id: str
    store_id: str
    kind: str
    reason: str
    who: str
    time_us: int
    items: Sequence[Item]

    def digest(self, deployment: Deployment) -> bytes:
        """The 32 bytes that are signed (EIP-712).

        Raises:
            InvalidInput: a text or value that has no canonical form.
        """
        return typed_digest(
            Domain(deployment.chain_id, deployment.event_log),
            "Explanation",
            {
                "deployment": self.deployment_id,
                "store": self.store_id,
                "kind": self.kind,
                "reason": self.reason,
                "who": self.who,
                "timeUs": self.time_us,
                "findings": len(self.items),
                "findingsHash": hashlib.sha256(encode(list(self.items))).digest(),
            },
        )

    def to_payload(self, deployment: Deployment, signer: Signer) -> dict[str, Json]:
        """The payload of the event that records it, signed.

        Raises:
            ConfigurationError: the key can't be read or unlocked.
            InvalidInput: as `digest`.
        """
        return {
            "deployment": self.deployment_id,
            "kind": self.kind,
            "reason": self.reason,
            "who": self.who,
            "time_us": self.time_us,
            "findings": list(self.items),
            "signer": to_hex(signer.address()),
            "signature": to_hex(sign_digest(signer, self.digest(deployment))),
        }


def to_item(finding: Finding) -> Item:
    """A finding as an explanation names it: with the values that the log gives back."""
    item: Json = [finding.kind, finding.subject, finding.expected, finding.actual]
    plain = records.as_recorded(item)
    assert isinstance(plain, list)
    return plain


def subject_of(store_id: str) -> Subject:
    """The subject of explanations of a database."""
    return Subject(store_id, "store", store_id)


def split(items: Sequence[Item]) -> Iterator[list[Item]]:
    """The items in parts of bounded size, each for one event."""
    part: list[Item] = []
    size_bytes = 0
    for item in items:
        length = len(encode(item))
        if part and (len(part) == MAX_FINDINGS or size_bytes + length > MAX_BYTES):
            yield part
            part, size_bytes = [], 0
        part.append(item)
        size_bytes += length
    if part:
        yield part


@dataclass(frozen=True, slots=True)
class Explained:
    """A finding that counts no longer as a difference, and why."""

    finding: Finding
    kind: str
    reason: str
    who: str
    time_us: int
    signer: str

    def to_json(self) -> dict[str, Json]:
        """All of it by name."""
        found = self.finding
        return {
            "kind": found.kind,
            "subject": found.subject,
            "expected": found.expected,
            "actual": found.actual,
            "detail": found.detail,
            "explanation": {
                "kind": self.kind,
                "reason": self.reason,
                "who": self.who,
                "time_us": self.time_us,
                "signer": self.signer,
            },
        }


@dataclass(slots=True)
class Explanations:
    """What was explained in one database.

    Args:
        findings: explanations that count for nothing.
    """

    findings: list[Finding] = field(default_factory=list)
    _statements: dict[bytes, tuple[Statement, str]] = field(default_factory=dict)

    def add(self, statement: Statement, signer: str) -> None:
        """Let a statement count; of several about a finding, the latest does."""
        for item in statement.items:
            key = encode(item)
            known = self._statements.get(key)
            if known is None or known[0].time_us < statement.time_us:
                self._statements[key] = statement, signer

    def find(self, finding: Finding) -> Explained | None:
        """The explanation of a finding, if there is one.

        One does not count if the difference rests on what was recorded after it: then it came up
        anew.
        """
        if not self._statements:
            return None
        try:
            found = self._statements.get(encode(to_item(finding)))
        except InvalidEvent:
            return None
        if found is None:
            return None
        statement, signer = found
        if finding.recorded_us is not None and finding.recorded_us > statement.time_us:
            return None
        return Explained(
            finding,
            statement.kind,
            statement.reason,
            statement.who,
            statement.time_us,
            signer,
        )


def read_explanations(evidence: Evidence, store_id: str) -> Explanations:
    """Every explanation that is recorded of a database, checked.

    Raises:
        LogUnavailable: the log can't be read.
    """
    found = Explanations()
    for event in _events(evidence, store_id):
        try:
            statement, signer = _checked(event, store_id, evidence.deployment)
        except ChainError as exc:
            found.findings.append(
                Finding(
                    "explanation_unexpected",
                    f"store {store_id}/explanation {event.event_id.hex()}",
                    None,
                    {"signer": _shown(event.payload.get("signer"))},
                    f"an explanation that counts for nothing: {exc}",
                )
            )
        else:
            found.add(statement, signer)
    return found


def _events(evidence: Evidence, store_id: str) -> Iterator[Event]:
    # Read first: a relay may move some of it into the log meanwhile.
    found = {
        event.event_id: event
        for event in evidence.spooled().events.values()
        if event.subject == subject_of(store_id)
    }
    for entry in evidence.log.find_events(subject_of(store_id).to_key()):
        try:
            event = decode_event(entry.event or b"")
        except InvalidEvent:
            continue  # the step on leaves has named it
        found[event.event_id] = event
    return (event for event in found.values() if event.type == STORE_EXPLAINED)


def _checked(event: Event, store_id: str, deployment: Deployment) -> tuple[Statement, str]:
    """The statement, and its signer in hex.

    Raises:
        InvalidEvent: it is not the owner's, or not what was signed.
    """
    payload: Mapping[str, Any] = event.payload
    if not all(isinstance(payload.get(name), str) for name in _TEXTS):
        raise InvalidEvent("it is not whole")
    if type(payload.get("time_us")) is not int:
        raise InvalidEvent("it is not whole")
    statement = Statement(
        payload["deployment"],
        store_id,
        payload["kind"],
        payload["reason"],
        payload["who"],
        payload["time_us"],
        payload.get("findings", []),
    )
    if event.subject != subject_of(store_id) or event.status is not OutcomeStatus.DONE:
        raise InvalidEvent("it is not recorded as an explanation is")
    if statement.deployment_id != deployment.deployment_id:
        raise InvalidEvent("it is of another deployment")
    _check_items(statement.items)
    signer = find_signer(statement.digest(deployment), from_hex(payload["signature"], size=65))
    if signer is None or to_hex(signer) != payload["signer"]:
        raise InvalidEvent("its signature is not of what it says")
    if signer not in trusted_signers(deployment):
        raise InvalidEvent(f"{to_hex(signer)} signed it, which is not the deployment's owner")
    return statement, to_hex(signer)


def trusted_signers(deployment: Deployment) -> set[Address]:
    """Addresses whose explanations count: the deployment's owner."""
    return {deployment.owner}


def _check_items(items: object) -> None:
    if not isinstance(items, list) or not items or len(items) > MAX_FINDINGS:
        raise InvalidEvent(f"expected 1 to {MAX_FINDINGS} findings")
    for item in items:
        if not isinstance(item, list) or len(item) != 4:
            raise InvalidEvent("expected kind, subject, expected and actual of each finding")


def _shown(value: object) -> Json:
    return value[:64] if isinstance(value, str) else None
