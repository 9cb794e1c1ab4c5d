"""A home on a node that makes ten blocks a second, founded once for all RPC faults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_client.relay import assembly, other_senders
from chain_client.transactions import TransactionQueue
from tests.faults.chain_home import FoundedHome, World, founded_home


@pytest.fixture(scope="module")
def _founded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FoundedHome]:
    # A block is final when two are on top of it.
    folder = tmp_path_factory.mktemp("founded")
    with founded_home(folder, "--slots-in-an-epoch", "1") as found:
        yield found


@pytest.fixture
def world(_founded: FoundedHome, tmp_path: Path) -> World:
    """A fresh copy of home and chain."""
    return _founded.copy(tmp_path)


@pytest.fixture(autouse=True)
def _fast_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for blocks waits a tenth as long: blocks come as fast here."""
    monkeypatch.setattr(assembly, "_REMOTE_LOOK_S", 0.1)
    monkeypatch.setattr(other_senders, "_EVERY_S", 0.3)
    assert TransactionQueue.__init__.__kwdefaults__ is not None
    monkeypatch.setitem(TransactionQueue.__init__.__kwdefaults__, "resend_s", 1.0)
