"""Typed binding of the `EventLog` contract: heads of append-only logs.

Views ask a ledger; the ``*_call`` builders are pure and say what to send, which the
transaction queue does. The contract itself is `contracts/src/EventLog.sol`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chain_client.errors import CallReverted, ContractReverted
from chain_client.ledger.abi import ContractAbi, load_abi
from chain_client.ledger.artifacts import load_artifact
from chain_client.ledger.base import BlockTag, Call, Ledger
from chain_client.ledger.revert import explain_revert
from chain_client.ledger.views import read_view
from chain_client.types import Address, Digest, LeafHash, LogId, TxHash

CONTRACT = "EventLog"
_NO_LOG = bytes(32)

_SENTENCES = {
    "AlreadyAnchored": "log {logId} has exactly this head of {size} leaves already; nothing is "
    "left to do",
    "InconsistentHead": "log {logId} stands at {size} leaves, and the proof does not show that the "
    "head of {newSize} leaves extends it; compare the log with the chain by mlops-chain verify",
    "LogClosed": "log {logId} was closed; its successor is {successor}",
    "LogExists": "a log {logId} exists already; choose a new random id",
    "NoLogAtIndex": "there is no log number {index}; ask logCount first",
    "NotGrowing": "log {logId} stands at {size} leaves and can't go to {newSize}; "
    "another relay may have anchored: read the head again",
    "NotWriter": "{caller} is not the writer of log {logId}; "
    "use the writer's key, or let the owner rotate the writer",
    "OwnableInvalidOwner": "{owner} can't own the contract",
    "OwnableUnauthorizedAccount": "{account} is not the owner of the contract; use the owner's key",
    "Sha256Unavailable": "this chain has no SHA-256 precompile; choose another chain",
    "SizeTooLarge": "{newSize} leaves are more than a log can have",
    "UnknownLog": "the contract knows no log {logId}; check the deployment, or open the log",
    "ZeroAddress": "the zero address can't write a log; name the writer's address",
    "ZeroLogId": "a log's id can't be zero; choose a new random id",
}


@dataclass(frozen=True, slots=True)
class Head:
    """Head of a log: how many leaves, their RFC 6962 root, and the block it stands since."""

    size: int
    root: Digest
    block_number: int


@dataclass(frozen=True, slots=True)
class AnchoredHead:
    """A head that was anchored, and the transaction that did it."""

    head: Head
    tx_hash: TxHash


@dataclass(frozen=True, slots=True)
class LogInfo:
    """What the contract knows of a log besides its head.

    Args:
        log_id: the log.
        writer: who may anchor; None once the log is closed.
        opened_block: block in which it was opened.
        predecessor: log that it follows, if any.
        successor: log that follows it, if it is closed.
        closed_block: block in which it was closed, if it is.
        reason: hash of the salted reason for which it was closed, if it is.
    """

    log_id: LogId
    writer: Address | None
    opened_block: int
    predecessor: LogId | None
    successor: LogId | None
    closed_block: int | None
    reason: Digest | None


def _abi() -> ContractAbi:
    return load_abi(CONTRACT)


def explain(error: CallReverted) -> ContractReverted:
    """The contract's own error for a call that reverted."""
    return explain_revert(error.revert_data, _abi(), _SENTENCES)


def deploy_call(owner: Address) -> Call:
    """Deploys the contract with its first owner."""
    return Call(None, load_artifact(CONTRACT).bytecode + _abi().encode_constructor(owner))


