"""The how-tos of the gate work as they are written: their shell blocks are run."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest

from chain_client.client import ChainClient
from chain_client.config import Settings
from chain_client.ledger.base import Call
from chain_client.types import to_hex
from tests.embedded_chains import KeyInMemory, transact
from tests.integration.governance.conftest import Site
from tests.shell_pages import run_shell_blocks

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow's own imports warn about its own dependencies
    import mlflow  # noqa: F401
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore


def give_keys_to_people(site: Site) -> None:
    """Put the keys where the pages say that they are."""
    for name, key in site.keys.items():
        folder = site.folder / "people" / name
        folder.mkdir(parents=True)
        shutil.copy(key, folder / "key.json")
        shutil.copy(key.with_name("password"), folder)


@pytest.fixture
def recorded(
    founded_home: Path, made_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder with a home without any policy, and a database with a model that records."""
    import mlflow_chain

    home, database = tmp_path / "home", tmp_path / "mlflow.db"
    shutil.copytree(founded_home, home)
    shutil.copy(made_database, database)
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")
    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(home))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"chain+sqlite:///{database}")
    client = ChainClient.open(Settings(home=home, relay_autostart=False))
    plain: Any = RegistryStore
    store: Any = mlflow_chain.wrap(plain(f"sqlite:///{database}"), client)
    store.create_registered_model("fraud")
    files = tmp_path / "files"
    files.mkdir()
    (files / "model.txt").write_text("weights")
    store.create_model_version("fraud", files.as_uri())
    store.engine.dispose()
    client.recorder.close()
    client.close()
    return tmp_path


def test_a_recorded_home_becomes_a_gated_one(recorded: Path, forking_programs: Path) -> None:
    keys, rights, plan, apply, warned, explained, enforce, promoted, refused = run_shell_blocks(
        "how-to/set-up-the-gate.md", recorded, forking_programs
    )
    assert keys.count("address    0x") == 4
    assert "has the role breaker" in rights
    assert "exit code 1: chain and file differ" in plan
    assert "the gate of this home: warn" in apply
    assert "fraud 1 → alias:champion" in warned
    assert "gate_not_enforced" in explained
    assert "Explained, and no finding any more" in explained
    assert "the gate of this home: enforce" in enforce
    assert "2 of 2 approvals" in promoted
    assert "version promoted: version 1" in promoted
    assert "FAIL" not in promoted
    assert "is refused" in refused


@pytest.fixture
def gated(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A governed site as the pages describe it."""
    give_keys_to_people(site)
    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(site.home))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"chain+sqlite:///{site.folder}/mlflow.db")
    return site


def test_approvers_without_our_software_and_without_a_home_approve(
    gated: Site, forking_programs: Path
) -> None:
    gated.propose(1)
    inbox, asked, signing, wallet, offline, submitted, told = run_shell_blocks(
        "how-to/approve-a-promotion.md", gated.folder, forking_programs
    )
    assert "0 of 2 approvals; bob, carol may still approve" in inbox
    assert "not signed" in asked
    assert signing.strip() == ""
    assert "1 of 2 approvals; carol may still approve" in wallet
    assert "signed by 0x" in offline
    assert "2 of 2 approvals" in submitted
    assert told.count("meaning   approval") == 2
    assert gated.champion() == "1"


def test_keys_are_replaced_and_a_lost_chain_is_got_over(
    gated: Site, forking_programs: Path
) -> None:
    first = gated.propose(1)
    gated.approve(first, "bob", "carol")
    gated.json("model", "promote", first)
    gated.json("sync")
    gated.propose(2)
    paused, replaced, refused, registrar, away, offline, back = run_shell_blocks(
        "how-to/runbook-keys.md", gated.folder, forking_programs
    )
    assert "it is paused: nothing is promoted until an admin ends that" in paused
    assert "1 of 2 approvals; carol may still approve" in replaced
    assert "0 of 2 approvals; carol, dora may still approve" in replaced
    assert refused.count("exit code 2") == 2
    assert "promoted  proposal" in refused
    assert "alias:champion of fraud: version 2 (before: 1)" in refused
    assert "has no longer the role" in registrar
    assert away == "\n"
    assert "accepted alias:champion of fraud has version 1" in offline
    assert back.count("rollback approved for alias:champion") == 2
    assert "version rolled back to: version 1" in " ".join(back.split())
    assert "2 approvers signed offline" in " ".join(back.split())
    assert gated.champion() == "1"
    place = json.loads(gated.chain("model", "list", "--json"))["models"][0]
    assert (place["version"], place["cause"]) == (1, "rolled_back")


def test_a_wallet_that_is_a_contract_approves(
    gated: Site, forking_programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Answers every question with ERC-1271's magic value: PUSH4 … PUSH1 e0 SHL, MSTORE, RETURN.
    answer = bytes.fromhex("631626ba7e60e01b60005260206000f3")
    deploy = bytes.fromhex("6f") + answer + bytes.fromhex("60005260106010f3")
    client = ChainClient.open(Settings(home=gated.home, relay_autostart=False))
    wallet = transact(client.ledger, KeyInMemory(31), Call(None, deploy)).contract_address
    client.close()
    assert wallet is not None
    monkeypatch.setenv("SAFE", to_hex(wallet))
    monkeypatch.setenv("SAFE_SIGNATURE", "0x" + b"signed by three owners".hex())
    gated.propose(1)
    applied, signed, data = run_shell_blocks(
        "how-to/approve-with-a-safe.md", gated.folder, forking_programs
    )
    assert "to risk" in applied
    assert f"approved by safe ({to_hex(wallet)})" in " ".join(signed.split())
    fields = json.loads((gated.folder / "asked.json").read_text())["proposal"]["fields"]
    assert fields["digest"].removeprefix("0x") in data
