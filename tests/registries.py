"""A `ModelRegistry` on a small embedded chain, with everybody who acts there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from chain_client.ledger import Call, EmbeddedLedger, Receipt
from chain_client.ledger.model_registry import (
    ANY_MODEL,
    BREAKER_ROLE,
    REGISTRAR_ROLE,
    REQUESTER_ROLE,
    ModelRegistryContract,
    Policy,
    ProposalFields,
    deploy_call,
)
from chain_client.registry.typed_data import hash_summary
from chain_client.signing.eip712 import Domain
from chain_client.types import Address, Digest
from tests.embedded_chains import OWNER, KeyInMemory, make_chain, transact

REGISTRAR, REQUESTER, BREAKER = KeyInMemory(11), KeyInMemory(12), KeyInMemory(13)
APPROVERS = [KeyInMemory(20), KeyInMemory(21), KeyInMemory(22)]
SALT_HASH = Digest(b"\x51" * 32)
MODEL, TARGET, GROUP = (Digest(bytes([byte]) * 32) for byte in (0x61, 0x62, 0x63))
DIGEST = Digest(b"\x64" * 32)
SUMMARY = "Promote version 1 of fraud to @champion"


@dataclass(frozen=True)
class OpenRegistry:
    """A registry in use: roles are given, three approvers are seated, no policy stands."""

    ledger: EmbeddedLedger
    contract: ModelRegistryContract

    @property
    def domain(self) -> Domain:
        """Where signatures count."""
        return Domain(self.ledger.chain_id(), self.contract.address)

    def send(self, signer: KeyInMemory, call: Call) -> Receipt:
        """Include a call that has to succeed."""
        receipt = transact(self.ledger, signer, call)
        assert receipt.succeeded
        return receipt

    def gate(self, *, threshold: int = 2, min_delay_s: int = 0, model: Digest = ANY_MODEL) -> None:
        """Set a policy for `TARGET`."""
        policy = Policy(GROUP, threshold, min_delay_s, 1_000)
        self.send(OWNER, self.contract.set_policy_call(model, TARGET, policy))

    def register(self, version: int = 1) -> None:
        """Register a version of `MODEL`."""
        call = self.contract.register_version_call(MODEL, version, DIGEST, 7)
        self.send(REGISTRAR, call)

    def fields(self, *, version: int = 1, nonce: int = 1) -> ProposalFields:
        """A proposal that fits what stands now."""
        return ProposalFields(
            model=MODEL,
            target=TARGET,
            version=version,
            digest=DIGEST,
            policy_hash=self.contract.policy(MODEL, TARGET).policy_hash,
            summary_hash=hash_summary(SUMMARY),
            evidence_hash=Digest(bytes(32)),
            evidence_kinds=0,
            deadline_s=self.ledger.block().timestamp_s + 900,
            requester=REQUESTER.address(),
            supersedes=Digest(bytes(32)),
            nonce=Digest(nonce.to_bytes(32, "big")),
        )

    def propose(self, *, version: int = 1, nonce: int = 1) -> ProposalFields:
        """Make a proposal."""
        fields = self.fields(version=version, nonce=nonce)
        self.send(REQUESTER, self.contract.propose_call(fields))
        return fields

    def promote(self, *, version: int = 1, nonce: int = 1) -> ProposalFields:
        """Propose, approve by two and promote."""
        fields = self.propose(version=version, nonce=nonce)
        for approver in APPROVERS[:2]:
            self.send(approver, self.contract.approve_call(fields))
        self.send(REQUESTER, self.contract.promote_call(fields))
        return fields


def make_registry(path: Path) -> OpenRegistry:
    """A new chain with a new registry."""
    ledger = make_chain(path)
    receipt = transact(ledger, OWNER, deploy_call(OWNER.address(), SALT_HASH))
    assert receipt.contract_address is not None
    found = OpenRegistry(ledger, ModelRegistryContract(ledger, receipt.contract_address))
    for role, key in (
        (REGISTRAR_ROLE, REGISTRAR),
        (REQUESTER_ROLE, REQUESTER),
        (BREAKER_ROLE, BREAKER),
    ):
        found.send(OWNER, found.contract.grant_role_call(role, key.address()))
    for approver in APPROVERS:
        found.send(OWNER, found.contract.add_approver_call(GROUP, approver.address()))
    return found


def copy_registry(source: Path, path: Path, address: bytes) -> OpenRegistry:
    """A copy of a chain that nobody is connected to."""
    path.write_bytes(source.read_bytes())
    ledger = EmbeddedLedger(path)
    return OpenRegistry(ledger, ModelRegistryContract(ledger, Address(address)))