class EventLogContract:
    """The contract at an address of a ledger. Every view may raise what the ledger raises.

    Args:
        ledger: where the contract is.
        address: at which address.
    """

    def __init__(self, ledger: Ledger, address: Address) -> None:
        self._ledger = ledger
        self.address = address

    def head(self, log_id: LogId, at: BlockTag | int = "latest") -> Head:
        """Current head of a log; of a closed log its last.

        Raises:
            ContractReverted: ``UnknownLog``.
            ContractMissing: there is no such contract at the address.
        """
        size, root, block_number = self._view("head", log_id, at=at)
        return Head(size, Digest(root), block_number)

    def lags_behind(self, block_number: int | None) -> bool:
        """Whether the chain may have a block of that number that its node does not show yet.

        Never so on an embedded chain: what its file does not hold is gone.
        """
        if block_number is None or self._ledger.url.startswith("embedded:"):
            return False
        return self._ledger.block().number < block_number

    def log(self, log_id: LogId) -> LogInfo:
        """What the contract knows of a log.

        Raises:
            ContractReverted: ``UnknownLog``.
        """
        writer, opened, successor, predecessor, closed, reason = self._view("logInfo", log_id)
        return LogInfo(
            log_id=log_id,
            writer=writer if any(writer) else None,
            opened_block=opened,
            predecessor=None if predecessor == _NO_LOG else LogId(predecessor),
            successor=None if successor == _NO_LOG else LogId(successor),
            closed_block=closed or None,
            reason=Digest(reason) if closed else None,
        )

    def logs(self) -> list[LogId]:
        """Ids of all logs, in the order in which they were opened."""
        (count,) = self._view("logCount")
        return [LogId(self._view("logAt", index)[0]) for index in range(count)]

    def current_log(self, log_id: LogId) -> LogId:
        """The open log at the end of a log's line of successors; itself if it is open.

        Raises:
            ContractReverted: ``UnknownLog``.
        """
        return LogId(self._view("currentLog", log_id)[0])

    def owner(self) -> Address:
        """Who opens logs and rotates writers."""
        return Address(self._view("owner")[0])

    def verify_inclusion(
        self, log_id: LogId, leaf_hash: LeafHash, index: int, proof: Sequence[bytes]
    ) -> bool:
        """Let the contract check an RFC 9162 inclusion proof against its current head.

        Raises:
            ContractReverted: ``UnknownLog``.
        """
        return bool(self._view("verifyInclusion", log_id, leaf_hash, index, list(proof))[0])

    def heads(self, log_id: LogId, from_block: int, to_block: int) -> list[AnchoredHead]:
        """Heads anchored in a range of blocks (both ends included), in chain order."""
        topics = (_abi().event_topic("HeadAnchored"), Digest(log_id))
        found = []
        for record in self._ledger.events(self.address, topics, from_block, to_block):
            values = _abi().decode_event("HeadAnchored", record)
            head = Head(values["size"], Digest(values["root"]), record.block_number)
            found.append(AnchoredHead(head, record.tx_hash))
        return found

    def open_log_call(self, log_id: LogId, writer: Address) -> Call:
        """Opens an empty log; the owner sends it."""
        return self._call("openLog", log_id, writer)

    def anchor_call(self, log_id: LogId, size: int, root: Digest, proof: Sequence[bytes]) -> Call:
        """Anchors a head; the log's writer sends it.

        Args:
            log_id: the log.
            size: leaves under the new head, more than under the current one.
            root: RFC 6962 root of those leaves.
            proof: RFC 9162 consistency proof from the current head; empty for the first head.
        """
        return self._call("anchor", log_id, size, root, list(proof))

    def rotate_writer_call(self, log_id: LogId, new_writer: Address) -> Call:
        """Gives an open log another writer; the owner sends it."""
        return self._call("rotateWriter", log_id, new_writer)

    def succeed_log_call(
        self, old: LogId, new: LogId, writer: Address, reason_hash: Digest
    ) -> Call:
        """Closes a log with its last head and opens its successor; the owner sends it.

        Args:
            old: the open log to close.
            new: id of its successor, 32 new random bytes.
            writer: who anchors to the successor.
            reason_hash: hash of the salted reason, which is kept off chain.
        """
        return self._call("succeedLog", old, new, writer, reason_hash)

    def _call(self, function: str, *args: object) -> Call:
        return Call(self.address, _abi().encode_call(function, *args))

    def _view(self, function: str, *args: object, at: BlockTag | int = "latest") -> tuple[Any, ...]:
        return read_view(self._ledger, CONTRACT, self.address, explain, function, *args, at=at)
