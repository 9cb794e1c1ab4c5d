"""What the next transaction should pay."""

from __future__ import annotations

from statistics import median_low
from typing import Any

from chain_client.ledger.base import Fees
from chain_client.ledger.jsonrpc.endpoint import Endpoint, ReadRefused
from chain_client.ledger.jsonrpc.values import MalformedReply, to_int

_BLOCKS = 10
_PERCENTILE = 50
_TOO_MUCH_WEI = 2**60
"""More than an ether for a unit of gas."""


def read_fees(endpoint: Endpoint) -> Fees:
    """Fees that will do for the next blocks: twice the base fee, and the tip that others pay.

    A chain whose newest block has no base fee gets transactions of type 0, at its gas price. One
    that asks for neither a base fee nor, by its gas price, a tip gets both fees 0, so that keys
    without coin can send; what it suggests as a tip would be money for nothing.

    Raises:
        EndpointFailed: it gives no answer.
    """
    newest = endpoint.read("eth_getBlockByNumber", "latest", False)
    if not isinstance(newest, dict):
        raise MalformedReply("the latest block is no object")
    if newest.get("baseFeePerGas") is None:
        price = _fee(endpoint.read("eth_gasPrice"), "gas price")
        return Fees(price, price, is_legacy=True)
    try:
        history = endpoint.read("eth_feeHistory", hex(_BLOCKS), "latest", [_PERCENTILE])
        base_fee, tip = read_history(history)
    except (ReadRefused, MalformedReply):  # not every node offers a history
        base_fee, tip = _fee(newest["baseFeePerGas"], "base fee"), None
    if not base_fee and _asks_nothing(endpoint):
        return Fees(0, 0)
    if tip is None:
        tip = _suggested_tip(endpoint)
    return Fees(2 * base_fee + tip, tip)


def read_history(history: Any) -> tuple[int, int | None]:
    """The next block's base fee, and the median tip, of an ``eth_feeHistory`` with one percentile.

    The last base fee is the next block's; twice that holds while it rises for five full blocks.
    Blocks without a transaction tell nothing about tips: None if there are only such.
    """
    base_fees = _list(history, "baseFeePerGas")
    if not base_fees:
        raise MalformedReply("the fee history holds no base fee")
    rows = zip(_list(history, "reward"), _list(history, "gasUsedRatio"))
    tips = [_fee(row[0], "tip") for row, ratio in rows if isinstance(row, list) and row and ratio]
    return _fee(base_fees[-1], "base fee"), median_low(tips) if tips else None


def _list(history: Any, name: str) -> list[Any]:
    found = history.get(name) if isinstance(history, dict) else None
    return found if isinstance(found, list) else []


def _fee(value: Any, name: str) -> int:
    """A fee that can be added up and stored."""
    found = to_int(value, name)
    if found >= _TOO_MUCH_WEI:
        raise MalformedReply(f"its {name} is beyond all reason")
    return found


def _asks_nothing(endpoint: Endpoint) -> bool:
    try:
        return _fee(endpoint.read("eth_gasPrice"), "gas price") == 0
    except ReadRefused:
        return False


def _suggested_tip(endpoint: Endpoint) -> int:
    try:
        return _fee(endpoint.read("eth_maxPriorityFeePerGas"), "tip")
    except ReadRefused:
        return 0
