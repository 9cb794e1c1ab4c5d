"""One deployment on a real network: a node behind faulty ones, a log on Postgres, and two hosts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from chain_client.home import OWNER_KEY, WRITER_KEY
from chain_client.signing import create_keystore
from chain_client.testing.faulty_node import FaultPlan, FaultyNode
from tests.faults.chain_home import Miner
from tests.postgres import running_postgres
from tests.running_nodes import RunningNode, running_anvil

KEYS = (OWNER_KEY, WRITER_KEY, "keystore:keys/registrar.json", "keystore:keys/submitter.json")
BLOCK_S = 0.5
SLOTS = 33
"""A block is final when 66 are on top of it: what a reorg of 64 replaces never was."""
_FOUNDING_BLOCK_S = 0.02
_CONFIG = """\
[ledger]
url = "{ledger}"

[log]
url = "{log}"

[relay]
autostart = false
http = ""
"""


@dataclass
class Network:
    """A deployment that stands, with everything it needs.

    Args:
        anvil: the real node; the homes' own files lead to it.
        miner: makes its blocks.
        nodes: the faulty nodes before it; processes are led to them by their environment.
        homes: of the two hosts.
    """

    anvil: RunningNode
    miner: Miner
    nodes: tuple[FaultyNode, FaultyNode]
    homes: tuple[Path, Path]

    def environment(self, host: int) -> dict[str, str]:
        """What leads a host's processes through the faults: one host has two endpoints."""
        urls = [node.url for node in self.nodes]
        return {
            "MLOPS_CHAIN_HOME": str(self.homes[host]),
            "MLOPS_CHAIN_LEDGER_URL": ",".join(urls) if host == 0 else urls[1],
            "MLOPS_CHAIN_LEDGER_TIMEOUT_S": "3",
        }


@contextmanager
def running_network(folder: Path, seed: int) -> Iterator[Network]:
    """Found a deployment by the real command line; all of it ends with the block.

    Args:
        folder: gets the hosts' homes, ``a`` and ``b``.
        seed: part of every text about the faulty nodes.
    """
    homes = folder / "a", folder / "b"
    with ExitStack() as stack:
        postgres = stack.enter_context(running_postgres())
        # By default anvil forgets states: a reorg after some 900 blocks then leaves an empty one.
        options = ("--no-mining", "--slots-in-an-epoch", str(SLOTS), "--prune-history", "100000")
        anvil = stack.enter_context(running_anvil(*options))
        log_url = postgres.uri(postgres.create(), "psycopg")
        for home in homes:
            home.mkdir(mode=0o700)
            (home / "config.toml").write_text(_CONFIG.format(ledger=anvil.url, log=log_url))
        keys = [create_keystore(homes[0] / uri.removeprefix("keystore:")) for uri in KEYS]
        anvil.fund(*keys)
        anvil.mine(SLOTS * 2 + 1)  # see fund()
        hasty = Miner(anvil, _FOUNDING_BLOCK_S)
        try:
            _found(folder, homes)
        finally:
            hasty.end()
        anvil.mine(SLOTS * 3)  # no reorg reaches back to the founding
        miner = Miner(anvil, BLOCK_S)
        stack.callback(miner.end)
        first, second = (
            stack.enter_context(FaultyNode(anvil.url, FaultPlan(seed=seed))) for _ in range(2)
        )
        yield Network(anvil, miner, (first, second), homes)


def command(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run one of our commands for a home, as its own file says."""
    return subprocess.run(
        [sys.executable, "-m", "chain_client.cli", "--home", str(home), *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=home.parent,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
    )


def _found(folder: Path, homes: tuple[Path, Path]) -> None:
    first, second = homes
    invitation, salt = folder / "invitation.json", first / "keys" / "registry-salt"
    for home, *words in (
        (first, "deploy", "--yes", "--json"),
        (first, "join", "--make", str(invitation), "--json"),
        (second, "join", str(invitation), "--salt", str(salt), "--json"),
    ):
        done = command(home, *words)
        if done.returncode:
            raise RuntimeError(f"{words}: {done.stdout}{done.stderr}")
    for key in (first / "keys").iterdir():
        if not (second / "keys" / key.name).exists():
            shutil.copy(key, second / "keys")
