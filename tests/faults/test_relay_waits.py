"""Relays on a real anvil that makes no block, or answers nothing, for a while."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chain_client import ChainClient
from chain_client.log import EntryStatus
from chain_client.relay.held_lease import LEASE
from chain_client.testing.faulty_node import FaultyNode
from tests.faults.chain_home import World, until
from tests.faults.oracle import judged


def in_pool(world: World) -> int:
    return int(world.anvil.rpc("txpool_status")["pending"], 16)


def final_size(client: ChainClient) -> int:
    head = client.log.latest_head(EntryStatus.FINALIZED)
    return 0 if head is None else head.size


def is_final(client: ChainClient) -> bool:
    return 0 < client.log.size() == final_size(client)


def test_ingesting_goes_on_while_an_anchor_waits_for_its_block(world: World) -> None:
    with FaultyNode(world.anvil.url) as node, judged(world, node), world.opened(node.url) as client:
        world.record(client, 3)
        with world.relaying(client):
            with world.miner.paused():
                until(lambda: in_pool(world) == 1, "an anchor is sent")
                until(
                    lambda: client.log.latest_head(EntryStatus.BROADCAST) is not None, "it is noted"
                )
                sent = client.log.latest_head(EntryStatus.BROADCAST)
                assert sent is not None
                for _ in range(3):
                    before = client.log.size()
                    world.record(client, 3)
                    client.recorder.close()
                    until(lambda before=before: client.log.size() >= before + 3, "ingested")  # type: ignore[misc]
                assert in_pool(world) == 1
                assert client.log.latest_head() == sent  # one after the other
                assert [a for a in client.log.alarms() if a.kind == "chain"] == []
            until(lambda: is_final(client), "all is final")
        # What gathered meanwhile was more than a batch, and one anchor took all of it.
        assert [head.size for head in client.log.heads()] == [client.log.size(), sent.size]


def test_ingesting_goes_on_while_the_node_answers_nothing(world: World) -> None:
    with FaultyNode(world.anvil.url) as node, judged(world, node), world.opened(node.url) as client:
        world.record(client, 3)
        with world.relaying(client):
            until(lambda: is_final(client), "all is final")
            world.anvil.process.send_signal(signal.SIGSTOP)
            try:
                for _ in range(3):
                    before = client.log.size()
                    world.record(client, 3)
                    client.recorder.close()
                    until(lambda before=before: client.log.size() >= before + 3, "ingested")  # type: ignore[misc]
                until(lambda: [a.kind for a in client.log.alarms()] == ["chain"], "the alarm")
            finally:
                world.anvil.process.send_signal(signal.SIGCONT)
            until(lambda: is_final(client), "all is final")
            until(lambda: client.log.alarms() == [], "the alarm's end")


@contextmanager
def relay_process(client: ChainClient, url: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        "MLOPS_CHAIN_HOME": str(client.home),
        "MLOPS_CHAIN_LEDGER_URL": url,
        "MLOPS_CHAIN_RELAY_LEASE_S": "2",
        "MLOPS_CHAIN_RELAY_MAX_WAIT_RPC_S": "0.05",
        "MLOPS_CHAIN_RELAY_HTTP": "",
        "MLOPS_CHAIN_REGISTRY_SYNC": "false",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "chain_client.cli", "relay"],
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_relay_of_another_host_settles_what_a_killed_one_left_in_the_pool(
    world: World, tmp_path: Path
) -> None:
    other = tmp_path / "other" / "home"
    other.mkdir(parents=True)
    shutil.copy(world.home / "deployment.json", other)
    shutil.copytree(world.home / "keys", other / "keys")
    second = World(world.anvil, world.miner, other, world.database, world.acknowledged)
    log_url = f"sqlite:///{world.home}/log.db"
    with (
        FaultyNode(world.anvil.url) as node,
        judged(world, node),
        world.opened(node.url) as client,
        second.opened(node.url, log_url=log_url, relay_lease_s=2) as standby,
    ):
        world.record(client, 3)
        client.recorder.close()
        with world.miner.paused():
            with relay_process(client, node.url) as killed:
                until(lambda: in_pool(world) == 1, "an anchor is sent")
                killed.kill()
                killed.wait()
            with second.relaying(standby):
                until(lambda: _anchors(standby), "taking over")
                world.record(client, 2)
                client.recorder.close()
                assert in_pool(world) == 1
        world.relay(client)
        until(lambda: is_final(client), "all is final")
        assert [a for a in client.log.alarms() if a.kind != "reorg"] == []


def _anchors(client: ChainClient) -> bool:
    holder = client.log.holder(LEASE)
    return holder is not None and f"/{client.folder.ingester_id()}:" in holder.holder
