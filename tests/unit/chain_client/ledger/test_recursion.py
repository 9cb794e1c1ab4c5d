"""Python's recursion limit stays what it was, and a contract that recurses crashes nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_client.errors import LedgerUnavailable
from chain_client.ledger import EmbeddedLedger, create_embedded
from chain_client.ledger.base import Call
from chain_client.signing import (
    TransactionFields,
    create_keystore,
    open_signer,
    sign_transaction,
)
from chain_client.types import Address, TxHash

USE = """
import sys
from pathlib import Path
sys.setrecursionlimit(777)
from chain_client.ledger import EmbeddedLedger, create_embedded
from chain_client.ledger.base import Call
from chain_client.signing import create_keystore, open_signer
sender = create_keystore(Path("key.json"))
open_signer("keystore:key.json", base=Path()).sign_hash(bytes(32))
create_embedded(Path("chain.db"), chain_id=7, funded=[sender])
ledger = EmbeddedLedger(Path("chain.db"))
ledger.call(Call(sender, b""))
ledger.estimate_gas(Call(sender, b""), sender)
ledger.close()
print(sys.getrecursionlimit(), "eth" in sys.modules, "py_ecc" in sys.modules, end="")
"""

CALLS_ITSELF = bytes.fromhex("5f5f5f5f5f305af100")
"""Runtime code: call this contract with all gas."""
DEPLOYS_IT = bytes.fromhex("68") + CALLS_ITSELF + bytes.fromhex("5f5260096017f3")


def test_keys_and_the_embedded_chain_leave_the_recursion_limit_alone() -> None:
    assert subprocess.check_output([sys.executable, "-c", USE], text=True) == "777 True True"


@pytest.mark.parametrize("module", ["embedded_evm", "embedded_admission"])
def test_so_does_each_module_that_imports_py_evm(module: str) -> None:
    script = f"import sys, chain_client.ledger.{module}; print(sys.getrecursionlimit(), end='')"
    plain = subprocess.check_output(
        [sys.executable, "-c", "import sys; print(sys.getrecursionlimit(), end='')"], text=True
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == plain


@pytest.fixture
def _usual_limit() -> Iterator[None]:
    """Python's own limit: some library that another test imported may have raised it."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    yield
    sys.setrecursionlimit(limit)


@pytest.mark.usefixtures("_usual_limit")
def test_calls_that_nest_too_deep_are_unavailable_and_leave_the_chain_as_it_was() -> None:
    sender = create_keystore(Path("key.json"))
    signer = open_signer("keystore:key.json", base=Path())
    create_embedded(Path("chain.db"), chain_id=7, funded=[sender])
    ledger = EmbeddedLedger(Path("chain.db"))

    def send(to: Address | None, data: bytes, nonce: int) -> TxHash:
        fields = TransactionFields(7, nonce, 0, 0, 10_000_000, to, data)
        return ledger.send(sign_transaction(signer, fields).raw)

    receipt = ledger.receipt(send(None, DEPLOYS_IT, 0))
    assert receipt is not None
    contract = receipt.contract_address
    assert contract is not None
    assert ledger.code(contract) == CALLS_ITSELF

    with pytest.raises(LedgerUnavailable, match="nest"):
        ledger.call(Call(contract, b""))
    with pytest.raises(LedgerUnavailable, match="nest"):
        ledger.estimate_gas(Call(contract, b""), sender)
    with pytest.raises(LedgerUnavailable, match="nest"):
        send(contract, b"", 1)
    assert (ledger.block().number, ledger.nonce(sender)) == (1, 1)
    send(sender, b"", 1)
    assert (ledger.block().number, ledger.nonce(sender)) == (2, 2)
    ledger.close()
