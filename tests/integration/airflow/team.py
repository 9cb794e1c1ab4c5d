"""A company that promotes models through Airflow: a real node, a home on it, keys of people.

The node can be taken away for a while: it keeps its state, and comes back at its port.
"""

from __future__ import annotations

import contextlib
import json
import logging
import secrets
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chain_client import Settings
from chain_client.deploying.network import deploy_to_network
from chain_client.home import OWNER_KEY, WRITER_KEY
from chain_client.signing import create_keystore
from tests.running_nodes import RunningNode, running_anvil

MODEL = "wine"
_KEYS = (OWNER_KEY, WRITER_KEY, "keystore:keys/registrar.json", "keystore:keys/submitter.json")
_BLOCKS = ("--mixed-mining", "--block-time", "1", "--slots-in-an-epoch", "1")
"""A block for each transaction, and one a second; one is final when two are on top of it."""

_POLICY = """[groups]
risk = ["bob", "carol"]

[default."alias:champion"]
group = "risk"
approvals = 2
"""


@dataclass
class Team:
    """Ada may propose; Bob and Carol have to approve.

    Args:
        folder: of the home, of MLflow's database and of the people's keys.
    """

    folder: Path
    _node: ExitStack = field(default_factory=ExitStack)
    _port: int = 0

    @property
    def home(self) -> Path:
        """The home of Airflow, MLflow and the relay."""
        return self.folder / "home"

    @property
    def tracking_uri(self) -> str:
        """MLflow's database, recorded and gated."""
        return f"chain+sqlite:///{self.folder}/mlflow.db"

    @property
    def variables(self) -> dict[str, str]:
        """Of every process of this company."""
        return {
            "MLOPS_CHAIN_HOME": str(self.home),
            "MLOPS_CHAIN_RELAY_AUTOSTART": "false",
            "MLFLOW_TRACKING_URI": self.tracking_uri,
            "PYTHONWARNINGS": "ignore",
        }

    @property
    def connection(self) -> str:
        """The Airflow connection with which Ada asks, as an environment variable holds it."""
        key, password = f"keystore:{self.key('ada')}", self.folder / "ada.password"
        extra = {"home": str(self.home), "requester_key": key}
        return json.dumps(
            {"conn_type": "mlops_chain", "password": password.read_text(), "extra": extra}
        )

    def start_node(self) -> RunningNode:
        """Start the chain, with what it had when it was ended."""
        state = ("--state", str(self.folder / "chain.json"))
        node = self._node.enter_context(running_anvil(*_BLOCKS, *state, port=self._port))
        self._port = int(node.url.rpartition(":")[2])
        return node

    def stop_node(self) -> None:
        """End the chain; nobody answers at its port."""
        self._node.close()

    def found(self) -> None:
        """Make the home on a chain of its own, keys, rights and the policy."""
        node = self.start_node()
        self.home.mkdir(mode=0o700)
        config = f'[ledger]\nurl = "{node.url}"\n\n[spool]\ndurability = "process"\n'
        (self.home / "config.toml").write_text(config)
        node.fund(*(create_keystore(self.home / key.removeprefix("keystore:")) for key in _KEYS))
        node.mine(4)  # see fund()
        environment = {"MLOPS_CHAIN_RELAY_AUTOSTART": "false"}
        deploy_to_network(Settings.from_environment(environment, self.folder, home=self.home))
        self.appoint()

    def appoint(self) -> None:
        """Make people's keys, and give them their rights by the policy."""
        for name in ("ada", "bob", "carol"):
            (self.folder / f"{name}.password").write_text(secrets.token_hex(32))
            password = ("--password-file", str(self.folder / f"{name}.password"))
            words = ("key", "new", "--file", str(self.key(name)), *password, "--json")
            made = json.loads(self.run(*words))
            self.run("user", "bind", name, made["address"])
        self.run("role", "grant", "requester", "ada")
        (self.folder / "policy.toml").write_text(_POLICY)
        self.run("policy", "apply", str(self.folder / "policy.toml"), "--yes")

    def key(self, name: str) -> Path:
        """Where somebody's key lies; its password's file is beside it."""
        return self.folder / f"{name}.json"

    def approve(self, proposal: str, *names: str) -> None:
        """Bob and Carol, or only one of them, approve by the command line."""
        for name in names or ("bob", "carol"):
            password = ("--password-file", str(self.folder / f"{name}.password"))
            key = ("--key", str(self.key(name)), *password)
            self.run("model", "approve", proposal, *key, "--yes")

    def waiting(self) -> list[dict[str, Any]]:
        """What waits for approval."""
        found: list[dict[str, Any]] = json.loads(self.run("approvals", "--json"))["waiting"]
        return found

    def verify(self) -> tuple[int, dict[str, Any]]:
        """What `mlops-chain verify` finds: its exit code and report."""
        code, said = self.invoke("verify", "--json")
        return code, json.loads(said)

    def run(self, *words: str) -> str:
        """Run `mlops-chain …`, which has to succeed: what it says."""
        code, said = self.invoke(*words)
        assert code == 0, f"{words}\n{said}"
        return said

    def invoke(self, *words: str) -> tuple[int, str]:
        """Run `mlops-chain …` in this process: exit code and output."""
        from click.testing import CliRunner

        from chain_client.cli import cli

        logger = logging.getLogger("chain_client")
        level = logger.level
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # as the environment says for processes
                done = CliRunner().invoke(cli, words, env=self.variables)
        finally:
            logger.setLevel(level)
        return done.exit_code, done.stdout or f"{done.stderr}\n{done.exception!r}"


@contextlib.contextmanager
def founded_team(folder: Path) -> Iterator[Team]:
    """A company whose chain runs, until the block ends."""
    folder.mkdir(exist_ok=True)
    team = Team(folder)
    try:
        team.found()
        yield team
    finally:
        team.stop_node()
