"""A governed model whose proposals are written, signed and noted as people do it."""

from __future__ import annotations

from dataclasses import dataclass, field

from chain_client.client import ChainClient
from chain_client.event_codec import decode_event
from chain_client.events import Event
from chain_client.home import OWNER_KEY
from chain_client.hosts import Scope
from chain_client.ledger.model_registry_values import Policy
from chain_client.registry import users
from chain_client.registry.client import RegistryClient
from chain_client.registry.proposals import ProposalDocument
from chain_client.registry.statements import request_return
from chain_client.registry.targets import Target
from chain_client.signing import Signer, open_signer
from chain_client.types import Digest
from chain_client.verify import Report
from mlflow_chain.host import MlflowHost
from tests.governed import ALICE, BOB, BREAKER, CAROL, REGISTRAR, REQUESTER, Registry

CHAMPION, PRODUCTION = "alias:champion", "stage:Production"


@dataclass
class People:
    """What people decide about the model ``fraud``.

    Args:
        client: the home.
        host: sees the database.
    """

    client: ChainClient
    host: MlflowHost = field(default_factory=MlflowHost)

    @property
    def registry(self) -> RegistryClient:
        """The client that they use."""
        return self.client.registry

    @property
    def owner(self) -> Signer:
        """The admin."""
        return open_signer(OWNER_KEY, base=self.client.home)

    def govern(self, *, min_delay_s: int = 0) -> None:
        """Roles and approvers, and both targets gated by two of three."""
        Registry(self.client).appoint()
        for target in (CHAMPION, PRODUCTION):
            self.set_policy(target, min_delay_s=min_delay_s)
        users.bind(self.client.recorder, self.client.deployment, self.owner, "bob", BOB.address())
        self.settle()

    def set_policy(self, target: str, *, threshold: int = 2, min_delay_s: int = 0) -> None:
        """The default policy of a target; threshold 0: none."""
        registry = self.registry
        group = registry.group_id("risk") if threshold else Digest(bytes(32))
        policy = Policy(group, threshold, min_delay_s, 86_400 if threshold else 0)
        registry.set_policy(None, Target.parse(target), policy, signer=self.owner)

    def settle(self) -> None:
        """All that was recorded is in the log."""
        self.client.recorder.close()
        Registry(self.client).drain()

    def propose(self, version: int, target: str = CHAMPION) -> ProposalDocument:
        """Attest, register and propose a version."""
        registry, people = self.registry, Registry(self.client)
        digest, leaf = people.attest("fraud", version)
        model = self.host.find_model(people.binding(), "fraud")
        assert model is not None
        commitment = registry.commitment(registry.model_id(model), version, digest)
        registry.register_version(model, version, commitment, leaf, signer=REGISTRAR)
        document = registry.write_proposal(
            model, version, Target.parse(target), digest, REQUESTER.address()
        )
        registry.propose(document, signer=REQUESTER)
        return document

    def approve(self, document: ProposalDocument, *approvers: Signer) -> None:
        """By two approvers, unless others are named; nobody promotes."""
        for key in approvers or (ALICE, BOB):
            self.registry.approve(document, signer=key)

    def promote(self, version: int, target: str = CHAMPION) -> ProposalDocument:
        """All that is needed on chain; MLflow is not told."""
        document = self.propose(version, target)
        self.approve(document)
        self.registry.promote(document)
        self.settle()
        return document

    def rollback(self, former: ProposalDocument) -> None:
        """Go back to a version that was current, by two approvers."""
        document = self.registry.write_rollback(former)
        signed = [
            request_return(document).sign(key, self.registry.salt, self.registry.users())
            for key in (ALICE, CAROL)
        ]
        self.registry.rollback(document, signed=signed)

    def remove(self, target: str = CHAMPION) -> None:
        """Leave a target without a version, by two approvers."""
        model = self.host.find_model(Registry(self.client).binding(), "fraud")
        assert model is not None
        document = self.registry.write_removal(model, Target.parse(target))
        signed = [
            request_return(document).sign(key, self.registry.salt, self.registry.users())
            for key in (ALICE, CAROL)
        ]
        self.registry.remove(document, signed=signed)

    def break_glass(self, version: int, target: str = CHAMPION) -> None:
        """Promote without a quorum."""
        document = self.propose(version, target)
        self.registry.break_glass(document, "the house is on fire", signer=BREAKER)

    def revoke(self, version: int) -> None:
        """Bar a version for ever."""
        model = Registry(self.client).id_of("fraud")
        self.registry.revoke_version(model, version, "poisoned", signer=BREAKER)

    def verify(self) -> Report:
        """The whole verification."""
        return self.client.verify(Scope())

    def findings(self) -> list[str]:
        """What differs, by kind and subject."""
        return [f"{found.kind} {found.subject}" for found in self.verify().findings]

    def events(self, type_: str) -> list[Event]:
        """What was recorded of a type, wherever it stands."""
        self.client.recorder.close()
        Registry(self.client).drain()
        entries = self.client.log.entries()
        found = [decode_event(entry.event) for entry in entries if entry.event is not None]
        return [event for event in found if event.type == type_]

    def targets(self) -> dict[str, tuple[int, ...]]:
        """What MLflow has."""
        binding = Registry(self.client).binding()
        return {found.target: found.versions for found in self.host.targets(binding)}

    def tags(self, version: int) -> dict[str, str]:
        """The reserved tags of a version, by the ends of their names."""
        binding = Registry(self.client).binding()
        for found in self.host.reserved_tags(binding):
            if found.version == version:
                return {key.removeprefix("mlops_chain."): text for key, text in found.tags.items()}
        return {}
