"""`mlops-chain init` and `doctor` on the model registry."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chain_client import ChainClient, Settings
from chain_client.doctor import examine
from chain_client.hosts import StoreBinding
from chain_client.ledger import Call
from chain_client.ledger.model_registry import REGISTRAR_ROLE
from chain_client.provision import provision
from chain_client.registry.identity import Salt
from chain_client.signing import create_keystore, open_signer
from chain_client.types import Address, from_hex, to_hex
from tests.earlier_homes import make_home_without_registry, settings_of
from tests.embedded_chains import transact

Run = Callable[..., tuple[int, str, str]]
GROUP = b"\1" * 32


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_of(tmp_path / "home")


@pytest.fixture
def client(settings: Settings) -> Iterator[ChainClient]:
    client = ChainClient(settings, provision(settings))
    yield client
    client.close()


def told(client: ChainClient, name: str) -> tuple[bool, str]:
    [check] = [check for check in examine(client) if check.name == name]
    return check.ok, check.detail


def send(client: ChainClient, call: Call) -> None:
    owner = open_signer("keystore:keys/owner.json", base=client.home)
    assert transact(client.ledger, owner, call).succeeded


class TestInit:
    def test_the_registry_is_named(self, mlops_chain: Run, settings: Settings) -> None:
        code, out, _ = mlops_chain("--home", settings.home, "init")
        document = json.loads(mlops_chain("--home", settings.home, "init", "--json")[1])
        assert code == 0
        assert f"registry    {document['registry']}" in out
        assert document["timelock"] is None
        assert "timelock" not in out

    def test_a_home_of_an_earlier_version_gets_a_registry(
        self, mlops_chain: Run, settings: Settings
    ) -> None:
        before = make_home_without_registry(settings)
        document = json.loads(mlops_chain("--home", settings.home, "init", "--json")[1])
        assert document["created"] is False
        assert document["event_log"] == to_hex(before.event_log)
        assert len(from_hex(document["registry"])) == 20
        assert json.loads(mlops_chain("--home", settings.home, "init", "--json")[1]) == document

    def test_a_timelock_is_asked_for_in_words(self, mlops_chain: Run, settings: Settings) -> None:
        where = ("--home", settings.home, "init", "--timelock-delay")
        code, out, err = mlops_chain(*where, "2d")
        assert (code, err) == (0, "")
        assert "timelock    0x" in out
        document = json.loads(mlops_chain("--home", settings.home, "init", "--json")[1])
        assert document["timelock"] in out
        assert mlops_chain(*where, "48h")[0] == 0
        code, _, err = mlops_chain(*where, "1h")
        assert code == 2
        assert "172800 s administers the registry already" in err

    @pytest.mark.parametrize("value", ["soon", "-1d", "", "0s"])
    def test_nonsense_makes_nothing(self, mlops_chain: Run, settings: Settings, value: str) -> None:
        code, out, err = mlops_chain("--home", settings.home, "init", "--timelock-delay", value)
        assert (code, out) == (2, "")
        assert "expected a duration such as" in err
        assert not settings.home.exists()


class TestDoctor:
    def test_a_new_home_is_whole(self, client: ChainClient) -> None:
        assert [check.name for check in examine(client) if not check.ok] == []
        assert told(client, "registry")[1].endswith("the registrar's right are whole")

    def test_a_home_without_a_registry_is_no_failure(self, settings: Settings) -> None:
        client = ChainClient(settings, make_home_without_registry(settings))
        assert told(client, "registry") == (
            True,
            "this home has none yet; mlops-chain init makes it",
        )
        assert told(client, "keys")[0]
        client.close()

    @pytest.mark.parametrize("name", ["registrar.json", "submitter.json"])
    def test_a_missing_key_is_named(self, client: ChainClient, name: str) -> None:
        (client.folder.keys / name).unlink()
        assert told(client, "keys") == (False, f"{name} is missing: put it back from your backup")

    def test_an_owner_s_key_that_is_kept_elsewhere_is_no_failure(self, client: ChainClient) -> None:
        (client.folder.keys / "owner.json").unlink()
        ok, detail = told(client, "keys")
        assert (ok, "the owner's key is kept elsewhere" in detail) == (True, True)

    def test_a_salt_that_others_can_read_is_named(self, client: ChainClient) -> None:
        client.folder.registry_salt.chmod(0o644)
        ok, detail = told(client, "keys")
        assert (ok, "others can read registry-salt" in detail) == (False, True)

    def test_a_missing_or_foreign_salt_is_told(self, client: ChainClient) -> None:
        client.folder.registry_salt.write_text(Salt.create().value.hex())
        assert not told(client, "registry")[0]
        client.folder.registry_salt.unlink()
        ok, detail = told(client, "registry")
        assert (ok, "put it back from your backup" in detail) == (False, True)

    def test_other_code_at_the_registrys_address_is_told(self, client: ChainClient) -> None:
        client.deployment = replace(client.deployment, registry=Address(b"\1" * 20))
        ok, detail = told(client, "chain")
        assert (ok, "no contract at 0x0101" in detail) == (False, True)

    def test_a_registrar_without_its_right_is_told(self, client: ChainClient) -> None:
        registrar = open_signer("keystore:keys/registrar.json", base=client.home).address()
        send(client, client.model_registry.revoke_role_call(REGISTRAR_ROLE, registrar))
        ok, detail = told(client, "registry")
        assert (ok, "may not register versions" in detail) == (False, True)

    def test_a_pause_and_a_successor_are_told(self, client: ChainClient) -> None:
        send(client, client.model_registry.pause_call())
        assert told(client, "registry")[1].startswith("it is paused")
        send(client, client.model_registry.succeed_call(Address(b"\2" * 20), bytes(32)))
        ok, detail = told(client, "registry")
        assert (ok, "succeeded by 0x0202" in detail) == (False, True)

    def test_an_approvers_key_in_a_servers_home_is_warned_of(self, client: ChainClient) -> None:
        approver = create_keystore(client.folder.keys / "bob.json")
        gone = create_keystore(client.folder.keys / "carol.json")
        registry = client.model_registry
        send(client, registry.add_approver_call(GROUP, approver))
        send(client, registry.add_approver_call(GROUP, gone))
        send(client, registry.remove_approver_call(GROUP, gone))
        assert "warning" not in told(client, "registry")[1]
        client.folder.put_store(StoreBinding("ab", "toy", "toy:x"))
        client.folder.put_served("ab", None)
        ok, detail = told(client, "registry")
        assert ok
        assert "warning: bob.json in" in detail
        assert "carol" not in detail

    def test_a_clock_behind_the_chain_is_told(
        self, client: ChainClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        newest_s = client.ledger.block().timestamp_s
        monkeypatch.setattr(
            "chain_client.clock.SystemClock.time_us", lambda self: (newest_s - 301) * 1_000_000
        )
        ok, detail = told(client, "clock")
        assert (ok, "301 s behind the newest block" in detail) == (False, True)
        monkeypatch.setattr(
            "chain_client.clock.SystemClock.time_us", lambda self: (newest_s - 300) * 1_000_000
        )
        assert told(client, "clock")[0]
