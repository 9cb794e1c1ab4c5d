"""What the log and the spools hold of governance in one database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chain_client.errors import ChainError, InvalidEvent
from chain_client.event_codec import decode_event
from chain_client.events import Event, Subject
from chain_client.gate.emergency_files import EMERGENCY_SIGNED, EMERGENCY_SUBJECT
from chain_client.hosts import Recorded, Remark
from chain_client.log import Log
from chain_client.registry.identity import Salt
from chain_client.registry.returns import ReturnDocument
from chain_client.registry.summaries import check_return_summary
from chain_client.signing.eip712 import Domain
from chain_client.sync.hosting import TARGET_MOVED, TARGET_SUBJECT
from chain_client.sync.timeline import Timeline
from chain_client.types import Address, Digest, from_hex
from chain_client.verify.registry_attempts import show_us
from chain_client.verify.registry_emergencies import Emergency
from chain_client.verify.spooled import Spooled


def recorded_by(log: Log, spooled: Spooled, store_id: str) -> Recorded:
    """Gives what was recorded of a subject of a database, wherever it stands now."""

    def recorded(kind: str, subject_id: str, below: bool) -> Iterator[Event]:
        key = Subject(store_id, kind, subject_id).to_key()
        known = set()
        for entry in log.find_events(key, exact=not below):
            try:
                event = decode_event(entry.event or b"")
            except InvalidEvent:
                continue  # the step on leaves has named it
            known.add(event.event_id)
            yield event
        for event in spooled.events.values():
            found = event.subject.to_key()
            is_there = found.startswith(key) if below else found == key
            if is_there and event.event_id not in known:
                yield event

    return recorded


def read_emergencies(
    recorded: Recorded, timeline: Timeline, domain: Domain, salt: Salt
) -> dict[Emergency, Remark]:
    """What enough approvers signed for a registry while it was out of reach, with a word for
    people.

    One that is for another registry, whose text lies, whose signatures do not hold, or are too
    few, counts for nothing. How long the others count is said by `Emergencies`.

    Args:
        recorded: of one database.
        timeline: of the registry.
        domain: under which it is signed for that registry.
        salt: the deployment's.
    """
    found: dict[Emergency, Remark] = {}
    for event in recorded(EMERGENCY_SUBJECT, "", True):
        if event.type != EMERGENCY_SIGNED:
            continue
        try:
            document = ReturnDocument.from_json(event.payload.get("return"))
            check_return_summary(document, salt)
            signatures: Any = event.payload.get("signatures")
            signers = {_signer(document, who, text) for who, text in signatures} - {None}
        except (ChainError, TypeError, ValueError):
            continue
        at_s = event.time_us / 1e6
        if document.domain != domain or not _is_known(timeline, document):
            continue
        if not _are_enough(timeline, document, signers, at_s):
            continue
        emergency = Emergency(
            (document.model_id, document.target_id),
            document.version,
            document.sequence,
            document.deadline_s,
            event.time_us,
        )
        wanted = f"version {document.version}" if document.version else "no version"
        found[emergency] = Remark(
            f"model {document.model.name}/{document.target}",
            f"{len(signers)} approvers signed offline for {wanted} at {show_us(event.time_us)}",
        )
    return found


def read_moves(recorded: Recorded) -> Iterator[Remark]:
    """What sync found moved past the gate, and set back."""
    for event in recorded(TARGET_SUBJECT, "", True):
        if event.type == TARGET_MOVED:
            payload = event.payload
            yield Remark(
                f"model {payload.get('model')}/{payload.get('target')}",
                f"it was moved past the gate to {payload.get('found')} and set back at "
                f"{show_us(event.time_us)}",
            )


def _signer(document: ReturnDocument, who: str, signature: str) -> Address | None:
    claimed = Address(from_hex(who, size=20))
    found = document.statement().find_signer(from_hex(signature))
    return claimed if found == claimed else None


def _is_known(timeline: Timeline, document: ReturnDocument) -> bool:
    """Whether it goes back to what had been current there, or to nothing."""
    former = document.former
    changes = timeline.changes.get((document.model_id, document.target_id), ())
    known = {change.proposal for change in changes if change.sequence <= document.sequence}
    return former is None or former.id in known


def _are_enough(
    timeline: Timeline, document: ReturnDocument, signers: set[Any], at_s: float
) -> bool:
    key = (document.model_id, document.target_id)
    policy = timeline.policy_at(key, at_s)
    if policy is None:
        return False
    seats = timeline.state.groups.get(Digest(policy.group), [])
    began_s = max(
        (c.at_s for c in timeline.changes.get(key, ()) if c.sequence <= document.sequence),
        default=0,
    )
    taken: set[Address] = set()
    members: set[Address] = set()
    for seat in sorted(seats, key=lambda found: found.since_s):
        is_member = seat.since_s <= at_s and (seat.until_s is None or at_s < seat.until_s)
        # What somebody signed before leaving the group does not count again on coming back.
        if is_member and (seat.address not in taken or seat.since_s < began_s):
            members.add(seat.address)
        taken.add(seat.address)
    return len(signers & members) >= policy.threshold
