"""Names for the values that must not be mixed up.

Inside the program a digest is 32 raw bytes; hex with ``0x`` appears only at JSON, CLI and
contract edges (`to_hex`, `from_hex`).
"""

from __future__ import annotations

from typing import NewType

from chain_client.errors import InvalidInput

Digest = NewType("Digest", bytes)
"""32 bytes of SHA-256 (or a keccak-256 code hash where the name says so)."""
LeafHash = NewType("LeafHash", bytes)
"""RFC 6962 leaf hash, 32 bytes."""
TxHash = NewType("TxHash", bytes)
"""keccak-256 of the signed transaction, 32 bytes."""
Address = NewType("Address", bytes)
"""EVM address, 20 bytes."""
LogId = NewType("LogId", bytes)
"""Identity of a log in the `EventLog` contract, 32 random bytes."""
EventId = NewType("EventId", bytes)
"""UUIDv7, 16 bytes."""
SourceId = NewType("SourceId", bytes)
"""Identity of a spool, 16 random bytes."""


def to_hex(value: bytes) -> str:
    """Lower-case hex with ``0x``."""
    return "0x" + value.hex()


def from_hex(text: str, *, size: int | None = None) -> bytes:
    """Bytes of a ``0x`` hex string.

    Args:
        text: hex with or without ``0x``.
        size: required length in bytes, if any.

    Raises:
        InvalidInput: not hex, or another length.
    """
    try:
        value = bytes.fromhex(text.removeprefix("0x"))
    except ValueError as exc:
        raise InvalidInput(f"expected hex like 0x12ab…, got {text[:20]!r}") from exc
    if size is not None and len(value) != size:
        raise InvalidInput(f"expected {size} bytes of hex, got {len(value)}")
    return value
