"""The queue on SQLite and on a real Postgres: its SQL, its fence, and several keys at once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chain_client.errors import AnotherRelay, BudgetSpent, TransactionCancelled
from chain_client.ledger import Call, EmbeddedLedger, create_embedded
from chain_client.log import Log
from chain_client.testing.simulated_ledger import SimulatedLedger
from chain_client.transactions import TransactionLimits, TransactionStatus, list_transactions
from chain_client.types import Address
from tests.embedded_chains import CHAIN_ID, OWNER, KeyInMemory
from tests.postgres import Postgres
from tests.queues import make_log, own, stored, stored_attempts
from tests.unit.chain_client.transactions.simulated import Bench, call

GWEI = 10**9
KEYS = [KeyInMemory(number) for number in range(10, 13)]
PAYMENTS = 6
PAYEE = Address(b"\7" * 20)


@pytest.fixture(params=["sqlite", "postgres"])
def log_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A new log."""
    if request.param == "sqlite":
        yield f"sqlite:///{make_log(tmp_path)}"
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    name = postgres.create()
    url = postgres.uri(name, "psycopg")
    log = Log(url)
    log.create()
    log.close()
    yield url
    postgres.execute(f"drop database {name} with (force)")


@pytest.fixture
def bench(log_url: str) -> Iterator[Bench]:
    bench = Bench(
        log_url,
        SimulatedLedger(auto_mine=False, finality_depth=2),
        poll_s=5,
        limits=TransactionLimits(gas_per_hour=250_000),
    )
    bench.clock.on_wait = bench.ledger.mine
    yield bench
    bench.close()


def test_a_life_of_replacements_cancellations_gaps_and_reorgs(bench: Bench) -> None:
    bench.pay(1)
    tx_id = bench.queue.submit(call(2), "pay:2")
    bench.ledger.base_fee_wei = 4 * GWEI
    bench.queue.settle(tx_id, timeout_s=120)
    assert bench.queue.get(tx_id).attempts == 2
    bench.ledger.reorg(1)
    bench.queue.watch()
    assert bench.queue.get(tx_id).status is TransactionStatus.BROADCAST
    bench.queue.settle(tx_id)
    cancelled = bench.queue.submit(call(3), "pay:3")
    bench.queue.cancel(cancelled)
    with pytest.raises(TransactionCancelled):
        bench.queue.settle(cancelled)
    bench.ledger.mine(2)
    bench.queue.watch()
    bench.pay(4, final=True)
    with pytest.raises(BudgetSpent):
        bench.queue.submit(call(5), "pay:5")
    assert [row.status for row in bench.rows()] == [
        *("finalized", "finalized", "cancelled", "finalized")
    ]
    kinds = [attempt.kind for attempt in stored_attempts(bench.log_url)]
    assert kinds == ["call", "call", "call", "call", "cancel", "call"]
    assert [tx.nonce for tx in bench.ledger.included()] == [0, 1, 2, 3]
    listed = list_transactions(bench.owner.log.engine, sender=OWNER.address())
    assert [row.nonce for row in listed] == [3, 2, 1, 0]
    (alarm,) = bench.owner.log.alarms()
    assert alarm.kind == "gas_budget_spent"


def test_an_owner_that_lost_the_lease_signs_replaces_and_moves_nothing(bench: Bench) -> None:
    tx_id = bench.queue.submit(call(1), "pay:1")
    sleeper = bench.queue
    queue = bench.take_over()
    before = stored(bench.log_url), stored_attempts(bench.log_url)
    bench.clock.now_us += 120_000_000
    bench.ledger.base_fee_wei = 4 * GWEI
    sent = len(bench.ledger.sent)
    for act in (
        lambda: sleeper.submit(call(2), "pay:2"),
        lambda: sleeper.settle(tx_id, timeout_s=120),
        lambda: sleeper.retry(tx_id, raise_fees=True),
        lambda: sleeper.cancel(tx_id),
    ):
        with pytest.raises(AnotherRelay, match="was taken over"):
            act()
    assert (stored(bench.log_url), stored_attempts(bench.log_url)) == before
    assert set(bench.ledger.sent[sent:]) <= {before[0][0].raw}
    queue.settle(tx_id, timeout_s=120)
    assert [tx.call for tx in bench.ledger.included()] == [call(1)]


def pay_all(log_url: str, chain: Path, key: KeyInMemory) -> None:
    """What the owner of one key does, with a chain and a log of its own."""
    owner = own(log_url, EmbeddedLedger(chain), signer=key, log_timeout_s=30)
    for number in range(PAYMENTS):
        payment = Call(PAYEE, b"", value_wei=1)
        owner.queue.settle(owner.queue.submit(payment, f"pay:{number}"), final=True)
    owner.log.close()


def in_threads(log_url: str, chain: Path) -> None:
    with ThreadPoolExecutor(len(KEYS)) as pool:
        for done in [pool.submit(pay_all, log_url, chain, key) for key in KEYS]:
            done.result()


def in_processes(log_url: str, chain: Path) -> None:
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=pay_all, args=(log_url, chain, key)) for key in KEYS]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * len(KEYS)


@pytest.mark.parametrize("at_once", [in_threads, in_processes])
def test_several_keys_send_at_once_each_in_its_own_order(
    log_url: str, tmp_path: Path, at_once: Callable[[str, Path], None]
) -> None:
    chain = tmp_path / "chain.db"
    create_embedded(chain, chain_id=CHAIN_ID, funded=[key.address() for key in KEYS])
    at_once(log_url, chain)
    ledger = EmbeddedLedger(chain)
    assert ledger.balance_wei(PAYEE) == PAYMENTS * len(KEYS)
    assert [ledger.nonce(key.address()) for key in KEYS] == [PAYMENTS] * len(KEYS)
    log = Log(log_url)
    for key in KEYS:
        rows = list_transactions(log.engine, sender=key.address())
        assert [row.nonce for row in rows][::-1] == list(range(PAYMENTS))
        assert {row.status for row in rows} == {TransactionStatus.FINALIZED}
        assert {row.attempts for row in rows} == {1}
    log.close()
