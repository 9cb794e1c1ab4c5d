"""What the registry says now, of one block, and cached for as long as nothing of it changes.

Guarantee: every answer is one state of one chain that was checked to be the deployment's; a chain
that contradicts itself, or what was once final, is no answer but a `Trouble`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from chain_client.clock import Clock
from chain_client.errors import (
    ChainError,
    ConfigurationError,
    ContractMissing,
    HomeNotWritable,
    Unavailable,
    WrongChain,
)
from chain_client.forking import ForkableLock
from chain_client.gate.decision import Code, TargetReading, Trouble, clock_trouble
from chain_client.gate.sealed_file import SealBroken
from chain_client.gate.snapshot import Snapshot, TargetKey
from chain_client.gate.snapshot_file import SnapshotFile
from chain_client.ledger.base import Block, BlockTag, Ledger
from chain_client.registry.identity import Salt
from chain_client.types import Address, Digest

if TYPE_CHECKING:
    from chain_client.ledger.model_registry import ModelRegistryContract

_T = TypeVar("_T")

_logger = logging.getLogger(__name__)

_NEWEST_EVERY_US = 10_000_000
"""How often the newest block is asked for only to compare the clock with it."""

_MOST_TARGETS = 10_000
"""How many answers are kept: callers may ask about any alias."""

_TEXTS = {
    Code.CHAIN_UNREACHABLE: "the chain does not answer",
    Code.WRONG_CHAIN: "the configured chain is not this deployment's",
    Code.CONTRACT_MISSING: "the registry is not on the chain, or has other code than was deployed",
    Code.CHAIN_WENT_BACK: "the chain no longer has a block that was read before",
    Code.CHAIN_INCONSISTENT: "the chain's events and its state contradict each other",
    Code.SALT_WRONG: "the registry's salt is missing in the home, or is not the registry's",
}


class _Contradiction(ChainError):
    """What a chain said can't all be true."""

    def __init__(self, code: Code) -> None:
        super().__init__(_TEXTS[code])
        self.code = code


