"""Real EVM nodes that tests start: anvil and hardhat, from the npm project in `tests/nodes/`.

::

    with running_anvil("--block-time", "1", "--slots-in-an-epoch", "1") as node:
        ledger = JsonRpcLedger(node.url)

Node fixtures of a test module should be of its scope: a node starts in a second, hardhat in
three. Each listens on a port of its own on the loopback interface and ends with its block.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from chain_client.types import Address, to_hex

NODES = Path(__file__).parent / "nodes"
CHAIN_ID = 31_337
"""Of every node here that is not given another."""

_RUNNER = Path(__file__).parents[1] / "contracts" / "run.py"
_START_S = 60
_STOP_S = 10


class NodeError(Exception):
    """A node answered with an error object."""


@dataclass
class RunningNode:
    """A node and its process.

    Args:
        client: ``anvil`` or ``hardhat``; also the prefix of its own methods.
        url: where it listens.
        process: the node itself; stopped with SIGSTOP it keeps its port and stays silent.
    """

    client: str
    url: str
    process: subprocess.Popen[bytes]
    log: Path
    _ids: Iterator[int] = field(default_factory=itertools.count)

    def rpc(self, method: str, *params: object) -> Any:
        """What the node answers.

        Raises:
            NodeError: an error object.
        """
        asked = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        request = urllib.request.Request(  # noqa: S310 - a node of ours on the loopback interface
            self.url, json.dumps(asked).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310
            answer = json.load(reply)
        if "error" in answer:
            raise NodeError(json.dumps(answer["error"]))
        return answer["result"]

    def mine(self, blocks: int = 1) -> None:
        """Make so many blocks at once."""
        self.rpc(f"{self.client}_mine", hex(blocks))

    def fund(self, *accounts: Address, wei: int = 10**24) -> None:
        """Let each account have so much.

        anvil keeps the state of its newest block only when the next one is made, with what was set
        by hand since: proofs in that block never lead to its state root. Whoever asks for proofs
        makes blocks first, until a later one is final.
        """
        for account in accounts:
            self.rpc(f"{self.client}_setBalance", to_hex(account), hex(wei))

    def block_number(self) -> int:
        """The newest block's."""
        return int(self.rpc("eth_blockNumber"), 16)

    def stop(self) -> None:
        """End the process and all that it started."""
        for how in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGCONT)
                os.killpg(self.process.pid, how)
                try:
                    self.process.wait(_STOP_S)
                except subprocess.TimeoutExpired:
                    continue
        self.process.wait(_STOP_S)


@contextmanager
def running_anvil(
    *options: str,
    chain_id: int = CHAIN_ID,
    port: int = 0,
    funded: Sequence[Address] = (),
) -> Iterator[RunningNode]:
    """An anvil, ended with the block.

    Args:
        options: of its command line. Without any, each transaction is mined at once, and a block
            is final when 64 are on top of it.
        chain_id: the chain's id.
        port: on 127.0.0.1; by default a free one. A node that was ended can be started again at
            the port it had.
        funded: accounts that get a million ether.
    """
    words = [_anvil(), "--host", "127.0.0.1", "--port", str(port), "--chain-id", str(chain_id)]
    environment = {**os.environ, "FOUNDRY_DISABLE_NIGHTLY_WARNING": "true"}
    with _running("anvil", [*words, "--accounts", "1", *options], environment) as node:
        node.fund(*funded)
        yield node


@contextmanager
def running_hardhat(
    *,
    chain_id: int = CHAIN_ID,
    mining: dict[str, object] | None = None,
    funded: Sequence[Address] = (),
    **options: object,
) -> Iterator[RunningNode]:
    """A hardhat, ended with the block.

    Args:
        chain_id: the chain's id.
        mining: such as ``{"auto": False, "interval": 1000}``; by default each transaction is
            mined at once.
        funded: accounts that get a million ether.
        options: further options of its network, such as ``hardfork``.
    """
    network: dict[str, object] = {"chainId": chain_id, **options}
    network["accounts"] = {"count": 1}
    if mining is not None:
        network["mining"] = mining
    node = _runner().find_node()
    _install()
    words = [
        *(node.program, str(NODES / "node_modules/hardhat/internal/cli/cli.js"), "node"),
        *("--hostname", "127.0.0.1", "--port", str(_free_port())),
    ]
    environment = {
        **node.environment(),
        "TEST_CHAIN": json.dumps(network),
        "HARDHAT_CONFIG": str(NODES / "hardhat.config.cjs"),
        "HARDHAT_DISABLE_TELEMETRY_PROMPT": "true",
    }
    with _running("hardhat", words, environment) as running:
        running.fund(*funded)
        yield running


@contextmanager
def _running(client: str, words: list[str], environment: dict[str, str]) -> Iterator[RunningNode]:
    with tempfile.TemporaryDirectory(prefix=f"{client}-") as folder:
        log = Path(folder) / "log"
        # Nodes keep caches and settings of their user: not here.
        environment |= {"HOME": folder, "XDG_DATA_HOME": folder, "XDG_CONFIG_HOME": folder}
        environment |= {"XDG_CACHE_HOME": folder, "NO_COLOR": "1"}
        with log.open("wb") as stream:
            process = subprocess.Popen(
                words,
                cwd=NODES if client == "hardhat" else folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        node = RunningNode(client, "", process, log)
        try:
            node.url = _wait_for_url(node)
            yield node
        finally:
            node.stop()


def _wait_for_url(node: RunningNode) -> str:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        text = node.log.read_text("utf-8", "replace")
        assert node.process.poll() is None, text[-4000:]
        found = re.search(r"(?:Listening on |JSON-RPC server at http://)(127\.0\.0\.1:\d+)", text)
        if found is not None:
            return f"http://{found[1]}"
        time.sleep(0.02)
    raise AssertionError(f"{node.client} did not start in {_START_S} s: {text[-4000:]}")


def _anvil() -> str:
    _install()
    for program in sorted((NODES / "node_modules").glob("@foundry-rs/anvil-*/bin/anvil")):
        return str(program)
    raise AssertionError("npm has no anvil for this machine: these tests need Linux x86-64")


@cache
def _install() -> None:
    runner = _runner()
    runner.install(runner.find_node(), NODES)


@cache
def _runner() -> ModuleType:
    """`contracts/run.py`, which finds Node and installs npm projects; it is in no package."""
    spec = importlib.util.spec_from_file_location("_npm_projects", _RUNNER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
