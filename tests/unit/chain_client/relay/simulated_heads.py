"""The contract's heads on a simulated chain: whatever was anchored last in the blocks asked for."""

from __future__ import annotations

from chain_client.ledger.base import BlockTag
from chain_client.ledger.event_log import EventLogContract, Head
from chain_client.testing.simulated_ledger import SimulatedLedger
from chain_client.types import Address, Digest, LogId

LOG_ID = LogId(b"\7" * 32)
_WORD = 32


class SimulatedHeads(EventLogContract):
    """Reads heads out of the calls that the chain has included; checks no proof."""

    def __init__(self, ledger: SimulatedLedger) -> None:
        super().__init__(ledger, Address(b"\1" * 20))
        self._simulated = ledger

    def head(self, log_id: LogId, at: BlockTag | int = "latest") -> Head:
        last = self._simulated.block(at).number
        found = Head(0, Digest(bytes(_WORD)), 0)
        for tx in self._simulated.included():
            receipt = self._simulated.receipt(tx.tx_hash)
            assert receipt is not None
            if receipt.succeeded and receipt.block_number <= last:
                arguments = tx.call.data[4 + _WORD :]  # behind the selector and the log's id
                size = int.from_bytes(arguments[:_WORD], "big")
                root = Digest(arguments[_WORD : 2 * _WORD])
                found = Head(size, root, receipt.block_number)
        return found
