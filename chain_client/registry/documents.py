"""The readable side of governance in the log: how it is noted, and how it is read back.

The contract holds hashes. What they stand for are events of the log, and each is checked when it
is read: a document by its id, a reason by its hash, a name by the deployment's salt. What does not
fit counts for nothing. Signatures here are stable.

=====================  ==========================================  =============================
event                  subject                                     payload
=====================  ==========================================  =============================
``proposal.written``   ``Subject(store_id, "proposal", id)``       ``document``
``return.written``     ``Subject(store_id, "return", id)``         ``document``
``approval.written``   that of the proposal or return              ``statement``
``reason.written``     ``Subject("", "reason", hash)``             ``text``
``name.written``       ``Subject("", "name", id)``                 ``kind`` and what is hashed
``checks.reported``    ``Subject(store_id, "checks", digest)``     ``report`` (`check_reports`)
=====================  ==========================================  =============================

Ids and hashes in subjects are hex with ``0x``.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from chain_client.errors import ChainError, InvalidEvent, UnknownProposal
from chain_client.event_codec import decode_event
from chain_client.events import Actor, Event, Json, Subject
from chain_client.hosts import ModelIncarnation
from chain_client.log import Log
from chain_client.registry.check_reports import CHECKS_REPORTED, CheckReport
from chain_client.registry.identity import Salt, group_id, model_id, target_id
from chain_client.registry.proposals import ProposalDocument, model_from_json, model_to_json
from chain_client.registry.returns import ReturnDocument
from chain_client.registry.statements import SignedStatement
from chain_client.registry.summaries import check_return_summary, check_summary
from chain_client.registry.targets import Target
from chain_client.registry.typed_data import hash_summary
from chain_client.types import Digest, from_hex, to_hex

PROPOSAL_WRITTEN = "proposal.written"
RETURN_WRITTEN = "return.written"
APPROVAL_WRITTEN = "approval.written"
REASON_WRITTEN = "reason.written"
NAME_WRITTEN = "name.written"

_MAX_REASON = 10_000


class Records(Protocol):
    """What is needed of a `chain_client.recorder.Recorder`."""

    def note(
        self,
        type: str,
        subject: Subject,
        payload: Mapping[str, Json],
        *,
        actor: Actor = ...,
        required: bool = False,
    ) -> None:
        """Record what needs no bracket."""


def note_document(records: Records, document: ProposalDocument | ReturnDocument) -> None:
    """Note the readable side of a proposal, rollback or removal.

    Raises:
        SpoolUnavailable: the journal can't be written.
    """
    kind = PROPOSAL_WRITTEN if isinstance(document, ProposalDocument) else RETURN_WRITTEN
    records.note(kind, _subject_of(document), {"document": document.to_json()}, required=True)


def note_statement(records: Records, statement: SignedStatement) -> None:
    """Note a signed statement, so that whoever submits finds it, and history keeps it.

    Raises:
        SpoolUnavailable: the journal can't be written.
    """
    content = statement.to_json()
    # The document is an event of its own.
    content.pop("proposal", None)
    content.pop("return", None)
    subject = _subject_of(statement.document)
    records.note(APPROVAL_WRITTEN, subject, {"statement": content}, required=True)


def hash_reason(text: str) -> Digest:
    """What stands on chain for a reason: keccak-256 of its salted text (`salt_reason`)."""
    return hash_summary(text)


def salt_reason(text: str) -> str:
    """A reason with a random last line, so that its hash says nothing.

    Raises:
        InvalidEvent: no text, or too much of it.
    """
    if not text.strip() or len(text) > _MAX_REASON:
        raise InvalidEvent(f"expected a reason of 1 to {_MAX_REASON} characters")
    return f"{text}\nSalt: {to_hex(secrets.token_bytes(32))}"


def note_reason(records: Records, salted: str) -> None:
    """Note a reason whose hash is going to stand on chain.

    Args:
        records: the process's recorder.
        salted: as `salt_reason` gave it.

    Raises:
        SpoolUnavailable: the journal can't be written.
    """
    subject = Subject("", "reason", to_hex(hash_reason(salted)))
    records.note(REASON_WRITTEN, subject, {"text": salted}, required=True)


def note_group(records: Records, salt: Salt, name: str) -> None:
    """Note what a group is called."""
    _note_name(records, group_id(salt, name), {"kind": "group", "name": name})


def note_target(records: Records, salt: Salt, target: Target) -> None:
    """Note what a target is called."""
    _note_name(records, target_id(salt, target), {"kind": "target", "name": str(target)})


def note_model(records: Records, salt: Salt, model: ModelIncarnation) -> None:
    """Note what an incarnation of a model is called."""
    key = model_id(salt, model.store_id, model.workspace, model.name, model.creation_ms)
    _note_name(records, key, {"kind": "model", "model": model_to_json(model)})


def find_proposal(log: Log, proposal_id: bytes) -> ProposalDocument | None:
    """The document of a proposal, if the log holds one whose fields hash to the id, and whose text
    is that which the fields bind."""
    for event in _events(log, "proposal", to_hex(proposal_id)):
        document = _document(event)
        if document is not None and document.id == proposal_id:
            return document
    return None


def written_proposals(log: Log, proposal_id: bytes) -> Iterator[ProposalDocument]:
    """Every document with that id that the log holds, whether its text is true or not."""
    for event in _events(log, "proposal", to_hex(proposal_id)):
        if event.type == PROPOSAL_WRITTEN:
            try:
                document = ProposalDocument.from_json(event.payload.get("document"))
            except ChainError:
                continue
            if document.id == proposal_id:
                yield document


def written_returns(log: Log) -> Iterator[ReturnDocument]:
    """Every rollback and removal that the log holds, whether its text is true or not."""
    for event in _events(log, "return", "", exact=False):
        if event.type == RETURN_WRITTEN:
            try:
                document = ReturnDocument.from_json(event.payload.get("document"))
            except ChainError:
                continue
            yield document


def get_proposal(log: Log, prefix: str) -> ProposalDocument:
    """The document of the one proposal whose id begins so.

    Args:
        log: the log.
        prefix: hex of the id's beginning, with or without ``0x``.

    Raises:
        UnknownProposal: the log holds none, or several.
    """
    wanted = "0x" + prefix.removeprefix("0x").lower()
    found = {document.id: document for document in proposals(log, wanted)}
    if len(found) != 1:
        count = "no proposal" if not found else f"{len(found)} proposals"
        raise UnknownProposal(
            f"{count} whose id begins with {wanted[:66]!r} can be read in the log; give more of "
            "the id, or the file of the proposal (a relay may still be taking it in)"
        )
    return found.popitem()[1]


def proposals(log: Log, prefix: str = "") -> Iterator[ProposalDocument]:
    """Every proposal that the log holds whose id begins so, whether it was ever sent or not."""
    for event in _events(log, "proposal", prefix, exact=False):
        document = _document(event)
        if document is not None and to_hex(document.id) == event.subject.id:
            yield document


def note_report(records: Records, store_id: str, report: CheckReport, actor: Actor) -> None:
    """Note what the checks of a proposal found, whether they passed or not.

    Raises:
        SpoolUnavailable: the journal can't be written.
    """
    subject = Subject(store_id, "checks", to_hex(report.digest))
    payload: dict[str, Json] = {"report": report.to_json()}
    records.note(CHECKS_REPORTED, subject, payload, actor=actor, required=True)


def find_report(log: Log, store_id: str, digest: bytes) -> CheckReport | None:
    """The report of that digest, if the log holds it."""
    for event in _read(log, Subject(store_id, "checks", to_hex(digest)).to_key(), exact=True):
        if event.type != CHECKS_REPORTED:
            continue
        try:
            report = CheckReport.from_json(event.payload.get("report"))
        except ChainError:
            continue
        if report.digest == digest:
            return report
    return None


def find_return(log: Log, return_id: bytes) -> ReturnDocument | None:
    """The document of a rollback or removal, if the log holds it."""
    for event in _events(log, "return", to_hex(return_id)):
        document = _return(event)
        if document is not None and document.id == return_id:
            return document
    return None


def returns(log: Log) -> Iterator[ReturnDocument]:
    """Every rollback and removal that the log holds, whether it was ever sent or not."""
    for event in _events(log, "return", "", exact=False):
        document = _return(event)
        if document is not None and to_hex(document.id) == event.subject.id:
            yield document


def statements(log: Log, document: ProposalDocument | ReturnDocument) -> list[SignedStatement]:
    """What the log holds of signed statements about a document; those with a false text or
    signature of a key are left out, those of a contract's wallet are given unchecked."""
    kind = "proposal" if isinstance(document, ProposalDocument) else "return"
    found = []
    for event in _events(log, kind, to_hex(document.id)):
        content = event.payload.get("statement")
        if event.type != APPROVAL_WRITTEN or not isinstance(content, dict):
            continue
        try:
            statement = SignedStatement.from_json({**content, kind: document.to_json()})
            if statement.signature is not None and len(statement.signature) == 65:
                statement.check_signature()
        except ChainError:
            continue
        found.append(statement)
    return found


