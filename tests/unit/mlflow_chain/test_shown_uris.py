"""What errors say of a store's address: never its password."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy

from chain_client.errors import HomeMismatch
from chain_client.hosts import StoreBinding
from mlflow_chain.adopting.copies import refuse_copy
from mlflow_chain.building import build_tracking_store
from mlflow_chain.stores.marker import DEPLOYMENT, METADATA


@pytest.mark.filterwarnings("ignore")  # MLflow's own imports warn about its own dependencies
@pytest.mark.parametrize(
    "uri",
    [
        "chain+postgresql:/me:hunter2@db/x",
        "chain:postgresql:me:hunter2@db",
        "chain+postgres:me:hunter2@h/db",
        "chain+foo://me@h/db?password=hunter2",
    ],
)
def test_a_uri_that_is_refused_is_shown_without_its_password(uri: str) -> None:
    with pytest.raises(Exception, match="is not recorded") as caught:
        build_tracking_store(uri, None)
    assert "hunter2" not in str(caught.value)
    assert "***@" in str(caught.value)


def test_the_original_of_a_copy_is_named_without_its_query(tmp_path: Path) -> None:
    engines = [sqlalchemy.create_engine(f"sqlite:///{tmp_path}/{name}.db") for name in "ab"]
    row = {"id": 1, "deployment_id": "d", "store_id": "s", "adopted_us": 1}
    for engine in engines:
        METADATA.create_all(engine)
        with engine.begin() as connection:
            connection.execute(DEPLOYMENT.insert(), row)
    binding = StoreBinding("s", "mlflow", f"{engines[0].url}?timeout=12345")
    with pytest.raises(HomeMismatch, match="this one is a copy") as caught:
        refuse_copy(engines[1], binding, tmp_path)
    assert f"{engines[0].url}?***" in str(caught.value)
    assert "12345" not in str(caught.value)
    for engine in engines:
        engine.dispose()
