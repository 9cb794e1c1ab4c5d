"""Salted commitments and leaf data: how an event becomes the bytes that are hashed.

The exact format is in ``docs/reference/leaf-format.md``. A seed never leaves the log; a
disclosure shows the salt of a field or item, which says nothing about its neighbours.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import TYPE_CHECKING

from chain_client import merkle
from chain_client.canonical import encode, encode_each, key_text, sort_keys, to_text
from chain_client.compact_json import MAX_LEVELS
from chain_client.errors import InclusionFailed, InvalidEvent, InvalidInput
from chain_client.events import (
    LIST_FIELDS_EXCLUDED,
    RESERVED_FIELDS,
    SCHEMA_VERSION,
    Event,
    Json,
)
from chain_client.types import Digest, LeafHash

if TYPE_CHECKING:
    from hashlib import _Hash

SEED_BYTES = 16
"""Length of an event's random seed."""
ID_BYTES = 16
"""Length of the id of an event or source."""
SALT_BYTES = 32
"""Length of the salt of a field or item."""

_PART_LEVELS = MAX_LEVELS - 1
"""A payload is one value; its parts stand one level deep in it."""

_sha256 = hashlib.sha256
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))
_PADDING = bytes(64 - SEED_BYTES)
_NUMBERS = tuple(b"%d" % number for number in range(1000))


def field_salt(seed: bytes, path: str) -> bytes:
    """Salt of one field or item: ``HMAC-SHA-256(seed, path)`` (RFC 2104), 32 bytes.

    Args:
        seed: the event's 16 random bytes.
        path: the field's name, or ``name/index`` for an item of a list.

    Raises:
        InvalidInput: a seed of another length.
    """
    _check_seed(seed)
    return hmac.digest(seed, _path(path), "sha256")


def commit_value(salt: bytes, value: Json) -> Digest:
    """Commitment to one value: ``SHA-256(salt ‖ canonical bytes)``.

    Raises:
        InvalidInput: a salt that is not 32 bytes long.
        InvalidEvent: a value without canonical form.
    """
    _check_salt(salt)
    return Digest(_sha256(salt + encode(value)).digest())


def commit_items(seed: bytes, name: str, items: Sequence[Json]) -> Digest:
    """Commitment to a list, item by item: the RFC 6962 root over the items' salted hashes.

    Args:
        seed: the event's 16 random bytes.
        name: the field's name.
        items: the list; item ``i`` gives the leaf ``salt of name/i ‖ canonical bytes``.

    Raises:
        InvalidInput: a seed of another length.
        InvalidEvent: an item without canonical form.
    """
    _check_seed(seed)
    return merkle.root(_item_hashes(_Salts(seed), name, items))


def prove_item(
    seed: bytes, name: str, items: Sequence[Json], index: int
) -> tuple[bytes, list[Digest]]:
    """What discloses item ``index`` of a list and nothing else: its salt and inclusion proof.

    Raises:
        InvalidInput: no such item, or a seed of another length.
        InvalidEvent: an item without canonical form.
    """
    _check_seed(seed)
    hashes = _item_hashes(_Salts(seed), name, items)
    proof = merkle.inclusion_proof(hashes, index)
    return field_salt(seed, f"{name}/{index}"), proof


