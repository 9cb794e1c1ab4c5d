"""What can be asked of the registry and the log together. Changes nothing on chain."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from chain_client.clock import Clock, SystemClock
from chain_client.config import Settings
from chain_client.errors import (
    ChainError,
    ConfigurationError,
    InvalidInput,
    NotInTime,
    SummaryMismatch,
)
from chain_client.hosts import ModelIncarnation
from chain_client.ledger.base import BlockTag, Ledger
from chain_client.ledger.deployment import Deployment
from chain_client.ledger.model_registry import (
    ModelRegistryContract,
    PolicyInForce,
    ProposalFields,
    ProposalStatus,
    RegistryEvent,
)
from chain_client.log import Log
from chain_client.registry import documents
from chain_client.registry.history import History, Lookup, tell
from chain_client.registry.identity import (
    Salt,
    digest_commitment,
    group_id,
    model_id,
    read_salt,
    target_id,
)
from chain_client.registry.proposals import ProposalDocument
from chain_client.registry.standing import Standing, stand
from chain_client.registry.state import RegistryState, fold
from chain_client.registry.statements import Document
from chain_client.registry.summaries import check_return_summary, check_summary, check_terms
from chain_client.registry.targets import Target
from chain_client.registry.users import Bindings, bindings, resolve_address, to_names
from chain_client.signing.eip712 import Domain
from chain_client.types import Address, Digest, to_hex

_NONE = Digest(bytes(32))
_UNTIL = ("quorum", "promotable", "closed", "promoted")


class RegistryReader:
    """Reads the registry of a deployment, and the log beside it.

    Args:
        settings: of the home.
        deployment: what was deployed for it.
        ledger: the chain.
        log: the home's log.
        home: the home's folder; keys and the salt are under ``keys``.
        recorder: gives the recorder for the readable side of what is done.
        clock: the machine's; deadlines count by block time.
        wait: called with the seconds between two looks.
    """

    def __init__(
        self,
        settings: Settings,
        deployment: Deployment,
        ledger: Ledger,
        log: Log,
        home: Path,
        recorder: Callable[[], documents.Records],
        clock: Clock | None = None,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._log = log
        self._home = home
        self._recorder = recorder
        self._clock = clock or SystemClock()
        self._wait = wait
        self._events: list[RegistryEvent] = []
        self._read_to = -1
        self._times: dict[int, int] = {}
        self.deployment = deployment

    @cached_property
    def contract(self) -> ModelRegistryContract:
        """The registry.

        Raises:
            ConfigurationError: the deployment has none.
        """
        if self.deployment.registry is None:
            raise ConfigurationError("this home has no ModelRegistry yet: run mlops-chain init")
        return ModelRegistryContract(self._ledger, self.deployment.registry)

    @cached_property
    def salt(self) -> Salt:
        """The deployment's salt, compared with the hash that the contract holds.

        Raises:
            ConfigurationError: it is missing, damaged or another one.
        """
        salt = read_salt(self._home / "keys" / "registry-salt")
        salt.check(self.deployment.registry_salt_hash or self.contract.salt_hash())
        return salt

    @property
    def domain(self) -> Domain:
        """Where signatures count."""
        return Domain(self.deployment.chain_id, self.contract.address)

    def block_number(self, at: BlockTag = "latest") -> int:
        """Number of the newest block, or of the newest that is final."""
        return self._ledger.block(at).number

    def now_s(self) -> int:
        """Block time: of the block that the next transaction would be in.

        A node's newest block is seconds old. The embedded chain makes none while nothing is sent,
        and gives the next one the machine's time.
        """
        newest = self._ledger.block().timestamp_s
        if self.deployment.ledger_url.startswith("embedded:"):
            return max(newest, self._clock.time_us() // 1_000_000)
        return newest

    # --- names

    def users(self) -> Bindings:
        """Addresses by the names that the deployment's owner has bound."""
        return bindings(self._log, self.deployment)

    def resolve(self, who: str) -> Address:
        """The address of a bound name, or one in hex.

        Raises:
            UnknownName: no such name is bound.
            LogCorrupt: what it stands for can't be read.
        """
        return resolve_address(who, self.users())

    def model_id(self, model: ModelIncarnation) -> Digest:
        """What stands on chain for an incarnation."""
        return model_id(self.salt, model.store_id, model.workspace, model.name, model.creation_ms)

    def target_id(self, target: Target | str) -> Digest:
        """What stands on chain for a target."""
        return target_id(self.salt, target)

    def group_id(self, name: str) -> Digest:
        """What stands on chain for a group."""
        return group_id(self.salt, name)

    def commitment(self, model: bytes, version: int, model_digest: bytes) -> Digest:
        """What stands on chain for the bytes of a version."""
        return digest_commitment(self.salt, model, version, model_digest)

    def names(self) -> documents.NameBook:
        """What ids on chain stand for, as far as the log says it and the salt confirms it."""
        book = documents.NameBook.read(self._log, self.salt)
        for document in documents.proposals(self._log):
            book.add_model(document.names.model)
            book.add_target(document.names.target)
        return book

    # --- documents

    def find_document(self, prefix: str) -> ProposalDocument:
        """The proposal whose id begins so, from the log.

        Raises:
            UnknownProposal: the log holds none, or several.
        """
        return documents.get_proposal(self._log, prefix)

    def check_document(self, document: Document) -> None:
        """See that a document is of this registry and that its text is true.

        Raises:
            SummaryMismatch: it is not; nobody should sign it.
        """
        self._check_text(document, self.users())
        if isinstance(document, ProposalDocument):
            check_terms(document, self._policy_of(document.fields))

    def check_text(self, document: Document) -> None:
        """The same by what never changes: neither policies nor the names of users are asked for.

        Raises:
            SummaryMismatch: it is not; nothing should come of it.
        """
        self._check_text(document, None)

    def _check_text(self, document: Document, users: Mapping[str, Address] | None) -> None:
        if document.domain != self.domain:
            raise SummaryMismatch(
                f"this is for the registry {to_hex(document.domain.contract)} on chain "
                f"{document.domain.chain_id}, not for this home's"
            )
        if isinstance(document, ProposalDocument):
            check_summary(document, self.salt, users)
        else:
            check_return_summary(document, self.salt)

    def _policy_of(self, fields: ProposalFields) -> PolicyInForce | None:
        """The policy that the fields name, in force now or once."""
        now = self.contract.policy(fields.model, fields.target)
        if now.policy_hash == fields.policy_hash:
            return now
        return self.state().policy_by_hash(fields.model, fields.target, fields.policy_hash)

    # --- how it stands

    def standing(self, document: ProposalDocument) -> Standing:
        """How a proposal stands, at the newest block."""
        fields, contract = document.fields, self.contract
        in_force = contract.policy(fields.model, fields.target)
        record = contract.version(fields.model, fields.version)
        # The seats of approvals are those of the group that decided when it was proposed.
        policy = in_force.policy
        if in_force.policy_hash != fields.policy_hash and document.terms is not None:
            policy = document.terms.policy
        return stand(
            document,
            contract.proposal(document.id),
            in_force,
            () if policy is None else contract.approvers(policy.group),
            None if record is None else record.registrant,
            contract.is_promotable(fields),
            self.now_s(),
            to_names(self.users()),
        )

    def waiting(self) -> list[tuple[ProposalDocument, Standing]]:
        """Open proposals and how they stand, the most urgent first.

        Those whose text is not in the log, or not true, are left out: nobody should sign them.
        """
        found = []
        for record in self.state().open_proposals(self.now_s()):
            document = self._find_true(record.id)
            if document is not None:
                found.append((document, self.standing(document)))
        return found

    def inbox(self, approver: Address) -> list[tuple[ProposalDocument, Standing]]:
        """Those of them that an approver may still approve."""
        return [item for item in self.waiting() if approver in item[1].may_still_approve]

    def _find_true(self, proposal_id: Digest) -> ProposalDocument | None:
        for document in documents.written_proposals(self._log, proposal_id):
            try:
                self.check_document(document)
            except ChainError:
                continue
            return document
        return None

    def wait_for(
        self,
        document: ProposalDocument,
        until: str = "promoted",
        *,
        timeout_s: float,
        progress: Callable[[Standing], None] | None = None,
        poll_s: float = 1.0,
    ) -> Standing:
        """Wait until a proposal stands so.

        Args:
            document: the proposal.
            until: ``quorum``, ``promotable``, ``closed`` (whatever way) or ``promoted``.
            timeout_s: how long to wait.
            progress: told how it stands whenever that changes.
            poll_s: seconds between two looks.

        Raises:
            NotInTime: it does not, in time or ever; the text says how it stands.
            InvalidInput: another ``until``.
        """
        if until not in _UNTIL:
            raise InvalidInput(f"expected one of {', '.join(_UNTIL)}, got {until[:40]!r}")
        deadline_us = self._clock.monotonic_us() + round(timeout_s * 1e6)
        before = None
        while True:
            standing = self.standing(document)
            # What counts down with every second is no news.
            shown = replace(standing, expires_in_s=0, text="")
            if progress is not None and shown != before:
                progress(standing)
            before = shown
            if _stands(standing, until):
                return standing
            if standing.is_closed:
                raise NotInTime(f"the proposal is closed: {standing.text}")
            if self._clock.monotonic_us() >= deadline_us:
                raise NotInTime(f"waited {timeout_s:g} s: {standing.text}")
            self._wait(poll_s)

    def events(self) -> list[RegistryEvent]:
        """All events of the registry up to the newest block, in chain order.

        What is final is read once.
        """
        newest, final = self._ledger.block().number, self._ledger.block("finalized").number
        start = max(self.deployment.registry_block or 0, self._read_to + 1)
        fresh = self.contract.events(start, newest) if start <= newest else []
        found = [*self._events, *fresh]
        if final > self._read_to:
            self._events += [event for event in fresh if event.block_number <= final]
            self._read_to = final
        return found

    def state(self) -> RegistryState:
        """What the registry holds at the newest block."""
        events = self.events()
        return fold(events, self.times(events))

    def history(self) -> History:
        """Everything that ever happened in the registry, told with the names of the log."""
        events = self.events()
        times = self.times(events)
        return tell(events, times, self.lookup(fold(events, times)))

    def lookup(self, state: RegistryState) -> Lookup:
        """What the hashes on chain stand for; documents whose text is false are left out."""
        book, true = self.names(), {}
        for document in documents.proposals(self._log):
            fields = document.fields
            place = (fields.model, fields.target)
            try:
                check_summary(document, self.salt)
                check_terms(document, state.policy_by_hash(*place, fields.policy_hash))
            except ChainError:
                continue
            true[document.id] = document
        return Lookup(
            models=book.models,
            targets=book.targets,
            groups=book.groups,
            users=to_names(self.users()),
            documents=true,
            reasons=lambda hash_: documents.find_reason(self._log, hash_),
        )

    def times(self, events: Sequence[RegistryEvent]) -> dict[int, int]:
        """Times of the events' blocks, in seconds since the epoch; of final ones read once."""
        found = {}
        for number in {event.block_number for event in events}:
            if number not in self._times:
                found[number] = self._ledger.block(number).timestamp_s
                if number <= self._read_to:
                    self._times[number] = found[number]
        return self._times | found


def _stands(standing: Standing, until: str) -> bool:
    if standing.status is ProposalStatus.PROMOTED:
        return True
    if until == "closed":
        return standing.is_closed
    if until == "promotable":
        return standing.is_promotable
    return until == "quorum" and standing.has_quorum
