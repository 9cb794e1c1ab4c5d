"""What an endpoint's refusal means: pure, no I/O, table-tested over real clients' wordings.

A client's code decides where it is specific, else words of its message. What is not known is
``other``: curable, so that nothing is lost by a wording that drifted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from chain_client.errors import LedgerUnavailable, TransactionRejected
from chain_client.ledger.jsonrpc.revert_data import find_revert_data
from chain_client.ledger.jsonrpc.wordings import EITHER, READS, SENDS
from chain_client.shown_text import escape_unprintable

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
bytes (`LedgerUnavailable`); the rest is a reason of `TransactionRejected`. ``reverted``: the
transaction may be in a block all the same (hardhat mines it, and then says so)."""

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
block (yet). ``range_too_large``: ask for fewer blocks. ``history_missing``: no archive."""

BodyKind: TypeAlias = Literal["error", "html", "text", "empty"]
"""What the body was: a JSON-RPC error object, or none."""

_UNREACHED_SENDS = frozenset({"pool_full", "rate_limited", "unavailable"})
_SHOWN_CHARS = 200
_URL = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
_SECRET = re.compile(r"(?i)\b(bearer|basic|key|token|secret|password|apikey)(\s*[=:]\s*|\s+)\S+")
_LONG_WORD = re.compile(r"[\w-]{24,}")
_PUBLIC_WORD = re.compile(r"0x(?:[0-9a-fA-F]{40}|[0-9a-fA-F]{64})|[0-9]+|[A-Za-z_-]+")


@dataclass(frozen=True, slots=True)
class SendVerdict:
    """What a refusal of ``eth_sendRawTransaction`` means.

    Args:
        kind: see `SendKind`.
        text: the node's words, fit to be shown: one line, capped, without addresses of
            endpoints and whatever may be a token.
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
        if self.kind in _UNREACHED_SENDS:
            return LedgerUnavailable(f"{endpoint} takes no transaction now: {self.text}")
        return TransactionRejected(self.kind, f"{endpoint} says {self.text}")


@dataclass(frozen=True, slots=True)
class ReadVerdict:
    """What a refusal of anything that only reads means.

    Args:
        kind: see `ReadKind`.
        text: as in `SendVerdict`.
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

    Args:
        error_code: of the JSON-RPC error; None where the body held none.
        message: of the JSON-RPC error.
        http_status: of the HTTP reply.
        client_version: as ``web3_clientVersion`` gave it, where codes differ by client.
        data: the error's ``data``, as decoded from JSON.
        body: what the body was.
    """
    found = None if body != "error" else _by_words(SENDS, message)
    kind = found or _by_status(error_code, message, http_status, body) or "other"
    return SendVerdict(cast("SendKind", kind), shown(message, http_status, body))


def classify_read(
    error_code: int | None,
    message: str,
    http_status: int = 200,
    client_version: str = "",
    *,
    data: object = None,
    body: BodyKind = "error",
) -> ReadVerdict:
    """What a refusal of a call, an estimate or a look-up means; arguments as `classify_send`."""
    found = None if body != "error" else _by_words(READS, message)
    if body == "error" and error_code == 3:
        found = "reverted"
    kind = found or _by_status(error_code, message, http_status, body) or "other"
    revert_data = find_revert_data(data) or b"" if kind == "reverted" else b""
    return ReadVerdict(cast("ReadKind", kind), shown(message, http_status, body), revert_data)


def shown(message: str, http_status: int = 200, body: BodyKind = "error") -> str:
    """An endpoint's words as they may stand in an error's text; see `SendVerdict`."""
    if body != "error":
        return f"HTTP {http_status} without a JSON-RPC reply"
    text = " ".join(message[: 10 * _SHOWN_CHARS].split())
    text = _SECRET.sub(r"\1 …", _URL.sub("<address>", text))
    text = _LONG_WORD.sub(lambda word: word[0] if _PUBLIC_WORD.fullmatch(word[0]) else "…", text)
    text = escape_unprintable(text)
    shortened = text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"
    return f"{shortened!r}" if shortened else "nothing"


def _by_status(
    error_code: int | None, message: str, http_status: int, body: BodyKind
) -> str | None:
    if http_status == 429 or error_code in (-32005, 429):
        return "rate_limited"
    found = _by_words(EITHER, message) if body == "error" else None
    if found is None and error_code == -32601:
        return "method_missing"
    if found is None and (body != "error" or http_status >= 400):
        return "unavailable"
    return found


def _by_words(table: tuple[tuple[str, tuple[str, ...]], ...], message: str) -> str | None:
    lowered = message.lower()
    for kind, fragments in table:
        if any(fragment in lowered for fragment in fragments):
            return kind
    return None
