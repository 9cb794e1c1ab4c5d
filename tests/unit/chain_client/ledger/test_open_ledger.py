"""Ledgers by URL."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain_client.config import Settings
from chain_client.errors import ConfigurationError
from chain_client.ledger import EmbeddedLedger, open_ledger
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
    with pytest.raises(ConfigurationError, match="known schemes: embedded:"):
        open_ledger(Settings(home=tmp_path, ledger_url=url))


def test_an_embedded_ledger_without_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="expected embedded:<file>"):
        open_ledger(Settings(home=tmp_path, ledger_url="embedded:"))
