"""A home and a recorded MLflow database with a model, and people with keys of their own."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chain_client.client import ChainClient
from chain_client.config import Settings
from chain_client.signing import create_keystore
from chain_client.types import to_hex

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow's own imports warn about its own dependencies
    import mlflow  # noqa: F401
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

Run = Callable[..., tuple[int, str, str]]
POLICY = """
[groups]
risk = {members}
[default."alias:champion"]
group = "risk"
approvals = 2
"""


@dataclass
class Site:
    """What tests work on.

    Args:
        home: the home's folder.
        folder: of everything.
        store: MLflow's registry, recorded and gated as a server opens it.
        keys: keystores by the name of their owner; outside the home, each in its own folder.
        addresses: of the keys.
    """

    home: Path
    folder: Path
    store: Any
    keys: Mapping[str, Path]
    addresses: Mapping[str, str]
    run: Run

    def chain(self, *words: object, code: int = 0) -> str:
        """`mlops-chain …` on the home: its output; its errors, where it has to fail."""
        got, out, err = self.run("--home", self.home, *words)
        assert got == code, (words, out, err)
        assert "Traceback" not in out + err
        return out if code == 0 else " ".join(err.split())

    def json(self, *words: object) -> dict[str, Any]:
        """The same with ``--json``."""
        found: dict[str, Any] = json.loads(self.chain(*words, "--json"))
        assert found["ok"] is True
        return found

    def add_version(self, number: int) -> Path:
        """Register a version with files: their folder."""
        folder = self.folder / "files" / str(number)
        folder.mkdir(parents=True)
        (folder / "model.txt").write_text(f"weights {number}")
        self.store.create_model_version("fraud", folder.as_uri())
        return folder

    def propose(self, version: int, *words: object) -> str:
        """Ada proposes a version for the champion: the proposal's id."""
        found = self.json(
            *("model", "propose", "fraud", version, "--target", "@champion"),
            *("--key", self.keys["ada"], "--yes"),
            *words,
        )
        return str(found["proposal"])

    def approve(self, proposal: str, *names: str) -> dict[str, Any]:
        """By each of them: how it stands then."""
        found: dict[str, Any] = {}
        for name in names:
            found = self.json("model", "approve", proposal, "--key", self.keys[name], "--yes")
        return found

    def champion(self) -> str | None:
        """What MLflow says."""
        found = self.store.get_registered_model("fraud").aliases.get("champion")
        return None if found is None else str(found)


@pytest.fixture(scope="session")
def made_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain MLflow database that is made once; tests work on copies."""
    file = tmp_path_factory.mktemp("made") / "mlflow.db"
    store_class: Any = SqlAlchemyStore
    store_class(f"sqlite:///{file}", str(file.with_name("artifacts")))._dispose_engine()
    return file


@pytest.fixture(scope="session")
def governed_home(
    founded_home: Path, forking_programs: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Path], dict[str, str]]:
    """A home whose people have their rights, made once by the command line: with their keys."""
    import subprocess

    folder = tmp_path_factory.mktemp("governed")
    home = folder / "home"
    shutil.copytree(founded_home, home)
    keys, addresses = {}, {}
    for name in ("ada", "bob", "carol", "dora"):
        keys[name] = folder / name / f"{name}.json"
        addresses[name] = to_hex(create_keystore(keys[name]))
    (folder / "policy.toml").write_text(POLICY.format(members='["bob", "carol"]'))
    for words in (
        *(("user", "bind", name, addresses[name]) for name in keys),
        ("role", "grant", "requester", "ada"),
        ("role", "grant", "breaker", "dora"),
        ("policy", "apply", "policy.toml", "--yes"),
    ):
        subprocess.run(
            [forking_programs / "mlops-chain", "--home", str(home), *words],
            cwd=folder,
            env={**os.environ, "MLOPS_CHAIN_RELAY_AUTOSTART": "false"},
            check=True,
            capture_output=True,
        )
    return home, keys, addresses


@pytest.fixture
def site(
    governed_home: tuple[Path, dict[str, Path], dict[str, str]],
    made_database: Path,
    tmp_path: Path,
    mlops_chain: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Site]:
    """A governed model ``fraud`` with two versions that have files."""
    import mlflow_chain

    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")
    monkeypatch.setenv("MLOPS_CHAIN_SPOOL_DURABILITY", "process")
    made, keys, addresses = governed_home
    home = tmp_path / "home"
    shutil.copytree(made, home)
    database = tmp_path / "mlflow.db"
    shutil.copy(made_database, database)
    client = ChainClient.open(
        Settings(home=home, relay_autostart=False, spool_durability="process")
    )
    plain: Any = RegistryStore
    store: Any = mlflow_chain.wrap(plain(f"sqlite:///{database}"), client)
    found = Site(home, tmp_path, store, keys, addresses, mlops_chain)
    store.create_registered_model("fraud")
    for number in (1, 2):
        found.add_version(number)
    yield found
    store.engine.dispose()
    client.recorder.close()
    client.close()
