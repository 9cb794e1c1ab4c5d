"""A governed model whose proposals are written, signed and noted as people do it.

Models share a home: what is asked here is always about the model of one test.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chain_client.client import ChainClient
from chain_client.event_codec import decode_event
from chain_client.events import Event
from chain_client.home import OWNER_KEY
from chain_client.hosts import ModelIncarnation, Scope
from chain_client.ledger.model_registry_values import Policy
from chain_client.registry import users
from chain_client.registry.client import RegistryClient
from chain_client.registry.proposals import ProposalDocument
from chain_client.registry.statements import request_return
from chain_client.registry.targets import Target
from chain_client.signing import Signer, open_signer
from chain_client.verify import Report
from mlflow_chain.host import MlflowHost
from tests.governed import ALICE, BOB, BREAKER, CAROL, REGISTRAR, REQUESTER, Registry

CHAMPION, PRODUCTION = "alias:champion", "stage:Production"
_numbers = itertools.count(1)


@dataclass
class People:
    """What people decide about a model.

    Args:
        client: the home.
        name: of the model.
        store: MLflow's registry, recorded and gated.
        files: folder of the versions' files.
        host: sees the database.
    """

    client: ChainClient
    name: str
    store: Any
    files: Path = Path()
    host: MlflowHost = field(default_factory=MlflowHost)

    def new(self, place: Path) -> People:
        """Those who decide about a new model of the same database.

        Args:
            place: the versions' files are below it.
        """
        name = f"fraud{next(_numbers)}"
        found = People(self.client, name, self.store, place / "files" / name)
        found.create()
        return found

    def create(self) -> None:
        """The model with three versions."""
        self.store.create_registered_model(self.name)
        for number in (1, 2, 3):
            folder = self.files / str(number)
            folder.mkdir(parents=True)
            (folder / "model.txt").write_text(f"weights {number}")
            self.store.create_model_version(self.name, folder.as_uri())

    @property
    def registry(self) -> RegistryClient:
        """The client that they use."""
        return self.client.registry

    @property
    def owner(self) -> Signer:
        """The admin."""
        return open_signer(OWNER_KEY, base=self.client.home)

    @property
    def model(self) -> ModelIncarnation:
        """The model as it is now."""
        found = self.host.find_model(Registry(self.client).binding(), self.name)
        assert found is not None
        return found

    def govern(self) -> None:
        """Roles and approvers, and both targets of every model gated by two of three."""
        Registry(self.client).appoint()
        for target in (CHAMPION, PRODUCTION):
            self._set_policy(None, target, "risk", 0)
        users.bind(self.client.recorder, self.client.deployment, self.owner, "bob", BOB.address())
        self.settle()

    def set_policy(self, target: str, *, group: str = "risk", min_delay_s: int = 0) -> None:
        """A policy of this model alone, of two approvers."""
        self._set_policy(self.model, target, group, min_delay_s)

    def _set_policy(
        self, model: ModelIncarnation | None, target: str, group: str, min_delay_s: int
    ) -> None:
        policy = Policy(self.registry.group_id(group), 2, min_delay_s, 86_400)
        self.registry.set_policy(model, Target.parse(target), policy, signer=self.owner)

    def settle(self) -> None:
        """All that was recorded is in the log."""
        self.client.recorder.close()
        Registry(self.client).drain()

    def propose(self, version: int, target: str = CHAMPION) -> ProposalDocument:
        """Attest, register and propose a version; its text is in the log."""
        registry, people, model = self.registry, Registry(self.client), self.model
        digest, leaf = people.attest(self.name, version)
        commitment = registry.commitment(registry.model_id(model), version, digest)
        registry.register_version(model, version, commitment, leaf, signer=REGISTRAR)
        document = registry.write_proposal(
            model, version, Target.parse(target), digest, REQUESTER.address()
        )
        registry.propose(document, signer=REQUESTER)
        self.settle()
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
        return document

    def rollback(self, former: ProposalDocument) -> None:
        """Go back to a version that was current, by two approvers."""
        document = self.registry.write_rollback(former)
        signed = [
            request_return(document).sign(key, self.registry.salt, self.registry.users())
            for key in (ALICE, CAROL)
        ]
        self.registry.rollback(document, signed=signed)
        self.settle()

    def remove(self, target: str = CHAMPION) -> None:
        """Leave a target without a version, by two approvers."""
        document = self.registry.write_removal(self.model, Target.parse(target))
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
        model = self.registry.model_id(self.model)
        self.registry.revoke_version(model, version, "poisoned", signer=BREAKER)

    def verify(self) -> Report:
        """The verification of this model, and of all that is not MLflow's."""
        return self.client.verify(Scope(model=self.name))

    def findings(self) -> list[str]:
        """What differs, by kind and subject."""
        return [f"{found.kind} {found.subject}" for found in self.verify().findings]

    def events(self, type_: str) -> list[Event]:
        """What was recorded of a type about this model, wherever it stands."""
        self.client.recorder.close()
        Registry(self.client).drain()
        entries = self.client.log.entries()
        found = [decode_event(entry.event) for entry in entries if entry.event is not None]
        about = (f"{self.name}/", f"{self.name} ")
        return [e for e in found if e.type == type_ and f"{e.subject.id} ".startswith(about)]

    def alarms(self) -> list[str]:
        """Kinds of the alarms about this model."""
        found = [a for a in self.client.log.alarms() if f"{a.subject} ".startswith(f"{self.name} ")]
        return sorted(alarm.kind for alarm in found)

    def targets(self) -> dict[str, tuple[int, ...]]:
        """What MLflow has."""
        binding = Registry(self.client).binding()
        return {t.target: t.versions for t in self.host.targets(binding, [self.name])}

    def tags(self, version: int) -> dict[str, str]:
        """The reserved tags of a version, by the ends of their names."""
        binding = Registry(self.client).binding()
        for found in self.host.reserved_tags(binding, [self.name]):
            if found.version == version:
                return {key.removeprefix("mlops_chain."): text for key, text in found.tags.items()}
        return {}
