"""What the chain decided about the targets of a lineage: whether approved, by whom. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from chain_client.errors import InvalidInput
from chain_client.events import Json
from chain_client.ledger.model_registry_values import Cause
from chain_client.lineage.graph import Graph
from chain_client.registry.history_entries import Lookup
from chain_client.registry.state import Change, RegistryState
from chain_client.registry.targets import Target
from chain_client.traces import MODEL_VERSION, TARGET, Node
from chain_client.types import Address, Digest, to_hex


class TargetIds(Protocol):
    """Gives what stands on chain for a target; `RegistryReader.target_id`."""

    def __call__(self, target: Target) -> Digest:
        """The id."""


@dataclass(frozen=True, slots=True)
class Approvals:
    """What the chain holds, and what its hashes stand for.

    Args:
        state: of the registry.
        lookup: names.
        target_id: see `TargetIds`.
    """

    state: RegistryState
    lookup: Lookup
    target_id: TargetIds

    def tell(self, graph: Graph) -> None:
        """Say of each target whether the chain approved the version that it points to."""
        held = {
            link.later: int(link.earlier.id.rpartition("/")[2])
            for link in graph.links.values()
            if link.later.kind == TARGET and not link.is_over
        }
        for node in graph.nodes():
            if node.kind == TARGET:
                graph.facts[node]["approval"] = dict(self._judge(node, held.get(node)))
            elif node.kind == MODEL_VERSION and self._is_revoked(node):
                graph.facts[node]["is_revoked"] = True

    def _judge(self, node: Node, version: int | None) -> Mapping[str, Json]:
        name, _, target = node.id.rpartition("/")
        model = self._model(node.store, name)
        try:
            place = None if model is None else (model, self.target_id(Target.parse(target)))
        except InvalidInput:
            place = None  # older than what can be gated
        change = None if place is None else self.state.current(*place)
        if change is not None and (change.version or None) == version:
            if version is None:
                return _word("removed", f"taken away on chain, block {change.block_number}")
            return self._approved(change)
        if change is not None and change.version:
            now = f"version {change.version}"
            return _word("differs", f"NOT what the chain says: there {now} is current")
        if change is not None or self._is_gated(place):
            return _word("not_approved", "NOT approved: the chain has no version here")
        return _word("not_gated", "not gated: the chain was never asked about it")

    def _approved(self, change: Change) -> Mapping[str, Json]:
        record = self.state.proposals.get(change.proposal_id) if change.proposal_id else None
        names = self.lookup.users
        approvers = () if record is None else record.approved_by
        shown = ", ".join(_show(address, names) for address in approvers) or "nobody"
        proposal = None if change.proposal_id is None else to_hex(change.proposal_id)
        text = f"approved by {shown}"
        if change.cause is Cause.BROKE_GLASS:
            text = "promoted by BREAKING THE GLASS, without its approval"
        elif change.cause is Cause.ROLLED_BACK:
            text = f"rolled back to; once {text}"
        if proposal is not None:
            text += f": proposal {proposal[2:14]}"
        if record is not None:
            text += f" of {_show(record.fields.requester, names)}"
        document = (
            None if change.proposal_id is None else (self.lookup.documents.get(change.proposal_id))
        )
        terms = None if document is None else document.terms
        return {
            **_word(
                "broke_glass" if change.cause is Cause.BROKE_GLASS else "approved",
                f"{text}, block {change.block_number}",
            ),
            "cause": change.cause.name.lower(),
            "version": change.version,
            "proposal": proposal,
            "requester": None if record is None else _who(record.fields.requester, names),
            "approvers": [_who(address, names) for address in approvers],
            "threshold": None if terms is None else terms.policy.threshold,
            "block": change.block_number,
            "at_s": change.at_s,
        }

    def _model(self, store: str, name: str) -> Digest | None:
        """The id on chain of who had the name last."""
        workspace, _, bare = name.rpartition("/")
        found = [
            (model.creation_ms, key)
            for key, model in self.lookup.models.items()
            if (model.store_id, model.workspace, model.name) == (store, workspace, bare)
        ]
        return max(found)[1] if found else None

    def _is_gated(self, place: tuple[Digest, Digest] | None) -> bool:
        interval = None if place is None else self.state.policy(*place)
        return interval is not None and interval.policy is not None

    def _is_revoked(self, node: Node) -> bool:
        name, _, number = node.id.rpartition("/")
        model = self._model(node.store, name)
        record = None if model is None else self.state.versions.get((model, int(number)))
        return record is not None and record.is_revoked


def unknown(graph: Graph, reason: str) -> None:
    """Say of each target that the chain could not be asked."""
    for node in graph.nodes():
        if node.kind == TARGET:
            text = f"whether it was approved is not known: {reason}"
            graph.facts[node]["approval"] = dict(_word("unknown", text))


def _word(state: str, text: str) -> dict[str, Json]:
    return {"state": state, "text": text}


def _who(address: Address, names: Mapping[Address, str]) -> dict[str, Json]:
    return {"address": to_hex(address), "name": names.get(address)}


def _show(address: Address, names: Mapping[Address, str]) -> str:
    return names.get(address) or to_hex(address)[:12] + "…"
