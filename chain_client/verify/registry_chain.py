"""The registry's history for a verification: of the home's registry and of those that followed."""

from __future__ import annotations

from dataclasses import dataclass

from chain_client.errors import ContractMissing, ContractReverted
from chain_client.ledger.base import Ledger
from chain_client.ledger.deployment import Deployment
from chain_client.ledger.model_registry import ModelRegistryContract
from chain_client.sync.reading import TimelineReader
from chain_client.sync.timeline import Timeline
from chain_client.types import Address, to_hex

_MOST_SUCCESSORS = 16


@dataclass(frozen=True, slots=True)
class RegistryChain:
    """The registries of a deployment, the one in use last.

    Args:
        timelines: of each, in the order in which they followed each other.
        addresses: of each.
        time_s: time of the block up to which they were read.
        is_succeeded: whether another registry took the place of the home's.
        doubt: why a successor was not followed; None if all were.
    """

    timelines: tuple[Timeline, ...]
    addresses: tuple[Address, ...]
    time_s: int
    is_succeeded: bool = False
    doubt: str | None = None

    @property
    def newest(self) -> Timeline:
        """Of the registry in use."""
        return self.timelines[-1]

    def is_empty(self) -> bool:
        """Whether nothing was ever gated or decided."""
        return not any(t.changes or t.state.policies for t in self.timelines)


def read_registries(ledger: Ledger, deployment: Deployment) -> RegistryChain | None:
    """Every registry from the home's on; None if the home has none.

    An administrator named the successor, for ever. It is followed if it was deployed with the
    home's salt, for ids and digests mean nothing under another one.

    Raises:
        LedgerUnavailable: the chain does not answer.
    """
    address: Address | None = deployment.registry
    if address is None:
        return None
    timelines: list[Timeline] = []
    addresses: list[Address] = []
    time_s, doubt = 0, None
    while address is not None and len(timelines) < _MOST_SUCCESSORS:
        contract = ModelRegistryContract(ledger, address)
        if timelines and not _has_salt(contract, deployment):
            doubt = (
                f"the registry was succeeded by {to_hex(address)}, which is none or has another "
                "salt: set up a home for it, and verify there"
            )
            break
        reader = TimelineReader(ledger, contract, deployment.registry_block or 0)
        time_s = reader.advance()[0].timestamp_s
        timelines.append(reader.timeline)
        addresses.append(address)
        address = reader.timeline.state.successor
    is_succeeded = len(timelines) > 1 or doubt is not None
    return RegistryChain(tuple(timelines), tuple(addresses), time_s, is_succeeded, doubt)


def _has_salt(contract: ModelRegistryContract, deployment: Deployment) -> bool:
    try:
        return contract.salt_hash() == deployment.registry_salt_hash
    except (ContractMissing, ContractReverted):
        return False
