"""A server's worker whose database is away: it says that it will record, and clients ask again."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from mlflow_chain import serving
from mlflow_chain.server.announcement import PENDING, Announcement, parse_announcement
from mlflow_chain.serving import read_announcement
from mlflow_chain.stores.reclassing import RECORDING


class FakeStore:
    """A store as `read_announcement` sees it."""

    def __init__(self) -> None:
        client = SimpleNamespace(deployment_id="d1")
        recording = SimpleNamespace(store_id="s1", client=client)
        setattr(self, RECORDING, SimpleNamespace(current=lambda: recording))


def test_a_server_whose_database_is_away_says_that_it_will_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("_MLFLOW_SERVER_FILE_STORE", "chain+sqlite:///a.db")
    monkeypatch.setattr(serving, "_announced", {})
    away: list[Exception] = [ConnectionError("no database")]

    def get_store() -> Any:
        if away:
            raise away[0]
        return FakeStore()

    handlers = SimpleNamespace(_get_tracking_store=get_store, _get_model_registry_store=get_store)
    monkeypatch.setitem(sys.modules, "mlflow.server.handlers", handlers)
    said = read_announcement()
    assert said is not None
    assert parse_announcement(said.to_headers()) == PENDING
    away.clear()
    assert read_announcement() == Announcement("d1", {"tracking": "s1", "registry": "s1"})
