"""Which transaction did what: found in the registry's events, whoever sent it and whenever."""

from __future__ import annotations

from dataclasses import dataclass

from chain_client.errors import LedgerUnavailable
from chain_client.events import Json
from chain_client.ledger.model_registry_values import RegistryEvent
from chain_client.registry.client import RegistryClient
from chain_client.types import Digest, TxHash, to_hex


@dataclass(frozen=True, slots=True)
class Act:
    """What changed something on chain.

    Args:
        tx_hash: the transaction.
        block_number: block that holds it.
        event: what the contract said of it.
    """

    tx_hash: TxHash
    block_number: int
    event: RegistryEvent

    def to_json(self) -> dict[str, Json]:
        """Transaction and block by name."""
        return {"tx_hash": to_hex(self.tx_hash), "block": self.block_number}


def get_act(
    registry: RegistryClient, name: str, *, first: bool = False, **wanted: Digest | int
) -> Act:
    """The latest event of that name with these arguments, of what is known to have happened.

    Args:
        registry: of the home.
        name: such as ``VersionRegistered``.
        first: the first such event instead.
        wanted: arguments of the event, by the contract's names.

    Raises:
        LedgerUnavailable: the node does not show it now.
    """
    events = registry.events()
    for event in events if first else reversed(events):
        if event.name == name and all(event.args.get(key) == wanted[key] for key in wanted):
            return Act(event.tx_hash, event.block_number, event)
    raise LedgerUnavailable(
        f"the chain does not show the event {name} of what has happened there: its node lags "
        "behind another one; try again"
    )
