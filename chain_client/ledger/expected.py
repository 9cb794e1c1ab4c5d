"""Which chain a connection must lead to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from chain_client.types import Address, Digest


@dataclass(frozen=True, slots=True)
class ExpectedChain:
    """What every endpoint of a connection is checked for before anything else is asked of it.

    Args:
        chain_id: the chain's id.
        code_hashes: keccak-256 of the runtime code at each contract of ours.
    """

    chain_id: int
    code_hashes: Mapping[Address, Digest] = field(default_factory=dict)
