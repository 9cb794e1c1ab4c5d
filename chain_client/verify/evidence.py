"""What a verification looks at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chain_client.cross.place import CrossPlace
from chain_client.hosts import Host, StoreBinding
from chain_client.ledger.base import Ledger
from chain_client.ledger.deployment import Deployment
from chain_client.log import Log
from chain_client.registry.identity import Salt
from chain_client.verify.spooled import Spooled


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a verification looks at.

    Args:
        deployment: which chain, contract and log belong to the home.
        ledger: the chain.
        log: the local log.
        spooled: reads what is not yet in the log; called anew for each comparison.
        bindings: the host databases to compare.
        salt: gives the salt of the registry; None where the home never had one.
        everything: whether these are all that are known, and not a choice of the caller's.
        load_host: gives an adapter by name.
        cross: finds the second chain, on which heads were anchored too; None if there is none.
        ingester_id: this home's, as one that feeds the log; None if it never did.
        patience_s: how long the relays of other machines may take to bring what was recorded
            there, once something differs.
    """

    deployment: Deployment
    ledger: Ledger
    log: Log
    spooled: Callable[[], Spooled]
    bindings: Sequence[StoreBinding]
    load_host: Callable[[str], Host]
    everything: bool = True
    salt: Callable[[], Salt] | None = None
    cross: Callable[[], CrossPlace | None] | None = None
    ingester_id: str | None = None
    patience_s: float = 15.0
