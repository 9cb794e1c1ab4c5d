"""Ledgers by URL."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from chain_client.config import Settings
from chain_client.errors import ConfigurationError
from chain_client.ledger import EmbeddedLedger, JsonRpcLedger, open_ledger
from tests.embedded_chains import CHAIN_ID, make_chain


def test_an_embedded_ledger_is_opened_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "a chain: with a colon, and a comma.db"
    make_chain(path).close()
    ledger = open_ledger(Settings(home=tmp_path, ledger_url=f"embedded:{path.name}"))
    assert isinstance(ledger, EmbeddedLedger)
    assert ledger.url == f"embedded:{path}"
    assert ledger.chain_id() == CHAIN_ID
    ledger.close()


def test_opening_reads_nothing(tmp_path: Path) -> None:
    open_ledger(Settings(home=tmp_path, ledger_url="embedded:missing.db"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["", "chain.db", "ftp://node.example", "Embedded:x", ":x"])
def test_an_unknown_scheme_names_the_known_ones(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigurationError, match="known schemes: embedded:, http:, https:"):
        open_ledger(Settings(home=tmp_path, ledger_url=url))


def test_endpoints_are_opened_without_asking_them_and_shown_without_their_secrets(
    tmp_path: Path,
) -> None:
    ledger = open_ledger(
        Settings(
            home=tmp_path,
            ledger_url="https://me:hunter2@one.example:8545/v2/apikey?token=t, http://two.example",
            ledger_headers="Authorization: Bearer topsecret",
        )
    )
    assert isinstance(ledger, JsonRpcLedger)
    assert ledger.url == "https://one.example:8545,http://two.example"
    shown = repr(ledger) + repr(ledger.endpoints.all)
    for secret in ("hunter2", "apikey", "token", "topsecret"):
        assert secret not in shown


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"ledger_url": "https://"}, "ledger.url: endpoint 1 is no address"),
        ({"ledger_url": "https://a.example,"}, "ledger.url: endpoint 2 is no address"),
        ({"ledger_url": "https://a.example:99999"}, "ledger.url: endpoint 1 is no address"),
        ({"ledger_url": "https://a.example,ftp://x"}, "ledger.url: endpoint 2 is no address"),
        ({"ledger_url": "https://a,https://b,https://a"}, "https://a stands there twice"),
        ({"ledger_headers": "A: b\nsecret"}, "ledger.headers: line 2 is no `Name: value`"),
        ({"ledger_headers": "A: b\x00"}, "ledger.headers: line 1 is no"),
        ({"ledger_finality": "soon"}, "ledger.finality: expected auto or a number"),
        ({"ledger_second_look": "endpoint"}, "ledger.url names only one"),
        ({"ledger_second_look": "maybe"}, "ledger.second_look: expected auto, endpoint"),
    ],
)
def test_settings_that_are_not_understood_are_named(
    tmp_path: Path, changed: dict[str, str], text: str
) -> None:
    settings = Settings(home=tmp_path, ledger_url="https://node.example")
    with pytest.raises(ConfigurationError, match=text) as caught:
        open_ledger(replace(settings, **changed))  # type: ignore[arg-type]
    assert "secret" not in str(caught.value)


def test_an_embedded_ledger_without_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="expected embedded:<file>"):
        open_ledger(Settings(home=tmp_path, ledger_url="embedded:"))
