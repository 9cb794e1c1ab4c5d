"""`mlops-chain tx` where blocks let one wait: on an anvil that mines when it is told to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chain_client.config import Settings
from chain_client.errors import TransactionRejected
from chain_client.home import OWNER_KEY, Home
from chain_client.ledger import Call, open_ledger
from chain_client.ledger.base import Ledger
from chain_client.ledger.deployment import deploy
from chain_client.log import Log
from chain_client.signing import Signer, create_keystore, decode_transaction, open_signer
from chain_client.transactions import TransactionQueue, key_lease_name
from chain_client.types import Address
from tests.embedded_chains import KeyInMemory
from tests.queues import make_log, own
from tests.running_nodes import RunningNode, running_anvil

Run = Callable[..., tuple[int, str, str]]
NOWHERE = Address(b"\x77" * 20)


@pytest.fixture(scope="module")
def anvil() -> Iterator[RunningNode]:
    with running_anvil() as node:
        yield node


@pytest.fixture
def settings(anvil: RunningNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of a new home on the node, also for commands."""
    environment = {
        "MLOPS_CHAIN_LEDGER_URL": anvil.url,
        "MLOPS_CHAIN_LEDGER_FINALITY": "0",
        "MLOPS_CHAIN_RELAY_AUTOSTART": "false",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    anvil.rpc("evm_setAutomine", True)
    settings = Settings.from_environment(environment, tmp_path, home=tmp_path / "home")
    home = Home(settings.home)
    home.create_folders()
    owner = create_keystore(home.path / OWNER_KEY.removeprefix("keystore:"))
    anvil.fund(owner)
    anvil.mine(1)  # what is not in a block can not be proved
    sent_by(settings, lambda queue, ledger: _deploy(home, settings, queue, ledger))
    anvil.rpc("evm_setAutomine", False)
    return settings


def _deploy(home: Home, settings: Settings, queue: TransactionQueue, ledger: Ledger) -> None:
    deploy(
        home.deployment_file,
        ledger=ledger,
        ledger_url=settings.ledger_url,
        queue=queue,
        writer=NOWHERE,
    )


def sent_by(settings: Settings, work: Callable[[TransactionQueue, Ledger], Any]) -> Any:
    """What is done with the owner's queue."""
    log = Log(settings.resolve_url(settings.log_url))
    log.create()
    ledger = open_ledger(settings)
    signer: Signer = open_signer(OWNER_KEY, base=settings.home)
    lease = log.acquire_lease(key_lease_name(signer.address()), "test", 60)
    try:
        queue = TransactionQueue(
            log.engine, ledger, signer, lease=lambda: lease, chain_id=ledger.chain_id()
        )
        return work(queue, ledger)
    finally:
        log.release(lease)
        ledger.close()
        log.close()


@pytest.fixture
def pending(settings: Settings) -> int:
    """A transaction that waits in the node's pool."""
    call = Call(NOWHERE, b"data")
    found: int = sent_by(settings, lambda queue, ledger: queue.submit(call, "test:one"))
    return found


def document(run: Run, settings: Settings, *words: object) -> dict[str, Any]:
    code, out, err = run("--home", settings.home, "tx", *words, "--json")
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


def test_fees_are_raised_by_hand_and_the_dearer_one_is_mined(
    mlops_chain: Run, anvil: RunningNode, settings: Settings, pending: int
) -> None:
    (before,) = document(mlops_chain, settings, "list")["transactions"]
    assert (before["status"], before["attempts"]) == ("broadcast", 1)
    unchanged = document(mlops_chain, settings, "retry", pending)
    assert (unchanged["status"], unchanged["attempts"]) == ("broadcast", 1)
    raised = document(mlops_chain, settings, "retry", pending, "--raise-fees")
    assert (raised["status"], raised["attempts"]) == ("broadcast", 2)
    for fee in ("max_fee_wei", "max_priority_fee_wei"):
        assert raised[fee] * 1000 >= before[fee] * 1125
    anvil.mine()
    done = document(mlops_chain, settings, "retry", pending)
    assert (done["status"], done["receipt"]["succeeded"]) == ("finalized", True)
    signed = document(mlops_chain, settings, "show", pending)["signed"]
    assert [(one["kind"], one["on_chain"]) for one in signed] == [("call", False), ("call", True)]


def test_what_waits_in_the_pool_is_cancelled_before_it_happens(
    mlops_chain: Run, anvil: RunningNode, settings: Settings, pending: int
) -> None:
    told = document(mlops_chain, settings, "cancel", pending, "--yes")
    assert (told["status"], told["is_cancel"], told["receipt"]) == ("broadcast", True, None)
    assert "cancelling" in mlops_chain("--home", settings.home, "tx", "list")[1]
    again = document(mlops_chain, settings, "cancel", pending, "--yes")
    assert again["attempts"] == 2
    anvil.mine()
    done = document(mlops_chain, settings, "retry", pending)
    assert (done["status"], done["is_cancel"]) == ("cancelled", True)
    block = anvil.rpc("eth_getBlockByNumber", "latest", True)
    (mined,) = block["transactions"]
    assert (mined["from"], mined["value"], mined["input"]) == (mined["to"], "0x0", "0x")


def test_fees_above_the_cap_are_never_offered(
    mlops_chain: Run, settings: Settings, pending: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_CHAIN_TRANSACTIONS_MAX_FEE_GWEI", "1")
    for words in (("retry", "--raise-fees"), ("cancel", "--yes")):
        code, out, err = mlops_chain("--home", settings.home, "tx", *words, pending)
        assert (code, out) == (2, "")
        assert "transactions.max_fee_gwei" in err
    assert document(mlops_chain, settings, "show", pending)["attempts"] == 1


def test_a_chain_without_eip_1559_is_served_with_legacy_transactions(tmp_path: Path) -> None:
    key = KeyInMemory(73)
    with running_anvil("--hardfork", "berlin", funded=[key.address()]) as old:
        environment = {"MLOPS_CHAIN_LEDGER_URL": old.url, "MLOPS_CHAIN_LEDGER_FINALITY": "0"}
        ledger = open_ledger(Settings.from_environment(environment, tmp_path, home=tmp_path))
        owner = own(make_log(tmp_path), ledger, signer=key)
        settled = owner.queue.settle(owner.queue.submit(Call(NOWHERE, b"data"), "test:old"))
        assert settled.receipt.succeeded
        assert decode_transaction(owner.queue.get(settled.id).raw).is_legacy
        old.rpc("evm_setAutomine", False)
        waiting = owner.queue.submit(Call(NOWHERE, b"more"), "test:older")
        before = owner.queue.get(waiting)
        raised = owner.queue.retry(waiting, raise_fees=True)
        assert raised.max_fee_wei * 1000 >= before.max_fee_wei * 1125
        assert decode_transaction(raised.raw).is_legacy
        old.mine()
        assert owner.queue.settle(waiting).receipt.tx_hash == raised.tx_hash
        ledger.close()
        owner.log.close()


def test_where_gas_is_free_what_waits_is_replaced_for_a_wei_and_only_by_a_key_that_has_it(
    tmp_path: Path,
) -> None:
    key = KeyInMemory(74)
    free = ("--block-base-fee-per-gas", "0", "--gas-price", "0", "--disable-min-priority-fee")
    with running_anvil(*free) as anvil:
        environment = {"MLOPS_CHAIN_LEDGER_URL": anvil.url, "MLOPS_CHAIN_LEDGER_FINALITY": "0"}
        ledger = open_ledger(Settings.from_environment(environment, tmp_path, home=tmp_path))
        owner = own(make_log(tmp_path), ledger, signer=key)
        settled = owner.queue.settle(owner.queue.submit(Call(NOWHERE, b"data"), "test:free"))
        assert settled.receipt.succeeded
        anvil.rpc("evm_setAutomine", False)
        waiting = owner.queue.submit(Call(NOWHERE, b"more"), "test:freer")
        with pytest.raises(TransactionRejected, match="send funds to the key's address"):
            owner.queue.retry(waiting, raise_fees=True)
        anvil.fund(key.address(), wei=10**6)
        raised = owner.queue.retry(waiting, raise_fees=True)
        assert (raised.max_fee_wei, raised.attempts) == (1, 2)
        anvil.mine()
        assert owner.queue.settle(waiting).receipt.tx_hash == raised.tx_hash
        ledger.close()
        owner.log.close()
