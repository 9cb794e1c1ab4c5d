"""What a history consists of, and what hashes stand for in it. How it is told: `history`.

Signatures here are stable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from chain_client.events import Json
from chain_client.hosts import ModelIncarnation
from chain_client.ledger.model_registry_values import ANY_MODEL
from chain_client.registry.durations import show_time
from chain_client.registry.proposals import ProposalDocument, show_model
from chain_client.registry.targets import Target
from chain_client.types import Address, Digest, TxHash, to_hex


@dataclass(frozen=True, slots=True)
class Lookup:
    """What hashes stand for, as far as is known; every part may be empty.

    Args:
        models: incarnations by id on chain.
        targets: targets by id on chain.
        groups: names of groups by id on chain.
        users: names by address.
        documents: documents of proposals whose text is true, by id.
        reasons: text of a reason by its hash; None if it is not known.
    """

    models: Mapping[Digest, ModelIncarnation]
    targets: Mapping[Digest, Target]
    groups: Mapping[Digest, str]
    users: Mapping[Address, str]
    documents: Mapping[Digest, ProposalDocument]
    reasons: Callable[[bytes], str | None] = lambda hash_: None

    def show_model(self, model: Digest) -> str:
        """The model's name, else its id."""
        found = self.models.get(model)
        return f"model {to_hex(model)}" if found is None else show_model(found)

    def show_target(self, target: Digest) -> str:
        """The target's name, else its id."""
        found = self.targets.get(target)
        return f"target {to_hex(target)}" if found is None else str(found)

    def show_group(self, group: Digest) -> str:
        """The group's name, else its id."""
        return self.groups.get(group) or f"group {to_hex(group)}"


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One thing that happened in the registry.

    Args:
        at_s: block time.
        block_number: the block.
        tx_hash: the transaction.
        what: past tense, such as ``proposal approved``.
        who: whose doing it was, as far as the event says; None where anybody may have sent it.
        name: that is bound to ``who``; empty if none is.
        meaning: of a signature: ``authorship``, ``approval``, ``review``, ``rejection``,
            ``withdrawal``, ``rollback``, ``removal``, ``break-glass``; empty if it was none.
        model: the incarnation on chain; None if it concerns none.
        model_name: its name, else its id; empty if it concerns none.
        target: its name, else its id; empty if it concerns none.
        version: number of the version; None if it concerns none.
        proposal_id: the proposal; None if it concerns none.
        detail: the rest, for people.
    """

    at_s: int
    block_number: int
    tx_hash: TxHash
    what: str
    who: Address | None = None
    name: str = ""
    meaning: str = ""
    model: Digest | None = None
    model_name: str = ""
    target: str = ""
    version: int | None = None
    proposal_id: Digest | None = None
    detail: str = ""

    def to_json(self) -> dict[str, Json]:
        """All of it by name."""
        return {
            "at": show_time(self.at_s),
            "at_s": self.at_s,
            "block": self.block_number,
            "transaction": to_hex(self.tx_hash),
            "what": self.what,
            "who": None if self.who is None else to_hex(self.who),
            "name": self.name or None,
            "meaning": self.meaning or None,
            "model": None if self.model is None else to_hex(self.model),
            "model_name": self.model_name or None,
            "target": self.target or None,
            "version": self.version,
            "proposal": None if self.proposal_id is None else to_hex(self.proposal_id),
            "detail": self.detail or None,
        }


@dataclass(frozen=True, slots=True)
class History:
    """What happened, in chain order."""

    entries: tuple[HistoryEntry, ...]

    def of_model(self, *models: Digest) -> History:
        """What concerns these incarnations, and the default policies, which count for them."""
        wanted = {*models, ANY_MODEL}
        return History(tuple(entry for entry in self.entries if entry.model in wanted))

    def of_target(self, target: Target | str) -> History:
        """What concerns a target."""
        name = str(target)
        return History(tuple(entry for entry in self.entries if entry.target == name))

    def of_proposal(self, proposal_id: Digest) -> History:
        """What concerns a proposal."""
        return History(tuple(entry for entry in self.entries if entry.proposal_id == proposal_id))

    def to_json(self) -> list[Json]:
        """The entries."""
        return [entry.to_json() for entry in self.entries]
