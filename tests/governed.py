"""A registry with people: policies, two-of-three approvals, promotions; sent as they would be."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace

from chain_client.attestations import find_attestation, note_attestation, recorded_in
from chain_client.client import ChainClient
from chain_client.home import OWNER_KEY
from chain_client.hosts import ModelIncarnation, StoreBinding
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
from chain_client.registry.summaries import complete_proposal, new_salt_line
from chain_client.registry.targets import Target
from chain_client.signing import Signer, open_signer
from chain_client.types import Digest
from mlflow_chain.host import MlflowHost
from tests.embedded_chains import KeyInMemory, transact

REQUESTER, REGISTRAR, BREAKER = KeyInMemory(11), KeyInMemory(12), KeyInMemory(13)
ALICE, BOB, CAROL = KeyInMemory(21), KeyInMemory(22), KeyInMemory(23)
"""The three approvers; two are enough."""

TARGETS = ("alias:champion", "stage:Production")
"""What the default policy gates."""

_NOTHING = Digest(bytes(32))


@dataclass
class Registry:
    """The registry of a home, and everybody who acts on it.

    Args:
        client: the home.
    """

    client: ChainClient
    owner: Signer = field(init=False)

    def __post_init__(self) -> None:
        self.client.provide_registry()
        self.owner = open_signer(OWNER_KEY, base=self.client.home)

    def send(self, signer: Signer, call: Call) -> None:
        """Have a call included."""
        receipt = transact(self.client.ledger, signer, call)
        assert receipt.succeeded

    def appoint(self) -> None:
        """Give everybody their role, and the approvers their group."""
        contract = self.client.model_registry
        roles = ((REQUESTER_ROLE, REQUESTER), (REGISTRAR_ROLE, REGISTRAR), (BREAKER_ROLE, BREAKER))
        for role, key in roles:
            self.send(self.owner, contract.grant_role_call(role, key.address()))
        for key in (ALICE, BOB, CAROL):
            self.send(self.owner, contract.add_approver_call(self.group, key.address()))

    @property
    def group(self) -> Digest:
        """The approvers'."""
        return group_id(self.client.salt, "risk")

    def set_policy(self, target: str, threshold: int = 2, model: bytes = ANY_MODEL) -> None:
        """Gate a target; threshold zero: no more."""
        policy = Policy(
            group=self.group if threshold else _NOTHING,
            threshold=threshold,
            min_delay_s=0,
            expiry_s=86_400 if threshold else 0,
            evidence_kinds=0,
            revision=0,
        )
        gated = target_id(self.client.salt, target)
        contract = self.client.model_registry
        self.send(self.owner, contract.set_policy_call(model, gated, policy))

    def govern(self) -> None:
        """Everybody appointed, and `TARGETS` of every model gated, two of three."""
        self.appoint()
        for target in TARGETS:
            self.set_policy(target)

    def binding(self) -> StoreBinding:
        """The one database that records here."""
        (found,) = self.client.folder.bindings()
        return found

    def find(self, name: str, workspace: str = "") -> ModelIncarnation:
        """A model as it is now."""
        found = MlflowHost().find_model(self.binding(), name, workspace)
        assert found is not None
        return found

    def id_of(self, name: str, workspace: str = "") -> Digest:
        """What stands on chain for a model as it is now."""
        found = self.find(name, workspace)
        return model_id(
            self.client.salt, found.store_id, found.workspace, found.name, found.creation_ms
        )

    def attest(self, name: str, version: int, workspace: str = "") -> tuple[Digest, int]:
        """Attest the files of a version; its model digest, and the leaf that says so."""
        store_id = self.binding().store_id
        recorded = recorded_in(self.client.log, store_id)
        files = MlflowHost().attest(self.binding(), name, version, workspace, recorded)
        recorder = self.client.recorder
        note_attestation(recorder, store_id, files, name=name, version=version, workspace=workspace)
        recorder.close()
        self.drain()
        found = find_attestation(self.client.log, store_id, files.location)
        assert found is not None
        return files.digest, found.leaf_index

    def drain(self) -> None:
        """Everything recorded so far is in the log."""
        relay = self.client.relay()
        relay.start()
        try:
            relay.drain(patience_s=30)
        finally:
            relay.close()

    def register(self, name: str, version: int, workspace: str = "") -> Digest:
        """Attest a version and register it on chain; its model digest."""
        digest, leaf = self.attest(name, version, workspace)
        model = self.id_of(name, workspace)
        commitment = digest_commitment(self.client.salt, model, version, digest)
        if self.client.model_registry.version(model, version) is None:
            call = self.client.model_registry.register_version_call(
                model, version, commitment, leaf
            )
            self.send(REGISTRAR, call)
        return digest

    def propose(
        self,
        name: str,
        version: int,
        target: str = "alias:champion",
        workspace: str = "",
        *,
        told: ModelIncarnation | None = None,
        is_noted: bool = True,
    ) -> ProposalFields:
        """Ask for a promotion.

        Args:
            name: of the model.
            version: its number.
            target: alias or stage.
            workspace: of the model.
            told: the model of which the text tells, if it lies.
            is_noted: whether the log gets the text.
        """
        digest = self.register(name, version, workspace)
        model = self.find(name, workspace)
        document = self.client.registry.write_proposal(
            model, version, Target.parse(target), digest, REQUESTER.address()
        )
        if told is not None:
            names = replace(document.names, model=told)
            document = complete_proposal(
                *(document.domain, document.fields, names, document.terms, new_salt_line())
            )
        if is_noted:
            note_document(self.client.recorder, document)
            self.client.recorder.close()
            self.drain()
        self.send(REQUESTER, self.client.model_registry.propose_call(document.fields))
        return document.fields

    def approve(self, fields: ProposalFields, *approvers: Signer) -> None:
        """Approve, each in a transaction of their own."""
        for key in approvers or (ALICE, BOB):
            self.send(key, self.client.model_registry.approve_call(fields))

    def promote(
        self,
        name: str,
        version: int,
        target: str = "alias:champion",
        workspace: str = "",
        *,
        told: ModelIncarnation | None = None,
        is_noted: bool = True,
    ) -> ProposalFields:
        """Propose, approve by two of three, and promote; MLflow is not told."""
        fields = self.propose(name, version, target, workspace, told=told, is_noted=is_noted)
        self.approve(fields)
        self.send(REQUESTER, self.client.model_registry.promote_call(fields))
        return fields

    def break_glass(self, fields: ProposalFields) -> None:
        """Promote without a quorum."""
        reason = Digest(secrets.token_bytes(32))
        self.send(BREAKER, self.client.model_registry.break_glass_call(fields, reason))