class ChainState:
    """The registry of a deployment, as the gate reads it.

    Threads and forked children may share an instance.

    Args:
        ledger: the chain.
        chain_id: that it must have.
        registry: address of the registry.
        code_hash: keccak-256 of its runtime code.
        registry_block: block in which it was deployed.
        finality: which block is read.
        salt: gives the deployment's salt.
        file: where the snapshot is kept for when the chain can't be reached.
        clock: local time.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        chain_id: int,
        registry: Address,
        code_hash: Digest,
        registry_block: int,
        finality: BlockTag,
        salt: Callable[[], Salt],
        file: SnapshotFile,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._chain_id = chain_id
        self._registry = registry
        self._code_hash = code_hash
        self._registry_block = registry_block
        self._finality = finality
        self._salt = salt
        self._file = file
        self._clock = clock
        self._lock = ForkableLock()
        self._checked_pid: int | None = None
        self._newest_s = 0
        self._newest_read_us: int | None = None
        self._snapshot: Snapshot | None = None
        self._is_saved = False
        self._targets: dict[TargetKey, TargetReading] = {}
        self._failure: tuple[int, Trouble] | None = None

    @property
    def last_seen(self) -> Snapshot | None:
        """What this process saw last; None if it never saw the chain."""
        return self._snapshot

    def read(self) -> Snapshot | Trouble:
        """The registry at the block in force."""
        return self._told(self._read)

    def target(self, model: bytes, target: bytes) -> TargetReading | Trouble:
        """What the block in force says of a target, by the contract's own views."""

        def ask() -> TargetReading | Trouble:
            snapshot = self._read()
            if isinstance(snapshot, Trouble):
                return snapshot
            return self._target(snapshot, model, target)

        return self._told(ask)

    def target_in(self, snapshot: Snapshot, model: bytes, target: bytes) -> TargetReading | Trouble:
        """As `target`, of the block of a snapshot that `read` gave, or of a later one that another
        thread has read meanwhile; the chain is asked only what is not known yet."""
        return self._told(lambda: self._target(self._snapshot or snapshot, model, target))

    def _target(self, snapshot: Snapshot, model: bytes, target: bytes) -> TargetReading:
        reading = self._targets.get((model, target))
        if reading is None:
            if len(self._targets) >= _MOST_TARGETS:
                self._targets.clear()
            reading = self._targets[(model, target)] = self._views(snapshot, model, target)
        return reading

    def has_returned(self, model: bytes, target: bytes, sequence: int, summary_hash: bytes) -> bool:
        """Whether a rollback or removal is on chain already, final or not.

        Raises:
            LedgerUnavailable: the chain does not answer.
        """
        from chain_client.ledger.model_registry import event_topic

        events = self._contract().events(
            self._registry_block,
            self._ledger.block("latest").number,
            event_topic("ReturnApproved"),
            Digest(model),
            Digest(target),
        )
        return any(
            (event.args["sequence"], event.args["summaryHash"]) == (sequence, summary_hash)
            for event in events
        )

    def _told(self, ask: Callable[[], _T | Trouble]) -> _T | Trouble:
        arrived_us = self._clock.monotonic_us()
        with self._lock.held():
            # Who waited while another thread found no chain does not wait for it once more.
            if self._failure is not None and self._failure[0] > arrived_us:
                return self._failure[1]
            try:
                return ask()
            except ChainError as exc:
                self._checked_pid = None
                self._targets.clear()
                code = _code_of(exc)
                _logger.warning("the gate can't rely on the chain (%s): %s", code.value, exc)
                self._failure = (self._clock.monotonic_us(), Trouble(code, _TEXTS[code]))
                return self._failure[1]

    def _read(self) -> Snapshot | Trouble:
        if self._checked_pid != os.getpid():
            self._check_connection()
        block = self._ledger.block(self._finality)
        snapshot = self._advance(block)
        return (
            clock_trouble(self._clock.time_us() / 1e6, self._newest_block_s(block), is_gated=None)
            or snapshot
        )

    def _check_connection(self) -> None:
        from chain_client.signing.keccak import keccak256

        found = self._ledger.chain_id()
        if found != self._chain_id:
            raise WrongChain(f"expected chain {self._chain_id}, found {found}")
        if keccak256(self._ledger.code(self._registry)) != self._code_hash:
            raise ContractMissing("no registry, or other code than was deployed, at its address")
        self._salt().check(self._contract().salt_hash())
        self._checked_pid = os.getpid()

    def _contract(self) -> ModelRegistryContract:
        from chain_client.ledger.model_registry import ModelRegistryContract

        return ModelRegistryContract(self._ledger, self._registry)

    def _newest_block_s(self, block: Block) -> int:
        """Time of the newest block that was ever seen."""
        now_us = self._clock.monotonic_us()
        last_us = self._newest_read_us
        if self._finality != "latest" and (last_us is None or now_us - last_us > _NEWEST_EVERY_US):
            self._newest_s = max(self._newest_s, self._ledger.block("latest").timestamp_s)
            self._newest_read_us = now_us
        self._newest_s = max(self._newest_s, block.timestamp_s)
        return self._newest_s

    def _advance(self, block: Block) -> Snapshot:
        """The snapshot at a block, from what is known of an earlier one."""
        known = self._snapshot or self._resume(block)
        was_replaced = not self._holds(known.block, block)
        if was_replaced:
            if self._finality == "finalized":
                raise _Contradiction(Code.CHAIN_WENT_BACK)
            self._is_saved = False
            known = self._begin(block)
        found = known
        if block.number > known.block.number:
            events = self._contract().events(known.block.number + 1, block.number)
            if events:
                self._targets.clear()
                self._is_saved = False
                found = known.advance(events, block)
            else:
                found = replace(known, block=block)
        if not self._is_saved:
            self._save(found, replace_newer=was_replaced)
        self._snapshot = found
        return found

    def _holds(self, earlier: Block, block: Block) -> bool:
        """Whether a block that was read before is still that block or one of those under it."""
        if earlier.number >= block.number:
            return (earlier.number, earlier.hash) == (block.number, block.hash)
        return self._ledger.block(earlier.number).hash == earlier.hash

    def _resume(self, block: Block) -> Snapshot:
        """What another process saw last; without it, the registry before its first event."""
        try:
            found = self._file.read()
        except SealBroken as exc:
            _logger.warning("%s; it is written again from the chain", exc)
            found = None
        if found is None or (found.chain_id, found.registry) != (self._chain_id, self._registry):
            return self._begin(block)
        self._is_saved = True
        return found

    def _begin(self, block: Block) -> Snapshot:
        self._targets.clear()
        first = min(max(self._registry_block - 1, 0), block.number)
        return Snapshot(self._chain_id, self._registry, self._ledger.block(first))

    def _save(self, snapshot: Snapshot, *, replace_newer: bool) -> None:
        try:
            self._file.write(snapshot, replace_newer=replace_newer)
        except (HomeNotWritable, ConfigurationError) as exc:
            _logger.warning("the gate's snapshot was not written: %s", exc)
            return
        self._is_saved = True

    def _views(self, snapshot: Snapshot, model: bytes, target: bytes) -> TargetReading:
        """The contract's answers, which have to agree with its events."""
        at = snapshot.block.number
        told = snapshot.current(model, target)
        if at < self._registry_block:
            return TargetReading(None, told, False, None, at)
        contract = self._contract()
        policy = contract.policy(model, target, at).policy
        current = contract.current(model, target, at)
        reading = TargetReading(
            policy,
            current,
            contract.paused(at),
            contract.successor(at),
            at,
            snapshot.signed_text(model, target),
        )
        expected = snapshot.policy_of(model, target)
        if (
            (policy and (policy.group, policy.threshold))
            != (expected and (expected.group, expected.threshold))
            or (current.version, current.sequence, current.cause, current.is_revoked)
            != (told.version, told.sequence, told.cause, told.is_revoked)
            or (current.version and current.digest != told.digest)
            or (reading.is_paused, reading.successor) != (snapshot.is_paused, snapshot.successor)
        ):
            raise _Contradiction(Code.CHAIN_INCONSISTENT)
        return reading


def _code_of(error: ChainError) -> Code:
    if isinstance(error, _Contradiction):
        return error.code
    if isinstance(error, Unavailable):
        return Code.CHAIN_UNREACHABLE
    if isinstance(error, WrongChain):
        return Code.WRONG_CHAIN
    if isinstance(error, ContractMissing):
        return Code.CONTRACT_MISSING
    if isinstance(error, ConfigurationError):
        return Code.SALT_WRONG
    return Code.CHAIN_INCONSISTENT
