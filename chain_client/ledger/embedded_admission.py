"""Which transactions the embedded chain admits, and the reason when it does not.

Import this module only when a transaction is sent: it loads py-evm.
"""

from __future__ import annotations

from typing import Any

import rlp
from eth_utils.exceptions import ValidationError

from chain_client.errors import TransactionRejected
from chain_client.signing.recursion_limit import unchanged_recursion_limit
from chain_client.types import Address, to_hex

with unchanged_recursion_limit():
    from eth.exceptions import UnrecognizedTransactionType
    from eth.vm.forks.cancun.transactions import CancunTransactionBuilder

GAS_CAP = 30_000_000
"""Most gas of one transaction or view, and so the most that one can compute."""
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


def decode(raw: bytes, chain_id: int) -> Any:
    """A signed transaction that could be included in a chain of that id.

    Raises:
        TransactionRejected: malformed, badly signed, or for another chain.
    """
    try:
        transaction = CancunTransactionBuilder.decode(raw)
        canonical = transaction.encode() == raw
    except (
        rlp.exceptions.RLPException,
        UnrecognizedTransactionType,
        ValidationError,
        ValueError,
        TypeError,
        IndexError,
    ) as exc:
        raise TransactionRejected("other", "these bytes are no signed transaction") from exc
    if not canonical:
        raise TransactionRejected("other", "these bytes are no canonically encoded transaction")
    if transaction.chain_id != chain_id:
        raise TransactionRejected(
            "wrong_chain",
            f"the transaction is signed for chain {transaction.chain_id}, this is chain {chain_id}",
        )
    try:
        if transaction.s > _HALF_ORDER:
            raise ValidationError("s is in the upper half (EIP-2)")
        transaction.check_signature_validity()
    except (ValidationError, ValueError) as exc:
        raise TransactionRejected("invalid_signature", f"the signature is invalid: {exc}") from exc
    return transaction


def check_against(state: Any, transaction: Any) -> None:
    """Refuse, with a reason, what could not be included on this state.

    Raises:
        TransactionRejected: its nonce, gas limit, fee or funds don't fit.
    """
    sender = Address(transaction.sender)
    nonce = state.get_nonce(sender)
    if transaction.nonce != nonce:
        raise TransactionRejected(
            "nonce_too_low" if transaction.nonce < nonce else "nonce_gap",
            f"the transaction has nonce {transaction.nonce}, "
            f"the next nonce of {to_hex(sender)} is {nonce}",
        )
    if transaction.gas > GAS_CAP or transaction.gas < transaction.intrinsic_gas:
        raise TransactionRejected(
            "gas_limit",
            f"the gas limit {transaction.gas} is not between {transaction.intrinsic_gas}, "
            f"what its bytes cost alone, and {GAS_CAP}",
        )
    if transaction.max_fee_per_gas < state.base_fee:
        raise TransactionRejected(
            "fee_too_low",
            f"the fee {transaction.max_fee_per_gas} wei is below the base fee {state.base_fee} wei",
        )
    cost = transaction.gas * transaction.max_fee_per_gas + transaction.value
    if state.get_balance(sender) < cost:
        raise TransactionRejected(
            "insufficient_funds",
            f"{to_hex(sender)} has {state.get_balance(sender)} wei, "
            f"the transaction may cost {cost} wei",
        )
