"""A ledger in memory, with scripted faults: for tests of what sends transactions.

It keeps nonces, a pool with replacement, a base fee, blocks and receipts like a node, and runs no
contract: what a call returns is given by the test. Faults are asked for by name and happen once,
in order.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chain_client.errors import ChainError, InvalidInput, LedgerUnavailable, TransactionRejected
from chain_client.ledger.base import Block, BlockTag, Call, EventRecord, Fees, Receipt
from chain_client.signing import decode_transaction
from chain_client.signing.keccak import keccak256
from chain_client.types import Address, Digest, TxHash

_GWEI = 10**9
_POOL_BUMP = 1.1
"""What geth asks of a replacement."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """A signed transaction of either type, decoded."""

    raw: bytes
    tx_hash: TxHash
    chain_id: int
    sender: Address
    nonce: int
    call: Call
    max_fee_wei: int = 0
    max_priority_fee_wei: int = 0
    is_legacy: bool = False

    @classmethod
    def from_raw(cls, raw: bytes) -> Transaction:
        """Decode a signed transaction and recover its sender.

        Raises:
            TransactionRejected: ``invalid_signature``.
        """
        import coincurve

        try:
            fields = decode_transaction(raw)
            signature, parity = _signature_of(raw)
            public = coincurve.PublicKey.from_signature_and_message(
                signature + bytes([parity]), fields.signing_hash(), hasher=None
            )
        except Exception as exc:
            raise TransactionRejected("invalid_signature", "no signed transaction") from exc
        return cls(
            raw=raw,
            tx_hash=TxHash(keccak256(raw)),
            chain_id=fields.chain_id,
            sender=Address(keccak256(public.format(compressed=False)[1:])[12:]),
            nonce=fields.nonce,
            call=Call(fields.to, fields.data, fields.value_wei),
            max_fee_wei=fields.max_fee_wei,
            max_priority_fee_wei=fields.max_priority_fee_wei,
            is_legacy=fields.is_legacy,
        )

    def outbids(self, other: Transaction) -> bool:
        """Whether a node takes it in place of another at its nonce."""
        return (
            self.max_fee_wei >= other.max_fee_wei * _POOL_BUMP
            and self.max_priority_fee_wei >= other.max_priority_fee_wei * _POOL_BUMP
        )


def _signature_of(raw: bytes) -> tuple[bytes, int]:
    import rlp

    fields: Any = rlp.decode(raw if raw[0] >= 0xC0 else raw[1:])
    v, r, s = fields[-3:]
    parity = int.from_bytes(v, "big")
    return r.rjust(32, b"\0") + s.rjust(32, b"\0"), parity if parity < 2 else (parity - 35) % 2


class SimulatedLedger:
    """An in-memory chain that misbehaves when told to.

    Args:
        chain_id: as the chain would say.
        auto_mine: a block for each transaction at once; else `mine` makes blocks.
        finality_depth: blocks on top of a block that make it final; 0: a block is final at once.
    """

    url = "simulated:"

    def __init__(
        self, *, chain_id: int = 31337, auto_mine: bool = True, finality_depth: int = 0
    ) -> None:
        self.auto_mine = auto_mine
        self.finality_depth = finality_depth
        self.sent: list[bytes] = []
        """Every raw transaction that was handed over, in order, repeats included."""
        self.calls: Counter[str] = Counter()
        """How often each method was called."""
        self.codes: dict[Address, bytes] = {}
        self.code_of_new_contracts = b"\x00"
        self.reverting: set[bytes] = set()
        """Call data of transactions that fail when they are included."""
        self.on_estimate: Callable[[Call], int] = lambda call: 50_000
        """May raise `CallReverted`."""
        self.on_call: Callable[[Call], bytes] = lambda call: b""
        """May raise `CallReverted`."""
        self.base_fee_wei = _GWEI // 2
        """No block takes what offers less; `fees` follow it."""
        self.tip_wei = _GWEI
        self.coin_wei = 10**18
        """What every account has."""
        self.is_legacy = False
        """The chain knows gas prices only."""
        self.refuses_low_fees = False
        """Whether what offers less than the base fee is refused, as anvil does, or kept."""
        self._chain_id = chain_id
        self._faults: dict[str, deque[ChainError | str | None]] = defaultdict(deque)
        self._pool: dict[TxHash, Transaction] = {}
        self._blocks: list[tuple[Block, list[Transaction]]] = []
        self._foreign: defaultdict[Address, list[int]] = defaultdict(list)
        """Numbers of the blocks that were the newest when somebody else's came in."""
        self._lies: deque[int] = deque()
        self._salt = itertools.count()
        self._append([])

    # what a test does to the chain

    def fail(self, method: str, *faults: ChainError | None) -> None:
        """Let the next calls of ``method`` raise these, in order; None lets one pass."""
        self._faults[method].extend(faults)

    def lose_reply(self, times: int = 1) -> None:
        """Take the next transactions, but let the sender see a timeout."""
        self._faults["send"].extend(["reply lost"] * times)

    def drop_silently(self, times: int = 1) -> None:
        """Answer the next sends with success, and lose the transactions."""
        self._faults["send"].extend(["dropped"] * times)

    def lie_about_nonces(self, more: int, times: int) -> None:
        """Let the next so many answers about a nonce be too great; what was so before is not."""
        self._lies = deque([more] * times)

    def calm(self) -> None:
        """Take back the faults that were asked for and did not happen yet."""
        self._faults.clear()
        self._lies.clear()

    def mine(self, blocks: int = 1) -> None:
        """Make blocks; the first takes from the pool all that is in nonce order."""
        for _ in range(blocks):
            taken: list[Transaction] = []
            for tx in sorted(self._pool.values(), key=lambda tx: tx.nonce):
                nonce = self._nonce(tx.sender) + sum(t.sender == tx.sender for t in taken)
                if tx.nonce == nonce and tx.max_fee_wei >= self.base_fee_wei:
                    taken.append(tx)
            self._append(taken)
            used = {tx.tx_hash for tx in self._pool.values() if tx.nonce < self._nonce(tx.sender)}
            for tx_hash in used:
                del self._pool[tx_hash]

    def use_nonce(self, sender: Address) -> None:
        """Somebody else's transaction with this key is included."""
        self._foreign[sender].append(self.height())

    def height(self) -> int:
        """Number of the newest block."""
        return len(self._blocks) - 1

    def put_in_pool(self, raw: bytes) -> None:
        """A transaction reaches the pool past every fault, such as somebody else's."""
        tx = Transaction.from_raw(raw)
        self._pool[tx.tx_hash] = tx

    def pool(self) -> list[Transaction]:
        """What waits for a block, in the order of the nonces."""
        return sorted(self._pool.values(), key=lambda tx: tx.nonce)

    def forget_foreign(self, sender: Address) -> None:
        """The foreign transactions vanish again, as after a reorg."""
        self._foreign.pop(sender, None)

    def empty_pool(self) -> None:
        """Forget what is not included, as a restarted node does."""
        self._pool.clear()

    def reorg(self, depth: int, *, keep: bool = False) -> None:
        """Replace the last ``depth`` blocks by as many empty ones and one more.

        Args:
            depth: number of blocks that vanish.
            keep: their transactions return to the pool; else they are lost.
        """
        vanished = self._blocks[-depth:]
        del self._blocks[-depth:]
        if keep:
            self._pool.update({tx.tx_hash: tx for _, txs in vanished for tx in txs})
        for _ in range(depth + 1):
            self._append([])

    def included(self, sender: Address | None = None) -> list[Transaction]:
        """Every transaction in the chain, in order."""
        return [
            tx for _, txs in self._blocks for tx in txs if sender is None or tx.sender == sender
        ]

    # the interface of `chain_client.ledger.base.Ledger`

    def chain_id(self) -> int:
        self._enter("chain_id")
        return self._chain_id

    def block(self, at: BlockTag | int = "latest") -> Block:
        self._enter("block")
        if isinstance(at, int):
            if not 0 <= at < len(self._blocks):
                raise InvalidInput(f"the chain has no block {at}")
            return self._blocks[at][0]
        depth = self.finality_depth if at == "finalized" else 0
        return self._blocks[max(0, len(self._blocks) - 1 - depth)][0]

    def code(self, address: Address) -> bytes:
        self._enter("code")
        return self.codes.get(address, b"")

    def balance_wei(self, address: Address) -> int:
        self._enter("balance_wei")
        return self.coin_wei

    def nonce(self, address: Address, at: BlockTag = "latest") -> int:
        self._enter("nonce")
        lie = self._lies.popleft() if self._lies else 0
        if at == "latest":
            return self._nonce(address) + lie
        final = max(0, self.height() - self.finality_depth)
        ours = sum(tx.sender == address for _, txs in self._blocks[: final + 1] for tx in txs)
        return ours + sum(number <= final for number in self._foreign[address]) + lie

    def fees(self) -> Fees:
        self._enter("fees")
        max_fee_wei = 2 * self.base_fee_wei + self.tip_wei
        if self.is_legacy:
            return Fees(max_fee_wei, max_fee_wei, is_legacy=True)
        return Fees(max_fee_wei, self.tip_wei)

    def estimate_gas(self, call: Call, sender: Address) -> int:
        self._enter("estimate_gas")
        return self.on_estimate(call)

    def call(
        self, call: Call, at: BlockTag | int = "latest", sender: Address | None = None
    ) -> bytes:
        self._enter("call")
        return self.on_call(call)

    def send(self, raw: bytes) -> TxHash:
        self.sent.append(raw)
        fault = self._enter("send")
        tx = Transaction.from_raw(raw)
        if fault == "dropped":
            return tx.tx_hash
        self._take(tx)
        if fault == "reply lost":
            raise LedgerUnavailable("no reply within the timeout")
        return tx.tx_hash

    def receipt(self, tx_hash: TxHash) -> Receipt | None:
        self._enter("receipt")
        for block, txs in self._blocks:
            for tx in txs:
                if tx.tx_hash == tx_hash:
                    return self._receipt(block, tx)
        return None

    def events(
        self, address: Address, topics: tuple[Digest | None, ...], from_block: int, to_block: int
    ) -> list[EventRecord]:
        self._enter("events")
        return []

    def close(self) -> None:
        """Nothing to release."""

    def _enter(self, method: str) -> str | None:
        self.calls[method] += 1
        fault = self._faults[method].popleft() if self._faults[method] else None
        if isinstance(fault, ChainError):
            raise fault
        return fault

    def _nonce(self, sender: Address) -> int:
        return len(self.included(sender)) + len(self._foreign[sender])

    def _take(self, tx: Transaction) -> None:
        known = {*self._pool, *(t.tx_hash for t in self.included())}
        if tx.tx_hash in known:
            return
        if tx.chain_id != self._chain_id:
            raise TransactionRejected("invalid_signature", "signed for another chain")
        expected = self._nonce(tx.sender)
        if tx.nonce < expected:
            raise TransactionRejected("nonce_too_low", f"nonce {tx.nonce}, expected {expected}")
        if self.auto_mine and tx.nonce > expected:
            raise TransactionRejected("nonce_gap", f"nonce {tx.nonce}, expected {expected}")
        if self.is_legacy and not tx.is_legacy:
            raise TransactionRejected("other", "transaction type not supported")
        if self.refuses_low_fees and tx.max_fee_wei < self.base_fee_wei:
            raise TransactionRejected("fee_too_low", "less than the block's base fee")
        for other in list(self._pool.values()):
            if (other.sender, other.nonce) == (tx.sender, tx.nonce):
                if not tx.outbids(other):
                    raise TransactionRejected("underpriced", "replacement underpriced")
                del self._pool[other.tx_hash]
        self._pool[tx.tx_hash] = tx
        if self.auto_mine:
            self.mine()

    def _append(self, txs: list[Transaction]) -> None:
        number = len(self._blocks)
        seed = f"{number}/{next(self._salt)}".encode()
        self._blocks.append(
            (
                Block(
                    number,
                    Digest(hashlib.sha256(seed).digest()),
                    1_700_000_000 + number,
                    self.base_fee_wei,
                ),
                txs,
            )
        )
        for tx in txs:
            if tx.call.to is None:
                self.codes[_new_address(tx)] = self.code_of_new_contracts

    def _receipt(self, block: Block, tx: Transaction) -> Receipt:
        return Receipt(
            tx_hash=tx.tx_hash,
            block_number=block.number,
            block_hash=block.hash,
            succeeded=tx.call.data not in self.reverting,
            gas_used=50_000,
            contract_address=_new_address(tx) if tx.call.to is None else None,
            events=(),
        )


def _new_address(tx: Transaction) -> Address:
    import rlp

    return Address(keccak256(rlp.encode([tx.sender, tx.nonce]))[12:])
