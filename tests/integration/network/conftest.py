"""Homes on a real node that mines at once; a block is final as soon as it is there."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from chain_client import Settings
from chain_client.deploying.network import deploy_to_network
from chain_client.home import OWNER_KEY, WRITER_KEY
from chain_client.ledger.deployment import Deployment
from chain_client.signing import create_keystore, open_signer
from chain_client.types import Address
from tests.closing import everything_closed
from tests.running_nodes import RunningNode, running_anvil

KEYS = (OWNER_KEY, WRITER_KEY, "keystore:keys/registrar.json", "keystore:keys/submitter.json")
API_KEY = "5ecret-4pi-key"
"""Stands in the endpoint's URL, as keepers of endpoints want it; it must show nowhere."""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    with everything_closed():
        yield


@dataclass
class Place:
    """A node, and where homes on it are made.

    Args:
        anvil: the node.
        folder: of the homes.
        keys: keys that have funds; None for homes that have no key yet.
        snapshot: the node's state to which each home goes back.
    """

    anvil: RunningNode
    folder: Path
    keys: Path
    snapshot: str = ""

    @property
    def url(self) -> str:
        return f"{self.anvil.url}/?key={API_KEY}"

    def settings(self, home: str = "home", **more: str) -> Settings:
        """Of a home on the node."""
        return Settings.from_environment(self.environment(**more), self.folder, home=self.at(home))

    def environment(self, **more: str) -> dict[str, str]:
        values = {"ledger_url": self.url, "ledger_finality": "0", "relay_autostart": "false"}
        return {f"MLOPS_CHAIN_{key.upper()}": value for key, value in {**values, **more}.items()}

    def at(self, home: str = "home") -> Path:
        return self.folder / home

    def give_keys(self, home: str = "home") -> None:
        """Let a home have the keys with the funds."""
        self.at(home).mkdir(mode=0o700, exist_ok=True)
        shutil.copytree(self.keys, self.at(home) / "keys")

    def address(self, uri: str, home: str = "home") -> Address:
        return open_signer(uri, base=self.at(home)).address()


@pytest.fixture(scope="session")
def _node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("node")
    addresses = [create_keystore(folder / uri.removeprefix("keystore:")) for uri in KEYS]
    with running_anvil(funded=addresses) as anvil:
        anvil.mine(3)
        place = Place(anvil, folder, folder / "keys")
        place.snapshot = anvil.rpc("evm_snapshot")
        yield place


@pytest.fixture
def place(_node: Place, tmp_path: Path) -> Place:
    """The node as it was at first, with room for homes."""
    assert _node.anvil.rpc("evm_revert", _node.snapshot) is True
    _node.snapshot = _node.anvil.rpc("evm_snapshot")
    return Place(_node.anvil, tmp_path, _node.keys)


@pytest.fixture(scope="session")
def _deployed(_node: Place) -> tuple[Path, str]:
    """A home that is deployed, and the node's state then."""
    assert _node.anvil.rpc("evm_revert", _node.snapshot) is True
    _node.snapshot = _node.anvil.rpc("evm_snapshot")
    made = Place(_node.anvil, _node.folder / "deployed", _node.keys)
    made.folder.mkdir()
    made.give_keys()
    deploy_to_network(made.settings(), timelock_delay_s=3600)
    state: str = _node.anvil.rpc("anvil_dumpState")
    return made.at(), state


@pytest.fixture
def deployed(_deployed: tuple[Path, str], place: Place) -> Place:
    """A copy of a home that is deployed with a timelock of an hour, on the chain as it was then."""
    home, state = _deployed
    place.anvil.rpc("anvil_loadState", state)
    shutil.copytree(home, place.at())
    return place


@pytest.fixture
def deployment(deployed: Place) -> Deployment:
    return Deployment.read(deployed.at() / "deployment.json")


@pytest.fixture
def run(deployed: Place, mlops_chain: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command line for the deployed home."""
    for name, value in deployed.environment().items():
        monkeypatch.setenv(name, value)
    return lambda *words: mlops_chain("--home", deployed.at(), *words)
