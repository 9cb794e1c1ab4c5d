"""Which chain a connection must lead to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from chain_client.errors import ContractMissing
from chain_client.signing.keccak import keccak256
from chain_client.types import Address, Digest, to_hex


@dataclass(frozen=True, slots=True)
class ExpectedChain:
    """What every endpoint of a connection is checked for before anything else is asked of it.

    Args:
        chain_id: the chain's id.
        code_hashes: keccak-256 of the runtime code at each contract of ours.
    """

    chain_id: int
    code_hashes: Mapping[Address, Digest] = field(default_factory=dict)


def check_code(where: str, code: bytes, code_hash: Digest) -> None:
    """See that the code at a contract's address is what was deployed.

    Args:
        where: the place, for a person.
        code: what the chain has there.
        code_hash: keccak-256 of what should be there.

    Raises:
        ContractMissing: there is none, or another.
    """
    if not code:
        raise ContractMissing(
            f"there is no contract at {where}: the chain was replaced or restored from an old "
            "copy, or the node lags behind",
            to_hex(code_hash),
        )
    found = keccak256(code)
    if found != code_hash:
        raise ContractMissing(
            f"the contract at {where} has the code {to_hex(found)}, but {to_hex(code_hash)} was "
            "deployed",
            to_hex(code_hash),
            to_hex(found),
        )
