"""What one endpoint's own proofs say of what it showed."""

from __future__ import annotations

from chain_client.errors import InvalidInput, LedgerUnavailable
from chain_client.ledger.base import Block, Receipt
from chain_client.ledger.jsonrpc.endpoint import Endpoint, ReadRefused
from chain_client.ledger.jsonrpc.proof import header_hash, proved_nonce, sender_and_nonce
from chain_client.ledger.jsonrpc.values import MalformedReply, to_block, to_bytes, to_quantity
from chain_client.types import Address, to_hex


class Unavailable(Exception):
    """This kind of second look can't be had now; the text says why."""


class Prover:
    """Asks an endpoint for proofs; see `proof` for what they can't show.

    Each method raises `Unavailable` if there is no proof, and `LedgerUnavailable` if the endpoint
    contradicts itself.
    """

    def __init__(self) -> None:
        self._hashed_right: set[Endpoint] = set()
        """Endpoints of which a block had the hash of its header: from then on all must have."""

    def prove_block(self, endpoint: Endpoint, block: Block) -> None:
        """A block is what its hash says."""
        self._prove_header(endpoint, block.number, block.hash)

    def prove_nonce(self, endpoint: Endpoint, address: Address, block: Block, nonce: int) -> None:
        """An account has that nonce in a block."""
        state_root = self._prove_header(endpoint, block.number, block.hash)
        found = _prove_nonce(endpoint, state_root, address, block.number)
        if found != nonce:
            raise contradiction(
                endpoint, f"it shows the nonce {nonce} of {to_hex(address)}, and proves {found}"
            )

    def prove_receipt(self, endpoint: Endpoint, receipt: Receipt) -> None:
        """The sender of a receipt's transaction has used its nonce in the receipt's block."""
        state_root = self._prove_header(endpoint, receipt.block_number, receipt.block_hash)
        transaction = _ask(endpoint, "eth_getTransactionByHash", to_hex(receipt.tx_hash))
        try:
            sender, nonce = sender_and_nonce(transaction, receipt.tx_hash)
        except (InvalidInput, MalformedReply) as exc:
            raise contradiction(endpoint, str(exc)) from exc
        found = _prove_nonce(endpoint, state_root, sender, receipt.block_number)
        if found <= nonce:
            raise contradiction(
                endpoint,
                f"by its proof the sender has used {found} nonces, but the transaction has {nonce}",
            )

    def _prove_header(self, endpoint: Endpoint, number: int, wanted: bytes) -> bytes:
        """The state root of the block with that hash."""
        header = _ask(endpoint, "eth_getBlockByHash", to_hex(wanted), False)
        try:
            if isinstance(header, dict) and header_hash(header) == wanted:
                if to_block(header).number != number:
                    raise contradiction(endpoint, f"its block {number} has another number")
                self._hashed_right.add(endpoint)
                return to_bytes(header.get("stateRoot"), "state root", 32)
            if endpoint not in self._hashed_right:
                newest = _ask(endpoint, "eth_getBlockByNumber", "latest", False)
                if header_hash(newest) == to_block(newest).hash:
                    self._hashed_right.add(endpoint)
        except MalformedReply as exc:
            raise Unavailable(f"{endpoint.shown} shows no whole header: {exc}") from exc
        if endpoint in self._hashed_right:
            raise contradiction(endpoint, f"the header of block {number} has another hash")
        raise Unavailable("the hash of this chain's blocks is not that of their headers")


def contradiction(endpoint: Endpoint, text: str) -> LedgerUnavailable:
    """The error to raise where an endpoint says two things."""
    return LedgerUnavailable(f"{endpoint.shown} contradicts itself, and is not believed: {text}")


def _prove_nonce(endpoint: Endpoint, state_root: bytes, sender: Address, number: int) -> int:
    proof = _ask(endpoint, "eth_getProof", to_hex(sender), [], to_quantity(number))
    try:
        return proved_nonce(state_root, sender, proof)
    except InvalidInput as exc:
        raise contradiction(endpoint, str(exc)) from exc
    except MalformedReply as exc:
        raise Unavailable(f"{endpoint.shown} gives no proof: {exc}") from exc


def _ask(endpoint: Endpoint, method: str, *params: object) -> object:
    try:
        return endpoint.read(method, *params)
    except ReadRefused as exc:
        raise Unavailable(f"{endpoint.shown} refuses {method}: {exc.verdict.text}") from exc
