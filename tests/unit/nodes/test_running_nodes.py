"""The nodes that tests start: what is installed, that they answer, and that they end."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager

import psutil
import pytest

from chain_client.types import Address, to_hex
from tests.running_nodes import NODES, NodeError, RunningNode, running_anvil, running_hardhat

ACCOUNT = Address(b"\x0a" * 20)


@pytest.mark.parametrize("run", [running_anvil, running_hardhat])
def test_a_node_answers_mines_and_ends(
    run: Callable[..., AbstractContextManager[RunningNode]],
) -> None:
    with run(chain_id=4711, funded=[ACCOUNT]) as node:
        assert int(node.rpc("eth_chainId"), 16) == 4711
        assert int(node.rpc("eth_getBalance", to_hex(ACCOUNT), "latest"), 16) == 10**24
        node.mine(3)
        assert node.block_number() == 3
        with pytest.raises(NodeError, match='"code": -32'):
            node.rpc("eth_nonsense")
        pid = node.process.pid
    assert not psutil.pid_exists(pid)


def test_the_lock_file_has_digests_and_no_address() -> None:
    packages = json.loads((NODES / "package-lock.json").read_text("utf-8"))["packages"]
    for name, package in packages.items():
        assert "resolved" not in package
        assert not name or package["integrity"].startswith("sha512-")
        package.pop("funding", None)
    assert "://" not in json.dumps(packages)
