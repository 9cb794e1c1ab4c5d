"""Proofs that lead to a block's hash: its header, and an account under its state root. Pure.

They show that a node contradicts itself. They can't show that it is the chain's block: whoever
makes up a whole block passes here, and only another endpoint tells.
"""

from __future__ import annotations

from typing import Any

from chain_client.errors import InvalidInput
from chain_client.ledger.jsonrpc.values import MalformedReply, to_bytes, to_int
from chain_client.signing import TransactionFields
from chain_client.signing.keccak import keccak256
from chain_client.types import Address, Digest, TxHash

_NUMBER, _BYTES = "number", "bytes"
_HEADER = (
    ("parentHash", _BYTES),
    ("sha3Uncles", _BYTES),
    ("miner", _BYTES),
    ("stateRoot", _BYTES),
    ("transactionsRoot", _BYTES),
    ("receiptsRoot", _BYTES),
    ("logsBloom", _BYTES),
    ("difficulty", _NUMBER),
    ("number", _NUMBER),
    ("gasLimit", _NUMBER),
    ("gasUsed", _NUMBER),
    ("timestamp", _NUMBER),
    ("extraData", _BYTES),
    ("mixHash", _BYTES),
    ("nonce", _BYTES),
)
"""The yellow paper's header, section 4.4."""
_LATER = (
    ("baseFeePerGas", _NUMBER),  # EIP-1559
    ("withdrawalsRoot", _BYTES),  # EIP-4895
    ("blobGasUsed", _NUMBER),  # EIP-4844
    ("excessBlobGas", _NUMBER),
    ("parentBeaconBlockRoot", _BYTES),  # EIP-4788
    ("requestsHash", _BYTES),  # EIP-7685
)


def header_hash(block: Any) -> Digest:
    """keccak-256 of the RLP of a block's header, from the fields that a node shows.

    Chains whose hash leaves a part of the header out (QBFT, IBFT) have another one.
    """
    import rlp

    if not isinstance(block, dict):
        raise MalformedReply("the block is no object")
    items = [_item(block, name, kind) for name, kind in _HEADER]
    items += [_item(block, name, kind) for name, kind in _LATER if block.get(name) is not None]
    return Digest(keccak256(rlp.encode(items)))


def proved_nonce(state_root: bytes, address: Address, proof: Any) -> int:
    """The nonce of an account, by an ``eth_getProof`` under a state root.

    Raises:
        InvalidInput: the proof does not lead to the root.
    """
    import rlp
    from trie import HexaryTrie

    nodes = proof.get("accountProof") if isinstance(proof, dict) else None
    if not isinstance(nodes, list):
        raise MalformedReply("the account proof is no list")
    try:
        decoded = [rlp.decode(to_bytes(node, "proof")) for node in nodes]
        account = HexaryTrie.get_from_proof(state_root, keccak256(address), decoded)
        fields: Any = rlp.decode(account) if account else [b"", b"", b"", b""]
    except MalformedReply:
        raise
    except Exception as exc:  # the trie's nodes are the endpoint's words: anything may be wrong
        raise InvalidInput("the account proof does not lead to the block's state root") from exc
    if not (isinstance(fields, list) and len(fields) == 4 and isinstance(fields[0], bytes)):
        raise InvalidInput("the account proof does not lead to an account")
    return int.from_bytes(fields[0], "big")


def sender_and_nonce(transaction: Any, tx_hash: TxHash) -> tuple[Address, int]:
    """Who signed a transaction of type 0 or 2, and its nonce, checked against its hash.

    Args:
        transaction: as ``eth_getTransactionByHash`` shows it.
        tx_hash: its hash, which is trusted.

    Raises:
        InvalidInput: it is of another type, or these fields don't have that hash.
    """
    import coincurve

    if not isinstance(transaction, dict):
        raise InvalidInput("the node does not show the transaction")
    kind = to_int(transaction.get("type", "0x0"), "type")
    if kind not in (0, 2) or transaction.get("accessList"):
        raise InvalidInput("the transaction is none of ours")
    v, r, s = (to_int(transaction.get(name), name) for name in ("v", "r", "s"))
    chain_id = (v - 35) // 2 if kind == 0 else to_int(transaction.get("chainId"), "chain id")
    to = transaction.get("to")
    fee = to_int(transaction.get("gasPrice" if kind == 0 else "maxFeePerGas"), "fee")
    tip = fee if kind == 0 else to_int(transaction.get("maxPriorityFeePerGas"), "tip")
    fields = TransactionFields(
        chain_id=chain_id,
        nonce=to_int(transaction.get("nonce"), "nonce"),
        max_fee_wei=fee,
        max_priority_fee_wei=tip,
        gas_limit=to_int(transaction.get("gas"), "gas"),
        to=None if to is None else Address(to_bytes(to, "to", 20)),
        data=to_bytes(transaction.get("input", transaction.get("data"))),
        value_wei=to_int(transaction.get("value"), "value"),
        is_legacy=kind == 0,
    )
    parity = (v - 35) % 2 if kind == 0 else v
    if keccak256(fields.encode_signed(parity, r, s)) != tx_hash:
        raise InvalidInput("the node shows another transaction than the one asked for")
    try:
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([parity])
        key = coincurve.PublicKey.from_signature_and_message(
            signature, fields.signing_hash(), hasher=None
        )
    except Exception as exc:
        raise InvalidInput("the transaction's signature is invalid") from exc
    return Address(keccak256(key.format(compressed=False)[1:])[12:]), fields.nonce


def _item(block: dict[str, Any], name: str, kind: str) -> bytes | int:
    value = block.get(name)
    return to_int(value, name) if kind == _NUMBER else to_bytes(value, name)
