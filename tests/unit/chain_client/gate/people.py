"""A home whose registry has people, a policy and versions; without any host."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from chain_client import ChainClient, Settings
from chain_client.clock import SystemClock
from chain_client.events import Actor, Json, Subject
from chain_client.gate.gate import Gate
from chain_client.gate.question import Action, Change, Decision, Files, FilesCheck
from chain_client.gate.signed_text import SignedText
from chain_client.home import OWNER_KEY
from chain_client.hosts import ModelIncarnation
from chain_client.ledger.base import Call
from chain_client.ledger.model_registry_values import (
    ANY_MODEL,
    BREAKER_ROLE,
    REGISTRAR_ROLE,
    REQUESTER_ROLE,
    Policy,
    ProposalFields,
)
from chain_client.registry.documents import note_document
from chain_client.registry.identity import digest_commitment, group_id, model_id, target_id
from chain_client.registry.proposals import PolicyTerms, ProposalDocument, ProposalNames
from chain_client.registry.returns import ReturnDocument
from chain_client.registry.statements import SignedStatement, request_return
from chain_client.registry.summaries import complete_proposal, complete_return
from chain_client.registry.targets import Target
from chain_client.registry.texts import TextVerdict
from chain_client.registry.typed_data import hash_summary
from chain_client.signing import Signer, open_signer
from chain_client.signing.eip712 import Domain
from chain_client.types import Digest
from tests.embedded_chains import KeyInMemory, transact
from tests.unit.chain_client.registry.office import LoggedRecords

REQUESTER, REGISTRAR, BREAKER = KeyInMemory(11), KeyInMemory(12), KeyInMemory(13)
ALICE, BOB, CAROL = KeyInMemory(21), KeyInMemory(22), KeyInMemory(23)
"""The approvers; two of them are enough."""
OWNER_OF_NOTHING = KeyInMemory(31)
"""Nobody here."""

FRAUD = ModelIncarnation("ab" * 16, "", "fraud", 1_700_000_000_000)
CHAMPION = "alias:champion"
NOTHING = Digest(bytes(32))


class OwnClock:
    """The machine's clock, put forward or back."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def time_us(self) -> int:
        return SystemClock().time_us() + int(self.ahead_s * 1e6)

    def monotonic_us(self) -> int:
        return SystemClock().monotonic_us()


@dataclass
class Notes:
    """Keeps what is noted, as a recorder would take it."""

    found: list[tuple[str, Subject, Mapping[str, Json]]] = field(default_factory=list)

    def note(
        self,
        type: str,
        subject: Subject,
        payload: Mapping[str, Json],
        *,
        actor: Actor = Actor(),  # noqa: B008 - as the recorder has it
        required: bool = False,
    ) -> None:
        assert required
        self.found.append((type, subject, payload))


def digest_of(version: int) -> Digest:
    """What the files of a version would give."""
    return Digest(bytes([version]) * 32)


