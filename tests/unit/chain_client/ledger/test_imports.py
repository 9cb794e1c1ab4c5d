"""Importing the ledger and signing rooms is cheap: heavy libraries come with the first use."""

import subprocess
import sys
from pathlib import Path

from chain_client.ledger import create_embedded

HEAVY = ("eth", "eth_abi", "eth_account", "eth_hash", "eth_keyfile", "eth_utils", "rlp", "web3")
SHOW = f"""
import sys
print([name for name in {HEAVY!r} if name in sys.modules], end="")
"""
IMPORT = "import chain_client.ledger, chain_client.ledger.event_log, chain_client.signing"
READ = """
from pathlib import Path
from chain_client.ledger import EmbeddedLedger
from chain_client.types import Address, TxHash
ledger = EmbeddedLedger(Path("chain.db"))
ledger.chain_id(), ledger.block(), ledger.fees(), ledger.receipt(TxHash(bytes(32)))
ledger.events(Address(bytes(20)), (), 0, 9)
ledger.close()
"""


def heavy_after(script: str) -> str:
    return subprocess.check_output([sys.executable, "-c", script + SHOW], text=True)


def test_no_ethereum_library_is_imported_before_it_is_used() -> None:
    assert heavy_after(IMPORT) == "[]"


def test_blocks_receipts_and_events_are_read_without_an_evm() -> None:
    create_embedded(Path("chain.db"), chain_id=7, funded=[])
    assert heavy_after(READ) == "[]"
