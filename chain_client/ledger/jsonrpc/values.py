"""JSON-RPC values into ours, and back. Pure; what is not well-formed is a `MalformedReply`."""

from __future__ import annotations

import re
from typing import Any

from chain_client.ledger.base import Block, Call, EventRecord, Receipt
from chain_client.types import Address, Digest, TxHash, to_hex

_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")
_SMALL = 2**63
_BYTES = re.compile(r"0x(?:[0-9a-fA-F]{2})*")


class MalformedReply(Exception):
    """A node's result is not what the question is answered with; the text names the field."""


def to_quantity(number: int) -> str:
    """``0x1f`` for 31."""
    return hex(number)


def to_call(call: Call, sender: Address | None) -> dict[str, str]:
    """The transaction object of ``eth_call`` and ``eth_estimateGas``."""
    found = {"data": to_hex(call.data)}
    if call.to is not None:
        found["to"] = to_hex(call.to)
    if call.value_wei:
        found["value"] = to_quantity(call.value_wei)
    if sender is not None:
        found["from"] = to_hex(sender)
    return found


def to_int(value: Any, name: str = "number") -> int:
    """A quantity."""
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        raise MalformedReply(f"its {name} is no quantity")
    return int(value, 16)


def to_small(value: Any, name: str = "number") -> int:
    """A quantity below 2^63, as databases hold them: of what no chain has more."""
    found = to_int(value, name)
    if found >= _SMALL:
        raise MalformedReply(f"its {name} is beyond all reason")
    return found


def to_bytes(value: Any, name: str = "data", size: int | None = None) -> bytes:
    """Bytes, of a size if one is given."""
    if not isinstance(value, str) or not _BYTES.fullmatch(value):
        raise MalformedReply(f"its {name} is no hex")
    found = bytes.fromhex(value[2:])
    if size is not None and len(found) != size:
        raise MalformedReply(f"its {name} has not {size} bytes")
    return found


def to_block(value: Any) -> Block:
    """A block, of any client: chains with proof of authority have longer extra data."""
    fields = _object(value, "block")
    return Block(
        number=to_small(fields.get("number"), "block number"),
        hash=Digest(to_bytes(fields.get("hash"), "block hash", 32)),
        timestamp_s=to_small(fields.get("timestamp"), "timestamp"),
        base_fee_wei=_optional_small(fields.get("baseFeePerGas"), "base fee"),
    )


def to_receipt(value: Any, tx_hash: TxHash) -> Receipt | None:
    """A receipt; None if the transaction is in no block yet."""
    if value is None:
        return None
    fields = _object(value, "receipt")
    if fields.get("blockHash") is None:
        return None
    if to_bytes(fields.get("transactionHash"), "transaction hash", 32) != tx_hash:
        raise MalformedReply("it is the receipt of another transaction")
    made = fields.get("contractAddress")
    logs = fields.get("logs")
    if not isinstance(logs, list):
        raise MalformedReply("its logs are no list")
    return Receipt(
        tx_hash=tx_hash,
        block_number=to_small(fields.get("blockNumber"), "block number"),
        block_hash=Digest(to_bytes(fields["blockHash"], "block hash", 32)),
        succeeded=to_int(fields.get("status"), "status") == 1,
        gas_used=to_small(fields.get("gasUsed"), "gas used"),
        contract_address=None if made is None else Address(to_bytes(made, "contract", 20)),
        events=tuple(event for _, event in sorted(map(to_event, logs), key=lambda item: item[0])),
    )


def to_event(value: Any) -> tuple[tuple[int, int], EventRecord]:
    """An event, after its place in the chain: number of the block, index in the block."""
    fields = _object(value, "log")
    topics = fields.get("topics")
    if not isinstance(topics, list) or len(topics) > 4:
        raise MalformedReply("its topics are no list of at most 4")
    number = to_small(fields.get("blockNumber"), "block number")
    event = EventRecord(
        address=Address(to_bytes(fields.get("address"), "address", 20)),
        topics=tuple(Digest(to_bytes(topic, "topic", 32)) for topic in topics),
        data=to_bytes(fields.get("data")),
        block_number=number,
        tx_hash=TxHash(to_bytes(fields.get("transactionHash"), "transaction hash", 32)),
    )
    return (number, to_small(fields.get("logIndex"), "log index")), event


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedReply(f"the {name} is no object")
    return value


def _optional_small(value: Any, name: str) -> int:
    return 0 if value is None else to_small(value, name)
