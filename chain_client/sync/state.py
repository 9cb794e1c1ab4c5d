"""What was done already: up to which block, and at which sequence each target was made equal."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chain_client.errors import HomeNotWritable, InvalidInput
from chain_client.gate.sealed_file import Seal, SealBroken, read_sealed, write_sealed
from chain_client.sync.timeline import TargetKey
from chain_client.types import Address, Digest, from_hex, to_hex

_logger = logging.getLogger(__name__)

_KIND = "synced"


@dataclass(slots=True)
class SyncState:
    """What the last pass left.

    Args:
        registry: of which registry.
        block_number: newest block that was read.
        block_hash: its hash.
        again_s: wall time at which to try again though nothing happens on chain; None for never.
        awaits: first block after the final ones in which something happened; None for none.
        is_failed: whether something could not be done.
        sequences: of each target, the sequence at which it was last made equal.
    """

    registry: Address
    block_number: int
    block_hash: Digest
    again_s: float | None = None
    awaits: int | None = None
    is_failed: bool = False
    sequences: dict[TargetKey, int] = field(default_factory=dict)


class SyncStateFile:
    """Keeps the state in ``<home>/gate/synced.json``; without it everything is looked at again.

    Args:
        path: the file.
        seal: the home's.
    """

    def __init__(self, path: Path, seal: Seal) -> None:
        self._path = path
        self._seal = seal

    def read(self, registry: Address) -> SyncState | None:
        """The state for a registry; None if there is none that can be trusted."""
        try:
            body: Any = read_sealed(self._path, _KIND, self._seal)
            found = None if body is None else _from_json(body)
        except (SealBroken, InvalidInput, KeyError, TypeError, ValueError) as exc:
            _logger.warning("what was synced is not known, so all is looked at again: %s", exc)
            return None
        return None if found is None or found.registry != registry else found

    def write(self, state: SyncState) -> None:
        """Keep it; a home that can't be written only costs another look."""
        try:
            write_sealed(self._path, _KIND, _to_json(state), self._seal)
        except HomeNotWritable as exc:
            _logger.warning("what was synced is not kept: %s", exc)


def _to_json(state: SyncState) -> dict[str, Any]:
    return {
        "registry": to_hex(state.registry),
        "block_number": state.block_number,
        "block_hash": to_hex(state.block_hash),
        "again_ms": None if state.again_s is None else int(state.again_s * 1000),
        "awaits": state.awaits,
        "is_failed": state.is_failed,
        "sequences": [
            [to_hex(model), to_hex(target), sequence]
            for (model, target), sequence in sorted(state.sequences.items())
        ],
    }


def _from_json(body: Any) -> SyncState:
    again_ms, awaits = body["again_ms"], body["awaits"]
    return SyncState(
        Address(from_hex(body["registry"], size=20)),
        int(body["block_number"]),
        Digest(from_hex(body["block_hash"], size=32)),
        None if again_ms is None else again_ms / 1000,
        None if awaits is None else int(awaits),
        bool(body["is_failed"]),
        {
            (from_hex(model, size=32), from_hex(target, size=32)): int(sequence)
            for model, target, sequence in body["sequences"]
        },
    )
