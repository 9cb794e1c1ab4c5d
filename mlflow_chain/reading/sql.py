"""Reading a database through MLflow's own SQL stores, and the ids of rows that they don't list."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chain_client.errors import HostUnavailable
from mlflow_chain.reading.api import ApiReader
from mlflow_chain.reading.entities import LoggedModelView, VersionView
from mlflow_chain.reading.reader import Unreadable
from mlflow_chain.uri import is_private_memory


class SqlReader(ApiReader):
    """MLflow's entities in one database.

    Args:
        db_uri: the database, without our prefix.

    Raises:
        HostUnavailable: it is missing, empty, of another MLflow version, or does not answer.
    """

    blind_spots: tuple[str, ...] = ()

    def __init__(self, db_uri: str) -> None:
        self._db_uri = db_uri
        super().__init__(*_open_stores(db_uri))

    def close(self) -> None:
        """Give the connections back."""
        if not is_private_memory(self._db_uri):
            self.tracking.engine.dispose()
            self.registry.engine.dispose()

    def to_error(self, error: Exception) -> HostUnavailable:
        """See `ApiReader.to_error`."""
        return to_error(error)

    def run_ids(self) -> set[str]:
        """The id of every row of a run, also of those that no listing shows."""
        from mlflow.store.tracking.dbmodels.models import SqlRun

        return set(self._distinct(SqlRun.run_uuid))

    def logged_model_ids(self) -> set[str]:
        """The id of every row of a logged model, also of those that no listing shows."""
        from mlflow.store.tracking.dbmodels.models import SqlLoggedModel

        return set(self._distinct(SqlLoggedModel.model_id))

    def metric_keys(self, run_id: str) -> list[str]:
        """The key of every metric of a run, also of those without a latest value."""
        from mlflow.store.tracking.dbmodels.models import SqlMetric

        return self._distinct(SqlMetric.key, SqlMetric.run_uuid == run_id)

    def _distinct(self, column: Any, *where: Any) -> list[Any]:
        """The values of one column; the entities themselves are read through MLflow's API."""
        from sqlalchemy import select
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with self.tracking.engine.connect() as connection:
                return list(connection.scalars(select(column).where(*where).distinct()))
        except SQLAlchemyError as exc:
            raise to_error(exc) from exc

    def deleted_logged_models(self) -> Iterator[LoggedModelView]:
        """Every logged model that is deleted and not yet removed."""
        for model_id in self._guarded(self.tracking._get_deleted_logged_models):
            view = self.find_logged_model(model_id)
            if view is not None:
                yield view

    def registered_model_names(self) -> list[str]:
        """The name of every registered model and prompt, also of those that no listing shows."""
        from mlflow.store.model_registry.dbmodels.models import SqlRegisteredModel

        listed = super().registered_model_names()
        return list(dict.fromkeys([*listed, *self._distinct(SqlRegisteredModel.name)]))

    def _versions(self, name: str) -> Iterator[VersionView]:
        from mlflow.store.model_registry.dbmodels.models import SqlModelVersion

        seen = set()
        for view in super()._versions(name):
            seen.add(view.version)
            yield view
        numbers = self._distinct(SqlModelVersion.version, SqlModelVersion.name == name)
        for number in sorted(set(numbers) - seen):
            hidden = self.find_version(name, number)
            if hidden is not None:
                yield hidden


def to_error(error: Exception) -> HostUnavailable:
    """Whether the database does not answer, or holds what MLflow can't show."""
    code = getattr(error, "error_code", None)
    if code in (None, "TEMPORARILY_UNAVAILABLE") and not isinstance(
        error, TypeError | ValueError | KeyError
    ):
        return HostUnavailable(f"MLflow's database can't be read ({type(error).__name__})")
    return Unreadable(f"MLflow can't show what its database holds ({type(error).__name__})")


def _open_stores(db_uri: str) -> tuple[Any, Any]:
    from mlflow.exceptions import MlflowException
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as TrackingStore
    from sqlalchemy import inspect
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    url = make_url(db_uri)
    if (
        url.get_backend_name() == "sqlite"
        and not is_private_memory(db_uri)
        and not (url.database or "").startswith("file:")
        and not Path(url.database or "").exists()
    ):
        raise HostUnavailable(f"MLflow's database {url.database} does not exist")

    reading_tracking = _reading(TrackingStore, db_uri)
    reading_registry = _reading(RegistryStore, db_uri)
    try:
        engine = reading_tracking._get_or_create_engine(db_uri)
        if not inspect(engine).has_table("experiments"):
            raise HostUnavailable("the database holds no MLflow tables")
        return reading_tracking(db_uri, "mlruns"), reading_registry(db_uri)
    except (MlflowException, SQLAlchemyError) as exc:
        raise to_error(exc) from exc


def _reading(store_class: Any, db_uri: str) -> Any:
    """A store class whose constructor writes nothing, with connections of its own.

    MLflow's own would write a missing default experiment. Nothing is read from the cache of
    another's connection; only a database in memory is reached through the one that made it.
    """
    members: dict[str, Any] = {"_initialize_store_state": lambda store: None}
    if not is_private_memory(db_uri):
        members["_engine_map"] = {}
    return type(f"Reading{store_class.__name__}", (store_class,), members)
