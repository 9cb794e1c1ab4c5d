"""The leaf format once more, from its page and with nothing but the standard library.

Nothing of the product is imported here: what both ways say is what the page says.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

NAMES = ("id", "type", "source", "sequence", "time_us", "status")
"""Header members in the order of the stored form, after its version."""
ONE_VALUE = ("subject", "actor", "timing")


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def from_hex(text: str) -> bytes:
    assert text.startswith("0x")
    assert text == text.lower()
    return bytes.fromhex(text[2:])


def to_hex(data: bytes) -> str:
    return "0x" + data.hex()


def canonical(value: Any) -> str:
    """RFC 8785 with typed strings for what it can't express."""
    if isinstance(value, str):
        typed = value.startswith(("number:", "string:"))
        return quoted("string:" + value if typed else value)
    if isinstance(value, list):
        return "[" + ",".join(canonical(item) for item in value) + "]"
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(f"{quoted(key)}:{canonical(value[key])}" for key in keys) + "}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value) if abs(value) < 2**53 else quoted(f"number:{value}")
    return number(value)


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def number(value: float) -> str:
    """ECMA-262, section 6.1.6.1.20, from the shortest digits that round-trip."""
    if math.isnan(value):
        return '"number:NaN"'
    if math.isinf(value):
        return '"number:Infinity"' if value > 0 else '"number:-Infinity"'
    if value == 0:
        return "0"
    if value < 0:
        return "-" + number(-value)
    _, figures, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    digits = "".join(map(str, figures))
    k, n = len(digits), len(figures) + exponent
    if k <= n <= 21:
        return digits + "0" * (n - k)
    if 0 < n <= 21:
        return digits[:n] + "." + digits[n:]
    if -6 < n <= 0:
        return "0." + "0" * -n + digits
    fraction = "." + digits[1:] if k > 1 else ""
    return f"{digits[0]}{fraction}e{n - 1:+d}"


def salt(seed: bytes, path: str) -> bytes:
    return hmac.new(seed, path.encode(), hashlib.sha256).digest()


def item_leaf(salt: bytes, item: Any) -> bytes:
    return sha256(b"\x00" + salt + canonical(item).encode())


def fields_of(event: list[Any]) -> dict[str, Any]:
    """The committed fields of a stored event, by name."""
    subject, actor, timing, payload, result, error, detail = event[7:]
    given = {"result": result, "error": error, "detail": detail}
    named = {name: value for name, value in given.items() if value is not None}
    return {"subject": subject, "actor": actor, "timing": timing, **named, **payload}


def leaf_data(event: list[Any], seed: bytes) -> bytes:
    fields: dict[str, Any] = {}
    for name, value in fields_of(event).items():
        if isinstance(value, list) and name not in ONE_VALUE:
            leaves = [item_leaf(salt(seed, f"{name}/{i}"), item) for i, item in enumerate(value)]
            fields[name] = {"items": len(value), "root": to_hex(root(leaves))}
        else:
            fields[name] = to_hex(sha256(salt(seed, name) + canonical(value).encode()))
    leaf = {"v": event[0], **dict(zip(NAMES, event[1:7])), "fields": fields}
    leaf["id"], leaf["source"] = "0x" + leaf["id"], "0x" + leaf["source"]
    return canonical(leaf).encode()


def leaf_hash(data: bytes) -> bytes:
    return sha256(b"\x00" + data)


def root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962, section 2.1."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha256(b"")
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + root(leaves[:k]) + root(leaves[k:]))


def root_of_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root to which an inclusion proof leads, from the shape of the tree."""
    if size == 1:
        assert not path
        return leaf
    k = 1
    while k * 2 < size:
        k *= 2
    if index < k:
        return sha256(b"\x01" + root_of_path(leaf, index, k, path[:-1]) + path[-1])
    return sha256(b"\x01" + path[-1] + root_of_path(leaf, index - k, size - k, path[:-1]))