class Governed:
    """A home with a registry, and everybody who acts on it.

    Args:
        home: its folder; a registry is in it.
        settings: other than the default.
    """

    def __init__(self, home: Path, **settings: str) -> None:
        self.settings = replace(Settings(home), relay_autostart=False, **settings)  # type: ignore[arg-type]
        self.client = ChainClient.open(self.settings)
        self.client.provide_registry()
        self.contract = self.client.model_registry
        self.owner = open_signer(OWNER_KEY, base=home)
        self.clock = OwnClock()
        self.gate = self.new_gate()
        self.documents: dict[int, ProposalDocument] = {}
        self.records = LoggedRecords(self.client.log)

    def new_gate(self, **settings: str) -> Gate:
        """A gate as another process would have it."""
        chosen = replace(self.settings, **settings)  # type: ignore[arg-type]
        return Gate(chosen, self.client.deployment, self.client.ledger, self.clock)

    @property
    def snapshot_file(self) -> Path:
        return self.settings.home / "gate" / "snapshot.json"

    @property
    def chain_file(self) -> Path:
        return self.settings.home / "chain" / "embedded.db"

    def lose_chain(self) -> None:
        """The chain can't be reached any more."""
        self.chain_file.rename(self.chain_file.with_suffix(".away"))

    def find_chain(self) -> None:
        """It can again."""
        self.chain_file.with_suffix(".away").rename(self.chain_file)

    def send(self, signer: Signer, call: Call) -> None:
        assert transact(self.client.ledger, signer, call).succeeded

    @property
    def group(self) -> Digest:
        return group_id(self.client.salt, "risk")

    @property
    def model(self) -> Digest:
        return self.id_of(FRAUD)

    def id_of(self, model: ModelIncarnation) -> Digest:
        return model_id(
            self.client.salt, model.store_id, model.workspace, model.name, model.creation_ms
        )

    @property
    def domain(self) -> Domain:
        return Domain(self.client.deployment.chain_id, self.contract.address)

    def target(self, name: str = CHAMPION) -> Digest:
        return target_id(self.client.salt, name)

    def appoint(self) -> None:
        roles = ((REQUESTER_ROLE, REQUESTER), (REGISTRAR_ROLE, REGISTRAR), (BREAKER_ROLE, BREAKER))
        for role, key in roles:
            self.send(self.owner, self.contract.grant_role_call(role, key.address()))
        for key in (ALICE, BOB, CAROL):
            self.send(self.owner, self.contract.add_approver_call(self.group, key.address()))

    def set_policy(
        self, target: str = CHAMPION, threshold: int = 2, model: bytes = ANY_MODEL
    ) -> None:
        policy = Policy(self.group, threshold, 0, 86_400 if threshold else 0)
        self.send(self.owner, self.contract.set_policy_call(model, self.target(target), policy))

    def register(self, version: int) -> Digest:
        commitment = digest_commitment(self.client.salt, self.model, version, digest_of(version))
        call = self.contract.register_version_call(self.model, version, commitment, version)
        self.send(REGISTRAR, call)
        return commitment

    def propose(
        self,
        version: int,
        target: str = CHAMPION,
        *,
        told: ModelIncarnation = FRAUD,
        is_noted: bool = True,
    ) -> ProposalDocument:
        """Ask for a promotion, with a text in the log.

        Args:
            version: of `FRAUD`.
            target: alias or stage.
            told: the model of which the text tells.
            is_noted: whether the log gets the text.
        """
        commitment = self.register(version)
        in_force = self.contract.policy(self.model, self.target(target))
        assert in_force.policy is not None
        fields = ProposalFields(
            self.model,
            self.target(target),
            version,
            commitment,
            in_force.policy_hash,
            NOTHING,
            NOTHING,
            0,
            int(time.time()) + 3600,
            REQUESTER.address(),
            NOTHING,
            Digest(secrets.token_bytes(32)),
        )
        document = complete_proposal(
            self.domain,
            fields,
            ProposalNames(told, Target.parse(target), digest_of(version)),
            PolicyTerms("risk", in_force.policy, in_force.is_default),
            secrets.token_bytes(32),
        )
        if is_noted:
            note_document(self.records, document)
        self.send(REQUESTER, self.contract.propose_call(document.fields))
        self.documents[version] = document
        return document

    def promote(
        self,
        version: int,
        target: str = CHAMPION,
        *,
        told: ModelIncarnation = FRAUD,
        is_noted: bool = True,
    ) -> None:
        """Two of three approve what `propose` asked for."""
        document = self.propose(version, target, told=told, is_noted=is_noted)
        for key in (ALICE, BOB):
            self.send(key, self.contract.approve_call(document.fields))
        self.send(REQUESTER, self.contract.promote_call(document.fields))

    def revoke(self, version: int) -> None:
        self.send(BREAKER, self.contract.revoke_version_call(self.model, version, NOTHING))

    def to_return(
        self, version: int | None, sequence: int, *, deadline_in_s: int = 3600
    ) -> ReturnDocument:
        """A rollback to a version, or a removal (None), to be signed."""
        document = ReturnDocument(
            self.domain,
            FRAUD,
            self.model,
            Target.parse(CHAMPION),
            self.target(),
            sequence,
            int(time.time()) + deadline_in_s,
            None if version is None else self.documents[version],
            "",
        )
        return complete_return(document, secrets.token_bytes(32))

    def signed(self, document: ReturnDocument, *signers: Signer) -> list[SignedStatement]:
        return [request_return(document).sign(key, self.client.salt) for key in signers]

    def roll_back(self, document: ReturnDocument) -> None:
        """Alice and Bob sign, whatever it says; anybody sends it."""
        assert document.former is not None
        statement = document.statement()
        people = sorted((key.address(), statement.sign(key)) for key in (ALICE, BOB))
        call = self.contract.rollback_call(
            document.former.fields,
            document.sequence,
            document.deadline_s,
            hash_summary(document.summary),
            [signer for signer, _ in people],
            [signature for _, signature in people],
        )
        self.send(OWNER_OF_NOTHING, call)

    def check(self, version: int, target: str = CHAMPION, gate: Gate | None = None) -> Decision:
        """Ask for an alias, with the files of that version as they were attested."""
        archives = target.startswith("stage:")
        change = Change(Action.SET, FRAUD.name, target, version, archives_others=archives)
        return (gate or self.gate).check(
            FRAUD, change, lambda: FilesCheck(Files.UNCHANGED, digest_of(version)), self.judge
        )

    def check_removal(self, version: int, gate: Gate | None = None) -> Decision:
        change = Change(Action.LEAVE, FRAUD.name, CHAMPION, version)
        return (gate or self.gate).check(FRAUD, change, no_files, no_text)

    def judge(self, signed: SignedText) -> TextVerdict:
        """What the gate is told of a text."""
        return signed.judge(self.client.log, self.client.salt)


def no_files() -> FilesCheck:
    """For questions in which they are nobody's business."""
    raise AssertionError("nobody has to look at the files")


def no_text(signed: SignedText) -> TextVerdict:
    """For questions in which the text is nobody's business."""
    raise AssertionError(f"nobody has to look for {signed}")
