"""The registry's snapshot in ``<home>/gate/snapshot.json``: sealed, and never put back in time."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from chain_client.errors import HomeNotWritable, InvalidInput
from chain_client.events import Json
from chain_client.gate.sealed_file import Seal, SealBroken, lock_beside, read_sealed, write_sealed
from chain_client.gate.snapshot import Snapshot, Standing
from chain_client.ledger.base import Block
from chain_client.ledger.model_registry_values import Cause, Member, Policy, ProposalFields
from chain_client.types import Address, Digest, from_hex, to_hex

KIND = "snapshot"


class SnapshotFile:
    """The file; servers, relay and commands share it.

    Args:
        path: where it is.
        seal: the home's.
    """

    def __init__(self, path: Path, seal: Seal) -> None:
        self.path = path
        self._seal = seal

    def read(self) -> Snapshot | None:
        """The snapshot; None if there is none.

        Raises:
            SealBroken: it was changed by somebody without the seal, or is damaged.
            ConfigurationError: the home's seal can't be read.
        """
        body = read_sealed(self.path, KIND, self._seal)
        if body is None:
            return None
        try:
            return _from_json(body)
        except (KeyError, TypeError, ValueError, InvalidInput) as exc:
            raise SealBroken(f"{self.path} is damaged") from exc

    def read_newest(self) -> Snapshot | None:
        """The snapshot, if it is the last that any process wanted to keep; None if there is none.

        Raises:
            ConfigurationError: as `read`; or newer ones may have had no place.
        """
        if not self.path.exists():
            return None
        try:
            with lock_beside(self.path):
                return self.read()
        except HomeNotWritable as exc:
            raise SealBroken(f"what was seen after {self.path} could not be kept: {exc}") from exc

    def write(self, snapshot: Snapshot, *, replace_newer: bool = False) -> None:
        """Keep a snapshot, unless the file holds a newer one of the same registry.

        Args:
            snapshot: what was read.
            replace_newer: write even then: blocks that the file knows were replaced.

        Raises:
            HomeNotWritable: it can't be written; then an older one is taken away, if it can be.
            ConfigurationError: the home's seal can't be read.
        """
        with lock_beside(self.path):
            if not replace_newer and self._is_newer(snapshot):
                return
            try:
                write_sealed(self.path, KIND, _to_json(snapshot), self._seal)
            except HomeNotWritable:
                # What is older may gate less.
                with suppress(OSError):
                    self.path.unlink(missing_ok=True)
                raise

    def _is_newer(self, snapshot: Snapshot) -> bool:
        try:
            found = self.read()
        except SealBroken:
            return False
        return (
            found is not None
            and (found.chain_id, found.registry) == (snapshot.chain_id, snapshot.registry)
            and found.block.number > snapshot.block.number
        )


def _to_json(snapshot: Snapshot) -> dict[str, Json]:
    return {
        "chain_id": snapshot.chain_id,
        "registry": to_hex(snapshot.registry),
        "block": {
            "number": snapshot.block.number,
            "hash": to_hex(snapshot.block.hash),
            "timestamp_s": snapshot.block.timestamp_s,
        },
        "policies": [
            [to_hex(model), to_hex(target), _members(policy)]
            for (model, target), policy in snapshot.policies.items()
        ],
        "groups": [
            [to_hex(group), [[to_hex(m.address), m.seat, m.is_member] for m in members]]
            for group, members in snapshot.groups.items()
        ],
        "currents": [
            [
                to_hex(model),
                to_hex(target),
                [
                    s.version,
                    s.sequence,
                    int(s.cause),
                    to_hex(s.proposal),
                    None if s.summary_hash is None else to_hex(s.summary_hash),
                ],
            ]
            for (model, target), s in snapshot.currents.items()
        ],
        "open": [[to_hex(key), _members(made)] for key, made in snapshot.open.items()],
        "former": [[to_hex(key), _members(made)] for key, made in snapshot.former.items()],
        "revoked": [[to_hex(model), version] for model, version in sorted(snapshot.revoked)],
        "is_paused": snapshot.is_paused,
        "successor": to_hex(snapshot.successor) if snapshot.successor else None,
    }


def _from_json(body: Any) -> Snapshot:
    block = body["block"]
    return Snapshot(
        chain_id=body["chain_id"],
        registry=Address(from_hex(body["registry"], size=20)),
        block=Block(block["number"], _digest(block["hash"]), block["timestamp_s"], 0),
        policies={
            (_digest(model), _digest(target)): Policy(**_values(Policy, members))
            for model, target, members in body["policies"]
        },
        groups={
            _digest(group): tuple(
                Member(Address(from_hex(account, size=20)), seat, is_member)
                for account, seat, is_member in members
            )
            for group, members in body["groups"]
        },
        currents={
            (_digest(model), _digest(target)): Standing(
                version,
                sequence,
                Cause(cause),
                _digest(proposal),
                None if summary is None else _digest(summary),
            )
            for model, target, (version, sequence, cause, proposal, summary) in body["currents"]
        },
        open=_proposals(body["open"]),
        former=_proposals(body["former"]),
        revoked=frozenset((_digest(model), version) for model, version in body["revoked"]),
        is_paused=body["is_paused"],
        successor=Address(from_hex(body["successor"], size=20)) if body["successor"] else None,
    )


def _members(value: Policy | ProposalFields) -> list[Json]:
    return [to_hex(member) if isinstance(member, bytes) else member for member in value.to_tuple()]


def _proposals(items: Any) -> dict[bytes, ProposalFields]:
    return {_digest(key): ProposalFields(**_values(ProposalFields, made)) for key, made in items}


def _values(kind: type[Policy] | type[ProposalFields], members: list[Any]) -> dict[str, Any]:
    names = [member.name for member in fields(kind)]
    values = [from_hex(value) if isinstance(value, str) else value for value in members]
    return dict(zip(names, values, strict=True))


def _digest(text: str) -> Digest:
    return Digest(from_hex(text, size=32))