def find_reason(log: Log, reason_hash: bytes) -> str | None:
    """The text of a reason without its salt line, if the log holds it."""
    subject = Subject("", "reason", to_hex(reason_hash))
    for event in _read(log, subject.to_key(), exact=True):
        text = event.payload.get("text")
        if isinstance(text, str) and hash_reason(text) == reason_hash:
            return text.rpartition("\nSalt: ")[0]
    return None


class NameBook:
    """What salted ids stand for, as far as the log says it and the salt confirms it.

    Args:
        salt: the deployment's.
    """

    def __init__(self, salt: Salt) -> None:
        self._salt = salt
        self.groups: dict[Digest, str] = {}
        self.targets: dict[Digest, Target] = {}
        self.models: dict[Digest, ModelIncarnation] = {}

    @classmethod
    def read(cls, log: Log, salt: Salt) -> NameBook:
        """The names in a log; what does not hash to its id is left out."""
        book = cls(salt)
        for event in _read(log, Subject("", "name", "").to_key(), exact=False):
            if event.type == NAME_WRITTEN:
                book.add(event.payload)
        return book

    def add(self, payload: Mapping[str, Any]) -> None:
        """Learn a name; what is no name is passed over."""
        try:
            kind, name = payload.get("kind"), payload.get("name")
            if kind == "model":
                self.add_model(model_from_json(payload.get("model")))
            elif kind == "group" and isinstance(name, str):
                self.groups[group_id(self._salt, name)] = name
            elif kind == "target" and isinstance(name, str):
                self.add_target(Target.parse(name))
        except ChainError:
            return

    def add_model(self, model: ModelIncarnation) -> Digest:
        """Learn an incarnation's name, and give its id."""
        key = model_id(self._salt, model.store_id, model.workspace, model.name, model.creation_ms)
        self.models[key] = model
        return key

    def add_target(self, target: Target) -> Digest:
        """Learn a target's name, and give its id."""
        key = target_id(self._salt, target)
        self.targets[key] = target
        return key


