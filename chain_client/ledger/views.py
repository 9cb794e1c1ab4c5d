"""Asking a contract: one view, its answer decoded, its refusal explained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chain_client.errors import CallReverted, ContractMissing, ContractReverted, InvalidInput
from chain_client.ledger.abi import load_abi
from chain_client.ledger.base import BlockTag, Call, Ledger
from chain_client.types import Address, to_hex


def read_view(
    ledger: Ledger,
    contract: str,
    address: Address,
    explain: Callable[[CallReverted], ContractReverted],
    function: str,
    *args: object,
    at: BlockTag | int = "latest",
) -> tuple[Any, ...]:
    """Return values of a view.

    Args:
        ledger: where the contract is.
        contract: name of its artifact.
        address: where it is.
        explain: makes a revert the contract's own error.
        function: the view's name.
        args: its arguments.
        at: the block.

    Raises:
        ContractReverted: the contract refuses.
        ContractMissing: no such contract answers at the address.
    """
    abi = load_abi(contract)
    try:
        data = ledger.call(Call(address, abi.encode_call(function, *args)), at)
    except CallReverted as exc:
        raise explain(exc) from exc
    try:
        return abi.decode_result(function, data)
    except InvalidInput as exc:
        raise ContractMissing(
            f"no {contract} contract answers at {to_hex(address)} of {ledger.url}; "
            "check the deployment's address and chain"
        ) from exc
