"""Further machines of one deployment: what they are given, and what they can't do without."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chain_client import ChainClient, Settings
from chain_client.deploying.joining import Invitation, invite, join, missing_here
from chain_client.deploying.network import deploy_to_network
from chain_client.errors import (
    ConfigurationError,
    ContractMissing,
    HomeMismatch,
    WrongChain,
)
from chain_client.events import Subject
from chain_client.home import Home
from chain_client.ledger.deployment import Deployment
from chain_client.log import Log
from tests.integration.network.conftest import API_KEY, Place, Run
from tests.postgres import ESCAPED, PASSWORD, Postgres
from tests.running_nodes import running_anvil


@pytest.fixture
def log_url(postgres: Postgres) -> str:
    return postgres.uri(postgres.create(), "psycopg")


@pytest.fixture
def first(place: Place, log_url: str) -> Settings:
    """The first machine: deployed, its log on Postgres."""
    place.give_keys()
    settings = place.settings(log_url=log_url)
    deploy_to_network(settings)
    return settings


@pytest.fixture
def second(place: Place, log_url: str) -> Settings:
    """Another machine, on which nothing is yet."""
    return place.settings("second", log_url=log_url, relay_anchor="never")


def written(first: Settings, folder: Path) -> Path:
    file = folder / "deployment.json"
    file.write_text(invite(first).to_json())
    return file


def test_the_file_holds_no_secret(first: Settings, place: Place) -> None:
    text = invite(first).to_json()
    for secret in (API_KEY, PASSWORD, ESCAPED, "postgresql"):
        assert secret not in text
    home = Home(first.home)
    for file in (home.registry_salt, home.gate_seal, home.keys / "password"):
        assert file.read_text().strip() not in text
    assert set(json.loads(text)["keys"]) == {"owner", "log-writer", "registrar", "submitter"}


def test_a_joined_home_verifies_without_a_key_and_says_what_it_lacks(
    first: Settings, second: Settings, place: Place
) -> None:
    file = written(first, place.folder)
    made = join(second, Invitation.read(file))
    assert made == Deployment.read(first.home / "deployment.json")
    assert [p.name for p in (second.home / "keys").iterdir()] == ["gate-seal"]
    lacking = missing_here(second)
    assert set(lacking) == {
        *("keys/owner.json", "keys/log-writer.json", "keys/registrar.json"),
        *("keys/submitter.json", "keys/registry-salt"),
    }
    client = ChainClient.open(second)
    client.recorder.close()
    client.close()
    before = {p: p.read_bytes() for p in second.home.glob("*.json")}
    assert join(second, Invitation.read(file)) == made
    assert {p: p.read_bytes() for p in second.home.glob("*.json")} == before


def test_the_salt_is_handed_over_apart_and_checked(
    first: Settings, second: Settings, place: Place
) -> None:
    file, salt = written(first, place.folder), Home(first.home).registry_salt
    wrong = place.folder / "wrong"
    wrong.write_text("ab" * 32 + "\n")
    with pytest.raises(ConfigurationError, match="salt"):
        join(second, Invitation.read(file), wrong)
    assert not second.home.exists()
    join(second, Invitation.read(file))
    join(second, Invitation.read(file), salt)
    found = Home(second.home).registry_salt
    assert found.read_bytes() == salt.read_bytes()
    assert found.stat().st_mode & 0o77 == 0
    assert "keys/registry-salt" not in missing_here(second)


def test_settings_that_all_machines_share_come_with_the_file(
    place: Place, first: Settings, second: Settings
) -> None:
    file = written(first, place.folder)
    join(second, Invitation.read(file))
    assert Settings.from_environment({}, place.folder, home=second.home).ledger_finality == "0"
    assert API_KEY not in (second.home / "config.toml").read_text()


def test_only_what_leads_to_the_deployment_is_joined(
    first: Settings, second: Settings, place: Place, postgres: Postgres
) -> None:
    invitation = invite(first)
    foreign = place.settings("second", log_url=postgres.uri(postgres.create(), "psycopg"))
    log = Log(foreign.log_url)
    log.create()
    log.close()
    with pytest.raises(ConfigurationError, match="not this deployment's"):
        join(foreign, invitation)
    with pytest.raises(ConfigurationError, match="MLOPS_CHAIN_LOG_URL"):
        join(place.settings("second"), invitation)
    with pytest.raises(ConfigurationError, match="MLOPS_CHAIN_LEDGER_URL"):
        join(place.settings("second", ledger_url="embedded:chain.db"), invitation)
    with running_anvil(chain_id=2) as other, pytest.raises(WrongChain, match="chain 2"):
        join(place.settings("second", ledger_url=other.url, log_url=first.log_url), invitation)
    with running_anvil() as empty, pytest.raises(ContractMissing):
        join(place.settings("second", ledger_url=empty.url, log_url=first.log_url), invitation)
    assert not second.home.exists()


def test_a_home_is_of_one_deployment(first: Settings, place: Place, founded_home: Path) -> None:
    invitation = invite(first)
    taken = place.settings("taken", log_url=first.log_url)
    join(taken, invitation)
    file = taken.home / "deployment.json"
    other = json.loads(file.read_text())
    file.write_text(json.dumps(other | {"deployment_id": "0" * 32}))
    with pytest.raises(HomeMismatch, match="0" * 32):
        join(taken, invitation)
    embedded = Settings.from_environment({}, place.folder, home=founded_home)
    with pytest.raises(ConfigurationError, match="embedded"):
        invite(embedded)


def test_by_the_command_line(
    first: Settings,
    second: Settings,
    place: Place,
    mlops_chain: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in place.environment(log_url=first.log_url, relay_anchor="never").items():
        monkeypatch.setenv(name, value)
    file = place.folder / "deployment.json"
    code, out, _ = mlops_chain("--home", first.home, "join", "--make", file, "--json")
    assert (code, json.loads(out)["file"]) == (0, str(file))
    code, _, err = mlops_chain("--home", first.home, "join", "--make", file)
    assert code == 2
    assert "not replaced" in err
    code, out, _ = mlops_chain("--home", second.home, "join", file)
    assert code == 0
    assert "relay.anchor = never" in out
    code, out, _ = mlops_chain("--home", second.home, "doctor", "--json")
    checks = {check["name"]: check for check in json.loads(out)["checks"]}
    assert code == 0, [check for check in checks.values() if not check["ok"]]
    assert "without keys/registry-salt" in checks["keys"]["detail"]
    assert "no key of this home pays" in checks["balances"]["detail"]
    assert "postgresql" in checks["log"]["detail"]
    code, out, _ = mlops_chain("--home", second.home, "verify")
    assert code == 0, out
    damaged = place.folder / "damaged.json"
    damaged.write_text(file.read_text().replace("mlops-chain deployment", "something"))
    code, _, err = mlops_chain("--home", place.at("third"), "join", damaged)
    assert code == 2
    assert "join --make" in err


def test_what_a_joined_machine_records_is_anchored_by_the_first(
    first: Settings,
    second: Settings,
    place: Place,
    mlops_chain: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.nice", lambda increment: 0)
    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    join(second, invite(first))
    client = ChainClient.open(second)
    for number in range(3):
        client.recorder.note("note", Subject("store", "item", str(number)), {"value": number})
    client.recorder.close()
    size = client.log.size()
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_IDLE_S", "0.1")
    for settings, anchor, until in (
        (second, "never", "--until-idle"),
        (first, "auto", "--once"),
    ):
        for name, value in place.environment(log_url=first.log_url, relay_anchor=anchor).items():
            monkeypatch.setenv(name, value)
        code, out, err = mlops_chain("--home", settings.home, "relay", until)
        assert code == 0, out + err
        assert client.log.size() >= size + 3
        # It lacks the salt, and so it does not sync: that is nobody's alarm.
        assert client.log.alarms() == []
    head = client.contract.head(client.deployment.log_id)
    assert head.size == client.log.size()
    client.close()
    for settings in (first, second):
        _, out, _ = mlops_chain("--home", settings.home, "verify", "--json")
        found = json.loads(out)
        assert found["findings"] == []
        checks = {check["name"]: check for check in found["checks"]}
        assert checks["anchored"]["ok"]
        assert checks["anchored"]["detail"].startswith(f"{head.size} of {head.size} entries")
