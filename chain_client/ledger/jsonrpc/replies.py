"""What an endpoint's refusal means: pure, no I/O, table-tested over real clients' wordings.

A code decides where it is specific, else words of the message. What is not known is ``other``:
curable, so that nothing is lost by a wording that drifted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias, cast

from chain_client.errors import LedgerUnavailable, TransactionRejected
from chain_client.ledger.jsonrpc.revert_data import (
    find_revert_data,
    names_a_transaction,
    revert_data_from_words,
)
from chain_client.ledger.jsonrpc.shown_reply import shown
from chain_client.ledger.jsonrpc.wordings import (
    EITHER,
    READ_CODES,
    READS,
    REVERTS,
    SEND_CODES,
    SEND_CODES_OF,
    SENDS,
    Table,
)

SendKind: TypeAlias = Literal[
    "known",
    "nonce_too_low",
    "nonce_gap",
    "underpriced",
    "fee_too_low",
    "insufficient_funds",
    "gas_limit",
    "invalid_signature",
    "wrong_chain",
    "pool_full",
    "reverted",
    "rate_limited",
    "unavailable",
    "other",
]
"""``known`` is success; ``pool_full``, ``rate_limited`` and ``unavailable`` say nothing about the
bytes (`LedgerUnavailable`); the rest is a reason of `TransactionRejected`."""

ReadKind: TypeAlias = Literal[
    "reverted",
    "history_missing",
    "range_too_large",
    "tag_unknown",
    "tag_unset",
    "block_missing",
    "method_missing",
    "insufficient_funds",
    "rate_limited",
    "unavailable",
    "other",
]
"""``tag_unknown``: the node does not know the tag; ``tag_unset``: it knows it, and has no such
block (yet, or ever: chains without finality). ``range_too_large``: ask for fewer blocks.
``history_missing``: no archive, or too small a window of proofs."""

BodyKind: TypeAlias = Literal["error", "html", "text", "empty"]
"""What the body was: a JSON-RPC error object, or none."""

_UNREACHED = frozenset({"pool_full", "rate_limited", "unavailable"})
_ANVIL_OUT_OF_RANGE = re.compile(r"block height is (\d{1,18}) but requested was (\d{1,18})(?!\d)")
_READ_CHARS = 2_000
"""So much of a message is read: one may be as long as a reply."""
_SELECTOR = 4
_RATE_LIMITED, _PAYLOAD_TOO_LARGE = 429, 413
_METHOD_NOT_FOUND, _INVALID_PARAMS, _LIMIT_EXCEEDED, _INTERNAL = -32601, -32602, -32005, -32603


@dataclass(frozen=True, slots=True)
class SendVerdict:
    """What a refusal of ``eth_sendRawTransaction`` means.

    Args:
        kind: see `SendKind`.
        text: the node's words as `shown` gives them.
    """

    kind: SendKind
    text: str

    def to_error(self, endpoint: str) -> TransactionRejected | LedgerUnavailable | None:
        """The error to raise; None where the chain has the bytes (``known``).

        Args:
            endpoint: its name as ``https://host:port``.
        """
        if self.kind == "known":
            return None
        if self.kind in _UNREACHED:
            return LedgerUnavailable(f"{endpoint} takes no transaction now: {self.text}")
        return TransactionRejected(self.kind, f"{endpoint} says {self.text}")


@dataclass(frozen=True, slots=True)
class ReadVerdict:
    """What a refusal of anything that only reads means.

    Args:
        kind: see `ReadKind`.
        text: the node's words as `shown` gives them.
        revert_data: what the contract returned, for ``reverted``; empty if it gave nothing.
    """

    kind: ReadKind
    text: str
    revert_data: bytes = b""


def classify_send(
    error_code: int | None,
    message: str,
    http_status: int = 200,
    client_version: str = "",
    *,
    data: object = None,
    body: BodyKind = "error",
) -> SendVerdict:
    """What a refusal of a signed transaction means.

    A node that mined it and then says that it reverted has it: ``known``.

    Args:
        error_code: of the JSON-RPC error; None where the body held none.
        message: of the JSON-RPC error.
        http_status: of the HTTP reply.
        client_version: as ``web3_clientVersion`` gave it, where codes differ by client.
        data: the error's ``data``, as decoded from JSON.
        body: what the body was.
    """
    kind = _transport(http_status, body)
    kind = "unavailable" if kind == "range_too_large" else kind
    if kind is None and error_code is not None:
        kind = SEND_CODES.get(error_code)
    kind = kind or _by_words(SENDS, message)
    if kind is None and error_code is not None:
        for client, codes in SEND_CODES_OF.items():
            if client_version.lower().startswith(client):
                kind = codes.get(error_code)
    kind = kind or _either(error_code, message, http_status)
    if kind == "reverted" and names_a_transaction(data):
        kind = "known"
    return SendVerdict(cast("SendKind", kind), shown(message, http_status, body))


def classify_read(
    error_code: int | None,
    message: str,
    http_status: int = 200,
    client_version: str = "",
    *,
    data: object = None,
    body: BodyKind = "error",
    names_tag: bool = False,
) -> ReadVerdict:
    """What a refusal of a call, an estimate or a look-up means.

    Args:
        error_code: as `classify_send`, like all that follow.
        message: of the JSON-RPC error.
        http_status: of the HTTP reply.
        client_version: as ``web3_clientVersion`` gave it; no client needs it so far.
        data: the error's ``data``.
        body: what the body was.
        names_tag: ``finalized`` or ``safe`` was asked for.
    """
    kind = _transport(http_status, body) or _by_words(REVERTS, message)
    if kind is None and error_code is not None:
        kind = READ_CODES.get(error_code)
    kind = kind or _by_words(READS, message)
    if kind == "block_missing" and _is_in_the_past(message):
        kind = "history_missing"
    kind = kind or ("method_missing" if error_code == _METHOD_NOT_FOUND else None)
    kind = kind or ("tag_unknown" if names_tag and error_code == _INVALID_PARAMS else None)
    if kind == "block_missing" and names_tag:
        kind = "tag_unset"
    kind = kind or _either(error_code, message, http_status)
    revert_data = find_revert_data(data)
    if kind in ("other", "unavailable") and revert_data and len(revert_data) % 32 == _SELECTOR:
        kind = "reverted"  # a proxy put words of its own over the node's
    if kind == "reverted" and revert_data is None:
        revert_data = revert_data_from_words(message)
    returned = revert_data or b"" if kind == "reverted" else b""
    return ReadVerdict(cast("ReadKind", kind), shown(message, http_status, body), returned)


def _transport(http_status: int, body: BodyKind) -> str | None:
    """What the reply means if no node spoke."""
    if http_status == _RATE_LIMITED:
        return "rate_limited"
    if body == "error":
        return None
    return "range_too_large" if http_status == _PAYLOAD_TOO_LARGE else "unavailable"


def _either(error_code: int | None, message: str, http_status: int) -> str:
    if error_code in (_LIMIT_EXCEEDED, _RATE_LIMITED):
        return "rate_limited"
    found = _by_words(EITHER, message)
    if found is None and (error_code == _INTERNAL or http_status >= 400):
        return "unavailable"
    return found or "other"


def _is_in_the_past(message: str) -> bool:
    """Whether anvil says of a block that it forgot that it is out of range."""
    found = _ANVIL_OUT_OF_RANGE.search(message[:_READ_CHARS])
    return found is not None and int(found[2]) <= int(found[1])


def _by_words(table: Table, message: str) -> str | None:
    lowered = message[:_READ_CHARS].lower()
    for kind, entries in table:
        for entry in entries:
            if all(pattern.search(lowered) for pattern in _patterns(entry)):
                return kind
    return None


@cache
def _patterns(entry: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(rf"(?<![a-z0-9]){re.escape(part)}") for part in entry.split(" + "))
