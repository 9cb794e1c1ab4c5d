"""The EVM of the embedded chain: py-evm, kept behind a few functions.

Import this module only when a state or a transaction is needed: it costs half a second. Which
blocks exist, and receipts and events, are read from the file without it (`embedded_store`).

Rules of the chain: Cancun from genesis, one transaction a block, gas limit constant, base fee
zero (there is nobody to pay; a block can't pass half its gas limit, so the fee never rises).
A block's time is the machine's clock, and **never before, but possibly equal to, its parent's**.
Ethereum's rule (strictly later, in whole seconds) would push a burst of 150 blocks a second
minutes ahead of the clock, and with it every deadline that a contract checks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import rlp
from eth_utils.exceptions import ValidationError
from trie.exceptions import MissingTrieNode

from chain_client.errors import CallReverted, LedgerUnavailable, TransactionRejected
from chain_client.ledger.base import Block, Call, EventRecord, Receipt
from chain_client.ledger.embedded_admission import GAS_CAP, check_against, decode
from chain_client.ledger.embedded_tables import NewBlock, Snapshot
from chain_client.signing.recursion_limit import unchanged_recursion_limit
from chain_client.types import Address, Digest, TxHash

with unchanged_recursion_limit():
    from eth.chains.base import MiningChain
    from eth.constants import CREATE_CONTRACT_ADDRESS
    from eth.db.backends.base import BaseAtomicDB
    from eth.exceptions import PyEVMError, Revert, VMError
    from eth.vm.chain_context import ChainContext
    from eth.vm.forks.cancun import CancunVM
    from eth.vm.spoof import SpoofTransaction

_BLOCK_GAS_LIMIT = 2 * GAS_CAP
_GENESIS_BALANCE_WEI = 10**24
_ZERO = Address(bytes(20))


class _EmbeddedVM(CancunVM):  # type: ignore[misc]  # py-evm is not typed
    """Cancun, with block times that may repeat."""

    @classmethod
    def validate_header(cls, header: Any, parent_header: Any) -> None:
        if parent_header is not None and header.timestamp == parent_header.timestamp:
            header = header.copy(timestamp=parent_header.timestamp + 1)
        super().validate_header(header, parent_header)


class _Nodes(BaseAtomicDB):  # type: ignore[misc]  # py-evm is not typed
    """The store as py-evm's database; a whole block is one batch anyway."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def __getitem__(self, key: bytes) -> bytes:
        value = self._snapshot.node(key)
        if value is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key: bytes, value: bytes) -> None:
        if isinstance(self._snapshot, NewBlock):
            self._snapshot.put_node(key, value)

    def __delitem__(self, key: bytes) -> None:
        raise TypeError("the embedded chain never deletes a node")

    def _exists(self, key: bytes) -> bool:
        return self._snapshot.node(key) is not None

    @contextmanager
    def atomic_batch(self) -> Iterator[_Nodes]:
        yield self


@cache
def _chain_class(chain_id: int) -> Any:
    return MiningChain.configure(
        __name__="EmbeddedChain", vm_configuration=((0, _EmbeddedVM),), chain_id=chain_id
    )


def write_genesis(
    block: NewBlock, *, chain_id: int, funded: list[Address], now_s: int, salt: bytes
) -> None:
    """Write block 0, which gives each of ``funded`` a million ether.

    Args:
        block: an empty file's first block.
        chain_id: see EIP-155.
        funded: accounts that exist from the start.
        now_s: time of the block.
        salt: up to 32 bytes that make the genesis hash unique.
    """
    account = {"balance": _GENESIS_BALANCE_WEI, "nonce": 0, "code": b"", "storage": {}}
    chain = _chain_class(chain_id).from_genesis(
        _Nodes(block),
        {
            "gas_limit": _BLOCK_GAS_LIMIT,
            "base_fee_per_gas": 0,
            "timestamp": now_s,
            "extra_data": salt,
        },
        dict.fromkeys(funded, account),
    )
    block.add(_to_block(chain.get_canonical_head()), [])


