"""What the next transaction should pay."""

from __future__ import annotations

from statistics import median_low
from typing import Any

from chain_client.ledger.base import Fees
from chain_client.ledger.jsonrpc.endpoint import Endpoint, ReadRefused
from chain_client.ledger.jsonrpc.values import MalformedReply, to_int

_BLOCKS = 10
_PERCENTILE = 50


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
        price = to_int(endpoint.read("eth_gasPrice"), "gas price")
        return Fees(price, price, is_legacy=True)
    try:
        history = endpoint.read("eth_feeHistory", hex(_BLOCKS), "latest", [_PERCENTILE])
        base_fee, tip = read_history(history)
    except (ReadRefused, MalformedReply):  # not every node offers a history
        base_fee, tip = to_int(newest["baseFeePerGas"], "base fee"), None
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
    if not isinstance(history, dict) or not history.get("baseFeePerGas"):
        raise MalformedReply("the fee history holds no base fee")
    base_fees = [to_int(fee, "base fee") for fee in history["baseFeePerGas"]]
    used = history.get("gasUsedRatio") or []
    rewards = history.get("reward") or []
    tips = [to_int(row[0], "tip") for row, ratio in zip(rewards, used) if row and ratio]
    return base_fees[-1], median_low(tips) if tips else None


def _asks_nothing(endpoint: Endpoint) -> bool:
    try:
        return to_int(endpoint.read("eth_gasPrice"), "gas price") == 0
    except ReadRefused:
        return False


def _suggested_tip(endpoint: Endpoint) -> int:
    try:
        return to_int(endpoint.read("eth_maxPriorityFeePerGas"), "tip")
    except ReadRefused:
        return 0
