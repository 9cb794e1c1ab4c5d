"""Who decides about the model ``fraud``: two of three, by proposals that are written and noted."""

from __future__ import annotations

from dataclasses import dataclass

from chain_client.client import ChainClient
from chain_client.home import OWNER_KEY
from chain_client.hosts import ModelIncarnation
from chain_client.registry import users
from chain_client.registry.proposals import ProposalDocument
from chain_client.registry.targets import Target
from chain_client.signing import Signer, open_signer
from chain_client.types import Digest
from mlflow_chain.host import MlflowHost
from tests.governed import ALICE, BOB, REGISTRAR, REQUESTER, Registry

CHAMPION, PRODUCTION = "alias:champion", "stage:Production"


@dataclass
class Board:
    """Approvers, with the home.

    Args:
        client: the home.
    """

    client: ChainClient

    @property
    def model(self) -> ModelIncarnation:
        """The model as it is now."""
        found = MlflowHost().find_model(Registry(self.client).binding(), "fraud")
        assert found is not None
        return found

    def govern(self) -> None:
        """Everybody appointed; champion and Production of every model gated by two of three."""
        Registry(self.client).govern()
        owner = open_signer(OWNER_KEY, base=self.client.home)
        users.bind(self.client.recorder, self.client.deployment, owner, "bob", BOB.address())
        self.settle()

    def settle(self) -> None:
        """All that was recorded is in the log; no relay may run."""
        self.client.recorder.close()
        Registry(self.client).drain()

    def attest(self, version: int) -> Digest:
        """Attest and register a version: its digest."""
        registry = self.client.registry
        digest, leaf = Registry(self.client).attest("fraud", version)
        commitment = registry.commitment(registry.model_id(self.model), version, digest)
        registry.register_version(self.model, version, commitment, leaf, signer=REGISTRAR)
        return digest

    def propose(self, version: int, digest: Digest, target: str = CHAMPION) -> ProposalDocument:
        """Ask for the promotion of an attested version."""
        registry = self.client.registry
        document = registry.write_proposal(
            self.model, version, Target.parse(target), digest, REQUESTER.address()
        )
        registry.propose(document, signer=REQUESTER)
        return document

    def approve(self, document: ProposalDocument, *approvers: Signer) -> None:
        """By two approvers, unless others are named."""
        for key in approvers or (ALICE, BOB):
            self.client.registry.approve(document, signer=key)

    def promote(self, version: int, digest: Digest, target: str = CHAMPION) -> None:
        """All that is needed on chain; MLflow is not told."""
        document = self.propose(version, digest, target)
        self.approve(document)
        self.client.registry.promote(document)
        self.settle()
