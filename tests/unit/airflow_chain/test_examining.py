"""The button that tests a connection says in which databases models are looked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_chain.connection import ChainConnection
from airflow_chain.examining import examine
from chain_client import ChainClient
from chain_client.errors import ChainError, UnknownName
from chain_client.governing.models import find_model
from chain_client.hosts import StoreBinding

# MLflow's own imports warn about its own dependencies.
pytestmark = pytest.mark.filterwarnings("ignore")

AIRFLOW = StoreBinding("airflow", "airflow", "airflow:///srv/airflow")


@pytest.fixture
def client(home: Path) -> Iterator[ChainClient]:
    """A home into which an Airflow records."""
    opened = ChainClient.open(ChainConnection("prod", home).to_settings())
    opened.folder.put_store(AIRFLOW)
    yield opened
    opened.recorder.close()
    opened.close()


@pytest.fixture
def database(client: ChainClient, tmp_path: Path) -> Path:
    """A file that stands for an MLflow database, which records into the home, too."""
    file = tmp_path / "mlflow.db"
    file.touch()
    client.folder.put_store(StoreBinding("5" * 32, "mlflow", f"sqlite:///{file}"))
    return file


def at(client: ChainClient, uri: str | None = None) -> ChainConnection:
    return ChainConnection("prod", client.home, tracking_uri=uri)


def test_where_no_database_of_models_records_it_is_said_how_one_does(client: ChainClient) -> None:
    said = examine(client, at(client))
    assert "no database with models records into" in said
    assert "MLFLOW_TRACKING_URI=chain+" in said
    with pytest.raises(UnknownName, match="MLFLOW_TRACKING_URI=chain") as raised:
        find_model(client, "fraud", None)
    assert AIRFLOW.uri not in said + str(raised.value)


def test_the_databases_of_models_are_named_and_airflow_is_none(
    client: ChainClient, database: Path
) -> None:
    for uri in (None, f"sqlite:///{database}", f"chain+sqlite:///{database}"):
        said = examine(client, at(client, uri))
        assert f"models are looked for in sqlite:///{database}" in said
        assert AIRFLOW.uri not in said


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("sqlite:////nowhere/mlflow.db", "does not exist"),
        ("http://me:hunter2@mlflow.example:5000", "mlflow.example:5000 does not record into"),
        ("mlflow.db", "a tracking URI is expected"),
        (AIRFLOW.uri, "has no models"),
    ],
)
def test_a_tracking_uri_that_leads_to_no_recorded_models_is_named_by_its_field(
    client: ChainClient, database: Path, uri: str, words: str
) -> None:
    with pytest.raises(ChainError, match=f"'prod', field 'Tracking URI': .*{words}") as raised:
        examine(client, at(client, uri))
    assert "hunter2" not in str(raised.value)
    if "does" in words:
        assert str(database) in str(raised.value)
        assert f"there: {AIRFLOW.uri}" not in str(raised.value)


def test_a_database_that_is_gone_is_told(client: ChainClient, database: Path) -> None:
    database.unlink()
    with pytest.raises(ChainError, match=r"mlflow\.db, in which models are looked for, is not"):
        examine(client, at(client))
