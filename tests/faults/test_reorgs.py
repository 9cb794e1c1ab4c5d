"""Reorgs on a real anvil: what vanished is on chain again, once, and the log follows."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from chain_client import ChainClient
from chain_client.log import EntryStatus
from chain_client.testing.faulty_node import FaultyNode, Reorg, Snapshot
from tests.faults.chain_home import FoundedHome, World, founded_home, until
from tests.faults.oracle import judged


@pytest.fixture(scope="module")
def _founded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FoundedHome]:
    # A block is final when 64 are on top of it: nothing that these reorgs replace was final.
    folder = tmp_path_factory.mktemp("founded")
    with founded_home(folder, "--slots-in-an-epoch", "32", every_s=0.02) as found:
        yield found


@pytest.mark.parametrize(
    ("depth", "transactions"), [(1, "dropped"), (7, "kept"), (7, "dropped"), (64, "dropped")]
)
def test_what_a_reorg_took_is_on_chain_again_once(
    world: World, depth: int, transactions: str
) -> None:
    with FaultyNode(world.anvil.url) as node, judged(world, node), world.opened(node.url) as client:
        world.record(client, 6)
        with world.relaying(client):
            with world.miner.paused():
                include_an_anchor_and_an_appointment(world, client, node.url)
                world.anvil.mine(depth - 1) if depth > 1 else None
                Reorg(depth, transactions).happen(node.upstream)
            until(lambda: is_included(client), "the anchor is on chain again")
            world.record(client, 3)
            client.recorder.close()
            until(lambda: is_final(client), "all is final")


def test_a_reorg_of_two_anchors_sends_both_again_in_their_order(world: World) -> None:
    with FaultyNode(world.anvil.url) as node, judged(world, node), world.opened(node.url) as client:
        world.record(client, 6)
        with world.relaying(client):
            with world.miner.paused():
                snapshot = Snapshot(node.upstream)
                mine_until_included(world, client)
                world.record(client, 4)
                client.recorder.close()
                until(lambda: client.log.size() > anchored(client), "more in the log")
                mine_until_included(world, client)
                assert snapshot.reorganise(transactions="dropped") >= 2
            until(lambda: is_final(client), "all is final")


def include_an_anchor_and_an_appointment(world: World, client: ChainClient, url: str) -> None:
    """One block holds both, and both senders have seen it. The miner is paused."""

    def appoint() -> None:
        with world.opened(url) as other:
            world.appoint(other)

    thread = threading.Thread(target=appoint, name="appointing")
    thread.start()
    try:
        until(lambda: world.anvil.rpc("txpool_status")["pending"] == "0x2", "both are sent")
        world.anvil.mine()
        until(lambda: is_included(client), "the anchor is on chain")
    finally:
        thread.join()
    assert world.approvers


def mine_until_included(world: World, client: ChainClient) -> None:
    """Blocks come until all of the log is anchored."""

    def is_anchored() -> bool:
        world.anvil.mine()
        return is_included(client, client.log.size())

    until(is_anchored, "the log is anchored")


def anchored(client: ChainClient) -> int:
    """Size of the greatest head that is in a block, as the log has it."""
    heads = [client.log.latest_head(s) for s in (EntryStatus.INCLUDED, EntryStatus.FINALIZED)]
    return max((head.size for head in heads if head is not None), default=0)


def is_included(client: ChainClient, size: int = 1) -> bool:
    """Whether so much of the log is in a block, by the log and by the chain."""
    return size <= anchored(client) == on_chain(client)


def on_chain(client: ChainClient) -> int:
    """Size of the head on chain."""
    return client.contract.head(client.deployment.log_id).size


def is_final(client: ChainClient) -> bool:
    """Whether all that was recorded is final, as the log has it."""
    head = client.log.latest_head(EntryStatus.FINALIZED)
    return head is not None and head.size == client.log.size()
