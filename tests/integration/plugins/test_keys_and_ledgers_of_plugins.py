"""A home whose log is written with a plugin's key, on a plugin's ledger, works as any other."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from chain_client import ChainClient, Settings
from chain_client.errors import ConfigurationError
from chain_client.events import Subject
from chain_client.home import WRITER_KEY
from chain_client.plugin_host import PluginHost
from chain_client.signing import open_signer
from chain_client.types import to_hex
from tests.plugin_distributions import write_distribution

Command = Callable[..., tuple[int, str, str]]

ACME = """
    from chain_client.hookspecs import hookimpl

    @hookimpl
    def signers():
        return {"acme": open_signer}

    @hookimpl
    def ledgers():
        return {"acme": open_ledger}

    def open_signer(uri, base, password):
        from chain_client.signing import KeystoreSigner
        return KeystoreSigner(uri, base / uri.removeprefix("acme:"), password=password)

    def open_ledger(settings, expected, timeout_s):
        from chain_client.ledger import EmbeddedLedger
        file = settings.home / settings.ledger_url.removeprefix("acme:")
        return EmbeddedLedger(file, timeout_s=timeout_s)
"""


@pytest.fixture
def acme(
    third_party_plugins: PluginHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> PluginHost:
    site = tmp_path / "site"
    write_distribution(
        site, "acme", modules={"plugged_acme": ACME}, plugins={"acme": "plugged_acme"}
    )
    monkeypatch.syspath_prepend(site)
    return third_party_plugins


def test_a_plugins_key_anchors_on_a_plugins_ledger(
    acme: PluginHost,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mlops_chain: Command,
) -> None:
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")
    monkeypatch.setenv("MLOPS_CHAIN_LEDGER_URL", "acme:chain/embedded.db")
    monkeypatch.setenv("MLOPS_CHAIN_LOG_WRITER", "acme:elsewhere/log-writer.json")
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    (home / "keys/log-writer.json").replace(elsewhere / "log-writer.json")
    shutil.copy(home / "keys/password", elsewhere)

    client = ChainClient.open(Settings.from_environment(os.environ, tmp_path, home=home))
    for number in range(3):
        client.recorder.note("item.seen", Subject("", "item", "one"), {"number": number})
    client.recorder.close()
    client.close()
    assert mlops_chain("--home", home, "relay", "--once")[0] == 0
    code, out, _ = mlops_chain("--home", home, "verify", "--json")
    assert (code, json.loads(out)["ok"]) == (0, True), out
    code, out, _ = mlops_chain("--home", home, "status", "--json")
    assert json.loads(out)["counts"]["finalized"] >= 3
    writer = open_signer("acme:elsewhere/log-writer.json", base=home).address()
    code, out, _ = mlops_chain(
        "--home", home, "key", "address", "acme:elsewhere/log-writer.json", "--json"
    )
    assert json.loads(out) == {
        "ok": True,
        "file": None,
        "address": to_hex(writer),
        "checked": True,
    }
    checks = json.loads(mlops_chain("--home", home, "doctor", "--json")[1])["checks"]
    assert {c["name"]: c["ok"] for c in checks}["keys"] is True

    # Without the plugin its ledger is unknown, and nothing takes its place.
    acme.unregister("acme")
    with pytest.raises(ConfigurationError, match="no ledger is known for 'acme:'"):
        ChainClient.open(Settings.from_environment(os.environ, tmp_path, home=home))


def test_a_network_is_not_deployed_to_by_the_way(tmp_path: Path, acme: PluginHost) -> None:
    fresh = Settings(tmp_path / "fresh", ledger_url="acme:chain.db")
    with pytest.raises(ConfigurationError, match="where deploying costs money"):
        ChainClient.open(fresh, create=True)
    unknown = Settings(tmp_path / "fresh", ledger_url="embeded:chain.db")
    with pytest.raises(ConfigurationError, match="no ledger is known for 'embeded:'"):
        ChainClient.open(unknown, create=True)
    assert not (tmp_path / "fresh").exists()


def test_the_writer_is_a_key_of_the_home_unless_a_setting_names_another(tmp_path: Path) -> None:
    assert Settings(tmp_path).log_writer == WRITER_KEY
    with pytest.raises(ConfigurationError, match=r"MLOPS_CHAIN_LOG_WRITER: .*a key") as caught:
        Settings.from_environment({"MLOPS_CHAIN_LOG_WRITER": "ab" * 32}, tmp_path)
    assert "abab" not in str(caught.value)
