"""Nodes that are not to be believed: behind, on another chain, or lying; some beside a good one."""

from __future__ import annotations

import pytest

from chain_client.errors import ConfigurationError, LogMismatch
from chain_client.log import EntryStatus
from chain_client.signing.keccak import keccak256
from chain_client.testing.faulty_node import (
    ConnectionReset,
    FakeCall,
    FakeHead,
    FakeReceipt,
    FaultyNode,
    Lagging,
    WrongChain,
    on,
)
from tests.faults.chain_home import World, until
from tests.faults.oracle import judged

DEAD = on(fault=ConnectionReset(), times=None)


@pytest.mark.parametrize("blocks", [5, None], ids=["five", "stands still"])
def test_a_failover_to_a_node_that_lags_doubles_nothing(world: World, blocks: int | None) -> None:
    with (
        FaultyNode(world.anvil.url) as first,
        FaultyNode(world.anvil.url) as second,
        judged(world, first, second),
        world.opened(first.url, second.url) as client,
    ):
        world.record(client, 6)
        world.relay(client)
        world.record(client, 3)
        second.follow(Lagging(blocks))
        with world.relaying(client):
            first.follow(on(fault=ConnectionReset(forwarded=True), times=None))
            until(lambda: second.journal.asked("eth_getTransactionCount"), "the second is used")
            world.record(client, 3)
            client.recorder.close()
        second.follow()
        world.relay(client)
        first.follow()
        world.appoint(client)
        world.relay(client)


@pytest.mark.parametrize(
    "wrong", [WrongChain(99), WrongChain(None, code=b"\xfe" * 40)], ids=["other id", "other code"]
)
def test_nothing_is_sent_to_a_node_of_another_chain(world: World, wrong: WrongChain) -> None:
    with (
        FaultyNode(world.anvil.url) as first,
        FaultyNode(world.anvil.url) as second,
        judged(world, first, second),
        world.opened(first.url, second.url) as client,
    ):
        second.follow(wrong)
        world.record(client, 6)
        world.relay(client)
        first.follow(DEAD)
        world.record(client, 3)
        with world.relaying(client):
            until(lambda: second.journal.asked("eth_chainId"), "the second is looked at")
            until(lambda: alarms(world, "chain"), "the alarm")
        assert second.journal.sent_raw == ()
        first.follow()
        world.relay(client)
        world.appoint(client)
        world.relay(client)
        assert second.journal.sent_raw == ()


@pytest.mark.parametrize("wrong", [WrongChain(99), WrongChain(None, code=b"\xfe" * 40)])
def test_a_home_on_another_chain_is_refused_by_a_clear_error(
    world: World, wrong: WrongChain
) -> None:
    with FaultyNode(world.anvil.url) as node:
        node.follow(wrong)
        with pytest.raises(ConfigurationError, match=r"chain|code"), world.opened(node.url):
            pass
        assert node.journal.sent_raw == ()


@pytest.mark.parametrize(
    ("block", "others"),
    [("real", 0), ("invented", 1)],
    ids=["real block, alone", "invented block, beside a good one"],
)
def test_a_receipt_that_a_node_made_up_is_not_believed(
    world: World, block: str, others: int
) -> None:
    with FaultyNode(world.anvil.url) as liar, FaultyNode(world.anvil.url) as honest:
        urls = [liar.url, honest.url][: others + 1]
        with judged(world, liar, honest), world.opened(*urls) as client:
            world.record(client)
            liar.follow(FakeReceipt(block))
            with world.relaying(client):
                until(
                    lambda: alarms(world, "chain") or final_size(world),
                    "it is refused with an alarm, or anchored by the other",
                )
                assert liar.journal.asked("eth_getTransactionReceipt")
                assert final_size(world) <= on_chain(world)
            liar.follow()
            world.relay(client)


@pytest.mark.parametrize(
    ("second_look", "others"),
    [("proof", 0), ("auto", 1)],
    ids=["alone, asked for proof", "beside a good one"],
)
def test_a_head_that_a_node_made_up_makes_nothing_final(
    world: World, second_look: str, others: int
) -> None:
    with FaultyNode(world.anvil.url) as liar, FaultyNode(world.anvil.url) as honest:
        urls = [liar.url, honest.url][: others + 1]
        with (
            judged(world, liar, honest),
            world.opened(*urls, ledger_second_look=second_look) as client,
        ):
            world.record(client)
            with world.miner.paused(), world.relaying(client):
                until(lambda: world.anvil.rpc("txpool_status")["pending"] != "0x0", "it is sent")
                liar.follow(FakeHead(ahead=100))
                world.anvil.mine()
                asked = liar.journal.asked("eth_getBlockByNumber")
                until(lambda: liar.journal.asked("eth_getBlockByNumber") > asked + 5, "the lie")
                assert final_size(world) == 0
            liar.follow()
            world.relay(client)


def test_a_view_that_a_node_made_up_is_not_anchored_upon(world: World) -> None:
    with (
        FaultyNode(world.anvil.url) as liar,
        judged(world, liar),
        world.opened(liar.url) as client,
    ):
        world.record(client)
        # The head of a log of 1,000 leaves under some root, in block 1.
        made_up = b"".join(n.to_bytes(32, "big") for n in (1_000, 7, 1))
        lie = FakeCall(event_log_function("head(bytes32)"), made_up)
        liar.follow(on("eth_call", fault=lie, times=None))
        with pytest.raises(LogMismatch):
            world.relay(client)
        assert liar.journal.sent_raw == ()
        assert alarms(world, "head")
        liar.follow()
        world.relay(client)


def event_log_function(signature: str) -> bytes:
    """First four bytes of its calls."""
    return keccak256(signature.encode())[:4]


def alarms(world: World, kind: str) -> bool:
    """Whether such an alarm stands."""
    with world.opened() as client:
        return any(alarm.kind == kind for alarm in client.log.alarms())


def final_size(world: World) -> int:
    """Size of the greatest head that the log calls final."""
    with world.opened() as client:
        head = client.log.latest_head(EntryStatus.FINALIZED)
        return head.size if head is not None else 0


def on_chain(world: World) -> int:
    """Size of the head on chain."""
    with world.opened() as client:
        return client.contract.head(client.deployment.log_id).size
