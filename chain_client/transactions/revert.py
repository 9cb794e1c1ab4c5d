"""Why a transaction failed, as far as the chain can tell."""

from __future__ import annotations

import logging
from collections.abc import Callable

from chain_client.errors import CallReverted, ContractReverted, LedgerUnavailable
from chain_client.ledger.abi import ContractAbi
from chain_client.ledger.base import Ledger
from chain_client.ledger.revert import explain_revert
from chain_client.transactions.model import StoredTransaction

_logger = logging.getLogger(__name__)


def explain_plainly(reverted: CallReverted) -> ContractReverted:
    """The revert as an error, when no contract's ABI is at hand."""
    return explain_revert(reverted.revert_data, ContractAbi(()), {})


def reason_of(
    ledger: Ledger,
    failed: StoredTransaction,
    explain: Callable[[CallReverted], ContractReverted],
) -> ContractReverted:
    """The reason of a failed transaction: a receipt has none, so its call is tried again."""
    block_number = failed.block_number
    assert block_number is not None
    try:
        ledger.call(failed.to_call(), at=block_number, sender=failed.sender)
    except CallReverted as exc:
        return explain(exc)
    except LedgerUnavailable as exc:
        _logger.warning("the chain does not say why %s failed: %s", failed.purpose, exc)
    return ContractReverted(
        "",
        f"the transaction for {failed.purpose!r} failed in block {block_number}: it ran out of "
        "gas, or the contract's state had changed since it was estimated",
    )