def _note_name(records: Records, key: bytes, payload: dict[str, Json]) -> None:
    records.note(NAME_WRITTEN, Subject("", "name", to_hex(key)), payload, required=True)


def _subject_of(document: ProposalDocument | ReturnDocument) -> Subject:
    if isinstance(document, ProposalDocument):
        return Subject(document.names.model.store_id, "proposal", to_hex(document.id))
    return Subject(document.model.store_id, "return", to_hex(document.id))


def _document(event: Event) -> ProposalDocument | None:
    if event.type != PROPOSAL_WRITTEN:
        return None
    try:
        document = ProposalDocument.from_json(event.payload.get("document"))
        check_summary(document, None)
    except ChainError:
        return None
    return document


def _return(event: Event) -> ReturnDocument | None:
    if event.type != RETURN_WRITTEN:
        return None
    try:
        document = ReturnDocument.from_json(event.payload.get("document"))
        check_return_summary(document, None)
    except ChainError:
        return None
    return document


def _events(log: Log, kind: str, id_: str, *, exact: bool = True) -> Iterator[Event]:
    """Events of that kind of subject, of whatever database."""
    for store_id in sorted(log.stores()):
        yield from _read(log, Subject(store_id, kind, id_).to_key(), exact=exact)


def _read(log: Log, key: str, *, exact: bool) -> Iterator[Event]:
    for entry in log.find_events(key, exact=exact):
        try:
            yield decode_event(entry.event or b"")
        except InvalidEvent:
            continue  # verify names it


def id_from_text(text: str) -> Digest:
    """A proposal's whole id.

    Raises:
        InvalidInput: not 32 bytes of hex.
    """
    return Digest(from_hex(text, size=32))
