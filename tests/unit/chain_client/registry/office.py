"""A home with a registry and everybody who decides there, for the tests of this folder."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chain_client import ChainClient, Settings
from chain_client.clock import SystemClock
from chain_client.commitments import seal
from chain_client.event_codec import encode_event
from chain_client.events import (
    Actor,
    Event,
    Json,
    OutcomeStatus,
    Subject,
    Timing,
    new_event_id,
)
from chain_client.home import OWNER_KEY
from chain_client.hosts import ModelIncarnation
from chain_client.ledger.base import Ledger
from chain_client.ledger.model_registry import Policy
from chain_client.log import Log, NewEntry, SourceProgress
from chain_client.registry.client import RegistryClient
from chain_client.registry.proposals import ProposalDocument
from chain_client.registry.targets import Target
from chain_client.registry.users import bind
from chain_client.signing import Signer, open_signer
from chain_client.types import Digest, SourceId
from tests.embedded_chains import KeyInMemory

FRAUD = ModelIncarnation("5f" * 16, "", "fraud", 1_700_000_000_123)
CHAMPION = Target.parse("@champion")
DIGEST = Digest(b"\x64" * 32)
ALICE, BOB, CAROL, DAVE = (KeyInMemory(number) for number in (31, 32, 33, 34))
"""Alice asks; the others approve."""
BREAKER = KeyInMemory(35)
STRANGER = KeyInMemory(36)
PEOPLE = {"alice": ALICE, "bob": BOB, "carol": CAROL, "dave": DAVE, "eve": BREAKER}


class WaitingClock(SystemClock):
    """The machine's clock, which goes faster for who only waits."""

    __slots__ = ("waited_us",)

    def __init__(self) -> None:
        self.waited_us = 0

    def monotonic_us(self) -> int:
        return super().monotonic_us() + self.waited_us

    def wait(self, seconds: float) -> None:
        """Let the seconds be over."""
        self.waited_us += round(seconds * 1e6)


class LoggedRecords:
    """Records that stand in the log at once, as if a relay had taken them there."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._source = SourceId(secrets.token_bytes(16))
        self._count = 0

    def note(
        self,
        type: str,
        subject: Subject,
        payload: Mapping[str, Json],
        *,
        actor: Actor = Actor(),  # noqa: B008 - frozen
        required: bool = False,
    ) -> None:
        """Append one event."""
        event = Event(
            event_id=new_event_id(),
            type=type,
            source_id=self._source,
            sequence=self._count,
            time_us=time.time_ns() // 1000,
            status=OutcomeStatus.DONE,
            subject=subject,
            actor=actor,
            timing=Timing(0, 0, self._count + 1),
            payload=payload,
        )
        seed = secrets.token_bytes(16)
        entry = NewEntry(
            seal(event, seed),
            self._source,
            self._count,
            subject.to_key(),
            encode_event(event),
            seed,
        )
        self._count += 1
        lease = self._log.acquire_lease("test", "test", 60, replace_dead=lambda _: True)
        progress = SourceProgress(self._source, {}, 0, 0, self._count)
        self._log.append([entry], [progress], lease)


@dataclass
class Office:
    """A home, opened: the client, its records, and what most tests begin with."""

    home: Path
    people: Mapping[str, KeyInMemory] = field(default_factory=lambda: PEOPLE)

    def __post_init__(self) -> None:
        environment = {"MLOPS_CHAIN_RELAY_AUTOSTART": "false"}
        settings = Settings.from_environment(environment, self.home.parent, home=self.home)
        self.chain = ChainClient.open(settings)
        self.chain.provide_registry()
        self.records = LoggedRecords(self.chain.log)
        self.clock = WaitingClock()
        self.client = self.connect()

    def connect(self, ledger: Ledger | None = None, **options: Any) -> RegistryClient:
        """A client of this home."""
        chain = self.chain
        return RegistryClient(
            chain.settings,
            chain.deployment,
            ledger or chain.ledger,
            chain.log,
            chain.home,
            lambda: self.records,
            clock=options.pop("clock", self.clock),
            wait=options.pop("wait", self.clock.wait),
        )

    @property
    def owner(self) -> Signer:
        """The deployment's owner's key."""
        return open_signer(OWNER_KEY, base=self.chain.home)

    @property
    def log(self) -> Log:
        """The home's log."""
        return self.chain.log

    def govern(
        self,
        *,
        threshold: int = 2,
        min_delay_s: int = 0,
        expiry_s: int = 86_400,
        evidence_kinds: int = 0,
    ) -> None:
        """Names, roles, a group of three, and a default policy for the champion."""
        client = self.client
        for name, key in self.people.items():
            bind(self.records, self.chain.deployment, self.owner, name, key.address())
        client.grant_role("requester", ALICE.address())
        client.grant_role("breaker", BREAKER.address())
        for key in (BOB, CAROL, DAVE):
            client.add_approver("risk", key.address())
        policy = Policy(client.group_id("risk"), threshold, min_delay_s, expiry_s, evidence_kinds)
        client.set_policy(None, CHAMPION, policy)

    def register(self, version: int = 1, digest: Digest = DIGEST) -> None:
        """A version, registered."""
        client = self.client
        commitment = client.commitment(client.model_id(FRAUD), version, digest)
        client.register_version(FRAUD, version, commitment, 7)

    def write(self, version: int = 1, **options: Any) -> ProposalDocument:
        """A proposal of Alice's."""
        return self.client.write_proposal(
            FRAUD, version, CHAMPION, DIGEST, ALICE.address(), **options
        )

    def propose(self, version: int = 1, **options: Any) -> ProposalDocument:
        """… registered and proposed."""
        self.register(version)
        document = self.write(version, **options)
        self.client.propose(document, signer=ALICE)
        return document

    def promote(self, version: int = 1) -> ProposalDocument:
        """… approved by two and promoted."""
        document = self.propose(version)
        self.client.approve(document, signer=BOB)
        self.client.approve(document, signer=CAROL)
        self.client.promote(document)
        return document
