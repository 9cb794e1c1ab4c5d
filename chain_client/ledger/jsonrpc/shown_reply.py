"""An endpoint's words as they may stand in an error's text. Pure.

What an endpoint says is not ours: it may hold the endpoint's address, whose path is an API key,
or hide and forge text.
"""

from __future__ import annotations

import re

from chain_client.shown_text import escape_unprintable

_CHARS = 200
_READ_CHARS = 1_000
# Each looks back or on only so far that a hostile text costs no more than a long one.
_URL = re.compile(r"[a-z][a-z0-9+.-]{0,30}://\S+", re.IGNORECASE)
_HOST_PATH = re.compile(r"(?<![\w-])[\w-]++(?:\.[\w-]++)++(?::\d++)?+/\S*")
_NAMED_SECRET = re.compile(
    r"(\b(?:bearer|basic)\s|(?:key|token|secret|password|passwd|auth|authorization|id)"
    r"""["']?\s*[=:])\s*["']?(?:(?:bearer|basic)\s+)?[^\s"',;)}\]]+""",
    re.IGNORECASE,
)
_LONG_WORD = re.compile(r"[\w+/=-]{20,}")
_PUBLIC_WORD = re.compile(r"0x(?:[0-9a-fA-F]{40}|[0-9a-fA-F]{64})|[0-9]+|[A-Za-z/_-]+")
_REFUSED = (401, 403)


def shown(message: str, http_status: int = 200, body: str = "error") -> str:
    """One short line, without addresses of endpoints and without what may be a token.

    Args:
        message: of a JSON-RPC error.
        http_status: of the HTTP reply.
        body: what the body was; only an ``error``'s message is shown.
    """
    hint = ""
    if http_status in _REFUSED:
        hint = f" (HTTP {http_status}: are the settings ledger.url and ledger.headers right?)"
    if body != "error":
        return hint.strip(" ()") or f"HTTP {http_status} without a JSON-RPC reply"
    text = " ".join(message[:_READ_CHARS].split())
    for pattern in (_URL, _HOST_PATH):
        text = pattern.sub("<address>", text)
    text = _NAMED_SECRET.sub(r"\1…", text)
    text = _LONG_WORD.sub(lambda word: word[0] if _PUBLIC_WORD.fullmatch(word[0]) else "…", text)
    text = escape_unprintable(text)
    text = text if len(text) <= _CHARS else text[: _CHARS - 1] + "…"
    return (f"“{text}”" if text else "nothing") + hint