class Evm:
    """State and execution on one snapshot of the chain. Use it inside that snapshot only."""

    def __init__(self, snapshot: Snapshot, chain_id: int, now_s: int) -> None:
        self._snapshot = snapshot
        self._chain_id = chain_id
        self._now_s = now_s
        with self._undamaged():
            self._chain = _chain_class(chain_id)(_Nodes(snapshot))
            self._head = self._chain.get_canonical_head()

    def code(self, address: Address) -> bytes:
        """Runtime code of an account."""
        with self._undamaged():
            return bytes(self._pending_state().get_code(address))

    def balance_wei(self, address: Address) -> int:
        """Balance of an account."""
        with self._undamaged():
            return int(self._pending_state().get_balance(address))

    def nonce(self, address: Address) -> int:
        """Number of an account's included transactions."""
        with self._undamaged():
            return int(self._pending_state().get_nonce(address))

    def call(self, call: Call, sender: Address | None, at_block: int | None) -> bytes:
        """Return data of a view; see `Ledger.call`. ``at_block``: None for the pending block."""
        with self._undamaged():
            state = self._pending_state() if at_block is None else self._state_after(at_block)
            computation = self._execute(state, call, sender or _ZERO, GAS_CAP)
            _raise_if_reverted(computation)
            return bytes(computation.output)

    def estimate_gas(self, call: Call, sender: Address) -> int:
        """Least gas limit with which the call succeeds, within one percent.

        Raises:
            CallReverted: it fails with any gas limit.
        """
        with self._undamaged():
            state = self._pending_state()
            computation = self._execute(state, call, sender, GAS_CAP)
            _raise_if_reverted(computation)
            # refunds come after the end and so don't lower what the limit must be
            too_little = GAS_CAP - int(computation.get_gas_remaining())
            if self._succeeds(call, sender, too_little):
                return too_little
            enough = GAS_CAP
            while enough - too_little > enough // 100:
                middle = min((too_little + enough) // 2, too_little * 2)
                if self._succeeds(call, sender, middle):
                    enough = middle
                else:
                    too_little = middle
            return enough

    def include(self, raw: bytes, block: NewBlock) -> None:
        """Mine a transaction into a block of its own, and write that block to ``block``.

        Raises:
            TransactionRejected: the chain refuses it.
        """
        with self._undamaged():
            transaction = decode(raw, self._chain_id)
            state = self._pending_state()
            check_against(state, transaction)
            self._chain.header = self._pending_header()
            try:
                imported, receipts, computations = self._chain.mine_all([transaction])
            except ValidationError as exc:
                raise TransactionRejected("other", f"the chain refuses it: {exc}") from exc
            mined = _to_block(imported.imported_block.header)
            created = computations[0].msg.storage_address
            block.add(
                mined,
                [
                    _to_receipt(
                        transaction,
                        receipts[0],
                        mined,
                        created if transaction.to == CREATE_CONTRACT_ADDRESS else None,
                    )
                ],
            )

    @contextmanager
    def _undamaged(self) -> Iterator[None]:
        try:
            yield
        except (PyEVMError, MissingTrieNode, rlp.exceptions.RLPException, KeyError) as exc:
            raise self._snapshot.damaged() from exc
        except RecursionError as exc:
            raise LedgerUnavailable(
                "the embedded chain can't follow calls of contracts that nest this deep; "
                "use a chain of its own node for such contracts"
            ) from exc

    def _pending_header(self) -> Any:
        return self._chain.create_header_from_parent(
            self._head,
            timestamp=max(self._now_s, self._head.timestamp),
            gas_limit=self._head.gas_limit,
        )

    def _pending_state(self) -> Any:
        return self._chain.get_vm(self._pending_header()).state

    def _state_after(self, number: int) -> Any:
        self._snapshot.block(number)
        header = self._chain.get_canonical_block_header_by_number(number)
        vm = self._chain.get_vm(header)
        return vm.build_state(
            self._chain.chaindb.db, header, ChainContext(self._chain_id), vm.previous_hashes
        )

    def _execute(self, state: Any, call: Call, sender: Address, gas: int) -> Any:
        unsigned = _EmbeddedVM.get_transaction_builder().new_unsigned_dynamic_fee_transaction(
            chain_id=self._chain_id,
            nonce=state.get_nonce(sender),
            max_priority_fee_per_gas=0,
            max_fee_per_gas=0,
            gas=gas,
            to=call.to or CREATE_CONTRACT_ADDRESS,
            value=call.value_wei,
            data=call.data,
            access_list=(),
        )
        try:
            return state.apply_transaction(SpoofTransaction(unsigned, from_=sender))
        except ValidationError as exc:
            raise CallReverted(b"") from exc

    def _succeeds(self, call: Call, sender: Address, gas: int) -> bool:
        try:
            return not self._execute(self._pending_state(), call, sender, gas).is_error
        except (CallReverted, VMError):
            return False


def _raise_if_reverted(computation: Any) -> None:
    if computation.is_error:
        data = computation.output if isinstance(computation.error, Revert) else b""
        raise CallReverted(bytes(data)) from computation.error


def _to_block(header: Any) -> Block:
    return Block(
        number=int(header.block_number),
        hash=Digest(bytes(header.hash)),
        timestamp_s=int(header.timestamp),
        base_fee_wei=int(header.base_fee_per_gas),
    )


def _to_receipt(transaction: Any, receipt: Any, block: Block, created: bytes | None) -> Receipt:
    tx_hash = TxHash(bytes(transaction.hash))
    return Receipt(
        tx_hash=tx_hash,
        block_number=block.number,
        block_hash=block.hash,
        succeeded=receipt.state_root == b"\x01",
        gas_used=int(receipt.gas_used),
        contract_address=None if created is None else Address(bytes(created)),
        events=tuple(
            EventRecord(
                address=Address(bytes(log.address)),
                topics=tuple(Digest(topic.to_bytes(32, "big")) for topic in log.topics),
                data=bytes(log.data),
                block_number=block.number,
                tx_hash=tx_hash,
            )
            for log in receipt.logs
        ),
    )
