"""What a requester brings along: kinds of evidence as bits, and the list that a proposal binds.

Signatures here are stable.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from chain_client.canonical import encode
from chain_client.errors import InvalidInput
from chain_client.events import Json
from chain_client.types import Digest, from_hex, to_hex

KINDS: Mapping[str, int] = {
    "run": 0,
    "dataset": 1,
    "evaluation": 2,
    "signature": 3,
    "model_card": 4,
    "review_note": 5,
    "ticket": 6,
    "training_code": 7,
    "security_scan": 8,
    "checks": 9,
}
"""Bit of each kind in the contract's ``evidenceKinds``; a bit is never given to another kind."""

CHECKS = "checks"
"""Kind that nobody brings: it is the report of the checks that are run when something is proposed
(`check_reports`)."""

NO_EVIDENCE = Digest(bytes(32))
"""``evidenceHash`` of a proposal that brings none."""

_MAX_ITEMS = 64


@dataclass(frozen=True, slots=True, order=True)
class EvidenceItem:
    """One piece of evidence: a leaf of the log, or the SHA-256 of something kept elsewhere.

    Args:
        kind: one of `KINDS`.
        leaf_index: the leaf; None if it is a digest.
        digest: 32 bytes; empty if it is a leaf.
    """

    kind: str
    leaf_index: int | None = None
    digest: bytes = b""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidInput(f"evidence: expected one of {', '.join(KINDS)}")
        if (self.leaf_index is None) == (not self.digest):
            raise InvalidInput("evidence: expected the index of a leaf, or a digest")
        if self.leaf_index is not None and not 0 <= self.leaf_index < 1 << 48:
            raise InvalidInput("evidence: no log has such a leaf")
        if self.digest and len(self.digest) != 32:
            raise InvalidInput("evidence: expected a digest of 32 bytes")

    @classmethod
    def parse(cls, text: str) -> EvidenceItem:
        """The item of ``evaluation:1234`` (a leaf) or ``model_card:0x…`` (a digest).

        Raises:
            InvalidInput: it is none.
        """
        kind, _, value = text.partition(":")
        if value.startswith("0x"):
            return cls(kind, digest=from_hex(value, size=32))
        if not (value.isascii() and value.isdecimal() and len(value) < 16):
            raise InvalidInput(
                f"{text[:80]!r} is no evidence; expected <kind>:<leaf index> or <kind>:0x<digest>"
            )
        return cls(kind, leaf_index=int(value))

    def __str__(self) -> str:
        if self.leaf_index is not None:
            return f"{self.kind}:{self.leaf_index}"
        return f"{self.kind}:{to_hex(self.digest)}"


def to_mask(kinds: Iterable[str]) -> int:
    """The contract's bits for kinds of evidence.

    Raises:
        InvalidInput: an unknown kind.
    """
    mask = 0
    for kind in kinds:
        if kind not in KINDS:
            raise InvalidInput(
                f"{str(kind)[:40]!r} is no kind of evidence; known: {', '.join(KINDS)}"
            )
        mask |= 1 << KINDS[kind]
    return mask


def to_kinds(mask: int) -> tuple[str, ...]:
    """Names of the bits; one that is not known here as ``kind 17``."""
    names = {bit: name for name, bit in KINDS.items()}
    return tuple(
        names.get(bit, f"kind {bit}") for bit in range(mask.bit_length()) if mask >> bit & 1
    )


def hash_evidence(salt: bytes, items: Sequence[EvidenceItem]) -> Digest:
    """What stands on chain for a list of evidence: an HMAC-SHA-256 of its canonical JSON.

    Args:
        salt: 32 random bytes, those of the proposal's salt line.
        items: in the order in which they are listed; none gives `NO_EVIDENCE`.

    Raises:
        InvalidInput: too many.
    """
    if len(items) > _MAX_ITEMS:
        raise InvalidInput(f"expected at most {_MAX_ITEMS} pieces of evidence, got {len(items)}")
    if not items:
        return NO_EVIDENCE
    value: list[Json] = ["evidence", [str(item) for item in items]]
    return Digest(hmac.digest(salt, encode(value), "sha256"))
