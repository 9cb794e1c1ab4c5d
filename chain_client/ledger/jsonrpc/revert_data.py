"""What a contract returned when it reverted, wherever a client puts it in its reply. Pure."""

from __future__ import annotations

import re

_MAX_DEPTH = 6
_MAX_TEXT = 2 * 1024 * 1024
_MAX_MESSAGE = 10_000
_KEYS = ("data", "output", "result", "return", "returnData", "revertData", "originalError")
_IN_WORDS = re.compile(r"0x((?:[0-9a-f]{2}){4,})(?![0-9a-f])", re.IGNORECASE)
_REASON = re.compile(r"(?::| with reason string)\s*+(['\"]?)(.+)\1", re.IGNORECASE)
_ERROR_OF_TEXT = bytes.fromhex("08c379a0")
"""Selector of ``Error(string)``, which Solidity's ``require`` gives."""
_HEX = re.compile(r"\s*(?:reverted\s+)?0x((?:[0-9a-f]{2})*)\s*", re.IGNORECASE)


def find_revert_data(data: object) -> bytes | None:
    """The raw bytes that a contract returned; None if the reply holds none.

    Known shapes of an error's ``data``::

        "0x08c379a0…"                       geth, Besu, Erigon, anvil, reth
        "Reverted 0x08c379a0…"              Nethermind before 1.26, OpenEthereum
        {"data": "0x…", "message": …}       hardhat
        {"data": {"data": "0x…"}}           hardhat behind a proxy
        {"originalError": {"data": "0x…"}}  wallets and proxies
        {"0x<transaction>": {"return": …}}  ganache

    Args:
        data: the member ``data`` of the JSON-RPC error, as decoded from JSON.
    """
    return _find(data, _MAX_DEPTH)


def _find(data: object, depth: int) -> bytes | None:
    if isinstance(data, str):
        found = _HEX.fullmatch(data) if len(data) <= _MAX_TEXT else None
        return bytes.fromhex(found[1]) if found else None
    if not isinstance(data, dict) or depth == 0:
        return None
    for key in _KEYS:
        if key in data:
            inner = _find(data[key], depth - 1)
            if inner is not None:
                return inner
    for value in data.values():
        if isinstance(value, dict):
            inner = _find(value, depth - 1)
            if inner is not None:
                return inner
    return None


def revert_data_from_words(message: str) -> bytes:
    """What a contract returned, as far as a message tells where the reply holds no data.

    Some proxies drop ``data``. Hex in the message is taken as it is; a reason in words becomes
    Solidity's ``Error(string)`` again.

    Args:
        message: of the JSON-RPC error, such as ``execution reverted: no``.
    """
    _, reverted, words = message[:_MAX_MESSAGE].strip().partition("reverted")
    if not reverted:
        return b""
    found = _IN_WORDS.search(words)
    if found is not None:
        return bytes.fromhex(found[1])
    reason = _REASON.fullmatch(words)
    if reason is None or reason[2] == "0x":
        return b""
    text = reason[2].encode("utf-8", "replace")
    padded = text.ljust(-(-len(text) // 32) * 32, b"\0")
    return _ERROR_OF_TEXT + (32).to_bytes(32, "big") + len(text).to_bytes(32, "big") + padded


def names_a_transaction(data: object) -> bool:
    """Whether an error's ``data`` says under which hash its transaction was mined (hardhat)."""
    return isinstance(data, dict) and isinstance(data.get("txHash"), str)