def verify_item(
    salt: bytes, item: Json, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that ``item`` is the one at ``index`` of a committed list of ``size`` items.

    Args:
        salt: from `prove_item`.
        item: the disclosed item.
        index: its place in the list.
        size: ``items`` of the field in the leaf data.
        proof: from `prove_item`.
        root: ``root`` of the field in the leaf data.

    Raises:
        InclusionFailed: it is not.
        InvalidInput: arguments of other types, or an item without canonical form.
    """
    if not isinstance(salt, bytes):
        raise InvalidInput("expected the salt as bytes")
    if len(salt) != SALT_BYTES:
        raise InclusionFailed(f"expected a salt of {SALT_BYTES} bytes")
    merkle.verify_inclusion(merkle.leaf_hash(salt + encode(item)), index, size, proof, root)


def leaf_data(event: Event, seed: bytes) -> bytes:
    """The canonical JSON that is hashed into the log for this event.

    Its header is readable; every field is a commitment with a salt of its own.

    Raises:
        InvalidEvent: the payload uses a reserved name or one with ``/`` in it, or a value has no
            canonical form; payload, result and detail may each nest `MAX_LEVELS` deep.
        InvalidInput: a seed of another length.
    """
    _check_seed(seed)
    try:
        return _leaf_text(event, _Salts(seed)).encode()
    except UnicodeEncodeError:
        raise InvalidEvent("expected text that UTF-8 can hold, got a lone surrogate") from None


def seal(event: Event, seed: bytes) -> LeafHash:
    """Leaf hash of the event: ``SHA-256(0x00 ‖ leaf data)``.

    Raises:
        InvalidEvent, InvalidInput: as `leaf_data`.
    """
    return merkle.leaf_hash(leaf_data(event, seed))


class _Salts:
    """HMAC-SHA-256 under one seed, with the two keyed states made once."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, seed: bytes) -> None:
        key = seed + _PADDING
        self._inner = _sha256(key.translate(_INNER))
        self._outer = _sha256(key.translate(_OUTER))

    def salt(self, path: bytes) -> bytes:
        inner = self._inner.copy()
        inner.update(path)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()

    def states(self, prefix: bytes) -> tuple[_Hash, _Hash]:
        """Inner state that has taken the prefix, and outer state."""
        inner = self._inner.copy()
        inner.update(prefix)
        return inner, self._outer


def _item_hashes(
    salts: _Salts, name: str, items: Sequence[Json], max_levels: int = MAX_LEVELS
) -> list[bytes]:
    bodies = encode_each(items, max_levels)
    numbers: Sequence[bytes] = _NUMBERS
    if len(bodies) > len(_NUMBERS):
        numbers = [b"%d" % number for number in range(len(bodies))]
    prefixed, outer_state = salts.states(_path(f"{name}/"))
    sha256 = _sha256
    hashes = []
    for number, body in zip(numbers, bodies):
        inner = prefixed.copy()
        inner.update(number)
        outer = outer_state.copy()
        outer.update(inner.digest())
        hashes.append(sha256(b"\x00" + outer.digest() + body).digest())
    return hashes


def _leaf_text(event: Event, salts: _Salts) -> str:
    _check_header(event)
    fields = event.to_fields()
    payload = event.payload
    parts = []
    for name in sort_keys(fields):
        value = fields[name]
        if isinstance(value, list | tuple) and name not in LIST_FIELDS_EXCLUDED:
            root = merkle.root(_item_hashes(salts, name, value, _PART_LEVELS - 1))
            text = f'{{"items":{len(value)},"root":"0x{root.hex()}"}}'
        else:
            levels = _PART_LEVELS if name in payload else MAX_LEVELS
            digest = _sha256(salts.salt(name.encode()) + encode(value, levels)).hexdigest()
            text = f'"0x{digest}"'
        parts.append(f"{key_text(name)}:{text}")
    return (
        f'{{"fields":{{{",".join(parts)}}},"id":"0x{event.event_id.hex()}",'
        f'"sequence":{to_text(event.sequence)},"source":"0x{event.source_id.hex()}",'
        f'"status":{to_text(event.status.value)},"time_us":{to_text(event.time_us)},'
        f'"type":{to_text(event.type)},"v":{SCHEMA_VERSION}}}'
    )


def _check_header(event: Event) -> None:
    if len(event.event_id) != ID_BYTES or len(event.source_id) != ID_BYTES:
        raise InvalidEvent(f"expected ids of {ID_BYTES} bytes")
    if not RESERVED_FIELDS.isdisjoint(event.payload):
        raise InvalidEvent(f"expected payload names other than {sorted(RESERVED_FIELDS)}")
    for name in event.payload:
        if not isinstance(name, str) or not name or "/" in name:
            # "a/0" would share the salt of item 0 of the list "a".
            raise InvalidEvent("expected payload names without '/', and not empty")


def _path(path: str) -> bytes:
    try:
        return path.encode()
    except UnicodeEncodeError:
        raise InvalidEvent("expected names that UTF-8 can hold, got a lone surrogate") from None


def _check_seed(seed: bytes) -> None:
    if len(seed) != SEED_BYTES:
        raise InvalidInput(f"expected a seed of {SEED_BYTES} bytes, got {len(seed)}")


def _check_salt(salt: bytes) -> None:
    if len(salt) != SALT_BYTES:
        raise InvalidInput(f"expected a salt of {SALT_BYTES} bytes, got {len(salt)}")
