"""The gate of a Postgres: its locks are the server's own, so that they hold between machines."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from mlflow.exceptions import MlflowException

import mlflow_chain
from mlflow_chain.gating.locks import LockTimeout, ModelLocks, close_lock_engines, lock_key
from tests.governed import Registry
from tests.integration.postgres.conftest import RecordedPostgres

KEY = lock_key("s", "default", "fraud")


@pytest.fixture(autouse=True)
def _no_connection_is_left() -> Iterator[None]:
    yield
    close_lock_engines()


@contextmanager
def _locks(recorded: RecordedPostgres, patience_s: float = 20) -> Iterator[ModelLocks]:
    """As another machine has them: it shares the database and no folder."""
    yield ModelLocks(recorded.registry().engine, Path("/nowhere"), patience_s=patience_s)


def test_a_lock_holds_between_connections_and_leaves_others_free(
    recorded: RecordedPostgres,
) -> None:
    other = lock_key("s", "default", "other")
    with _locks(recorded) as locks, _locks(recorded, 0.2) as impatient:
        with locks.held([KEY]):
            with impatient.held([other]):
                pass
            with pytest.raises(LockTimeout), impatient.held([KEY]):
                pass
        with impatient.held([KEY, other]):
            pass


def test_a_lock_dies_with_its_connection(recorded: RecordedPostgres) -> None:
    number = int.from_bytes(bytes.fromhex(KEY[:16]), "big", signed=True)
    engine = sqlalchemy.create_engine(recorded.plain_uri, poolclass=sqlalchemy.NullPool)
    with _locks(recorded, 0.2) as impatient:
        with closing(engine.connect()) as dying:
            dying.exec_driver_sql(f"select pg_advisory_xact_lock({number})")
            with pytest.raises(LockTimeout), impatient.held([KEY]):
                pass
        with impatient.held([KEY]):
            pass


def test_many_that_wait_leave_connections_for_the_one_that_writes(
    recorded: RecordedPostgres,
) -> None:
    order: list[int] = []
    with _locks(recorded) as locks:

        def work(number: int) -> None:
            with locks.held([KEY]):
                order.append(number)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(12)]
        with locks.held([KEY]):
            for thread in threads:
                thread.start()
            assert recorded.registry().search_registered_models() == []
            assert order == []
        for thread in threads:
            thread.join(30)
    assert sorted(order) == list(range(12))


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_a_promotion_on_postgres(
    recorded: RecordedPostgres, tmp_path: Path, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    by = recorded.by(driver)
    store: Any = mlflow_chain.wrap(by.registry(), recorded.client)
    store.create_registered_model("fraud")
    for number in (1, 2):
        files = tmp_path / f"fraud-{number}"
        files.mkdir()
        (files / "MLmodel").write_text(f"flavor {number}")
        store.create_model_version("fraud", str(files))
    people = Registry(recorded.client)
    people.govern()
    for call in _attempts(store):
        with pytest.raises(MlflowException) as caught:
            call()
        code: Any = caught.value.error_code
        assert code == "PERMISSION_DENIED"
    people.promote("fraud", 2)
    store.set_registered_model_alias("fraud", "champion", 2)
    assert store.get_registered_model("fraud").aliases == {"champion": 2}
    with pytest.raises(MlflowException, match="removal is not approved"):
        store.delete_registered_model_alias("fraud", "champion")


def _attempts(store: Any) -> tuple[Callable[[], Any], ...]:
    return (
        lambda: store.set_registered_model_alias("fraud", "champion", 2),
        lambda: store.transition_model_version_stage("fraud", 2, "Production", True),
    )
