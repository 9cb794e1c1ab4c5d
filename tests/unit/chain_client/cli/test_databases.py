"""Which databases a verification compares, by options and MLflow's variable."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_client import ChainClient, Settings
from chain_client.cli.databases import bindings_of, find_databases
from chain_client.hosts import StoreBinding

AIRFLOW = StoreBinding("airflow", "airflow", "airflow:///srv/airflow")
FRAUD = StoreBinding("1" * 32, "mlflow", "sqlite:////srv/fraud.db")
CHURN = StoreBinding("2" * 32, "mlflow", "sqlite:////srv/churn.db")


@pytest.fixture
def client(home: Path) -> Iterator[ChainClient]:
    """A home into which three hosts record."""
    opened = ChainClient.open(Settings(home=home, relay_autostart=False))
    for binding in (AIRFLOW, FRAUD, CHURN):
        opened.folder.put_store(binding)
    yield opened
    opened.close()


def test_without_a_word_everything_is_compared(client: ChainClient) -> None:
    assert find_databases(client, []).bindings is None


def test_mlflows_variable_leaves_no_other_host_out(
    client: ChainClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"chain+{CHURN.uri}")
    assert find_databases(client, []).bindings == [CHURN, AIRFLOW]


def test_an_option_names_all_that_is_compared(
    client: ChainClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"chain+{CHURN.uri}")
    assert find_databases(client, [f"chain+{FRAUD.uri}"]).bindings == [FRAUD]


def test_what_is_explained_is_found_in_every_other_host_too(
    client: ChainClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bindings_of(client, None) is None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"chain+{CHURN.uri}")
    assert bindings_of(client, None) == [CHURN, AIRFLOW]
    assert bindings_of(client, f"chain+{FRAUD.uri}") == [FRAUD]
