"""Reading a database through MLflow's own SQL stores, and the ids of rows that they don't list."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from chain_client.errors import HostUnavailable
from mlflow_chain.mapping.workspaces import DEFAULT, to_key
from mlflow_chain.reading.api import ApiReader
from mlflow_chain.reading.bulk import read_in_bulk
from mlflow_chain.reading.connecting import check_answers
from mlflow_chain.reading.entities import (
    LoggedModelView,
    RegisteredModelView,
    RunView,
    VersionView,
)
from mlflow_chain.reading.pages import RunSource
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
        self._registry = _OpenedWhenAsked(db_uri)
        super().__init__(_open_tracking(db_uri), self._registry)

    def close(self) -> None:
        """Give the connections back."""
        if not is_private_memory(self._db_uri):
            self.tracking.engine.dispose()
            self._registry.dispose()

    def to_error(self, error: Exception) -> HostUnavailable:
        """See `ApiReader.to_error`."""
        return to_error(error)

    def runs(self, experiment_id: str) -> Iterator[RunView]:
        """Every run of an experiment, deleted ones included."""
        from mlflow.store.tracking.dbmodels.models import SqlRun

        # A search is slow to begin with, and most experiments of a new database are empty.
        if self._has_row(SqlRun.run_uuid, SqlRun.experiment_id == int(experiment_id)):
            yield from super().runs(experiment_id)

    def logged_models(self, experiment_id: str) -> Iterator[LoggedModelView]:
        """Every logged model of an experiment that is not deleted."""
        from mlflow.store.tracking.dbmodels.models import SqlLoggedModel

        if self._has_row(
            SqlLoggedModel.model_id, SqlLoggedModel.experiment_id == int(experiment_id)
        ):
            yield from super().logged_models(experiment_id)

    def run_ids(self) -> set[str]:
        """The id of every row of a run, also of those that no listing shows."""
        from mlflow.store.tracking.dbmodels.models import SqlRun

        return set(self.distinct(SqlRun.run_uuid))

    def logged_model_ids(self) -> set[str]:
        """The id of every row of a logged model, also of those that no listing shows."""
        from mlflow.store.tracking.dbmodels.models import SqlLoggedModel

        return set(self.distinct(SqlLoggedModel.model_id))

    def metric_keys(self, run_id: str) -> list[str]:
        """The key of every metric of a run, also of those without a latest value."""
        from mlflow.store.tracking.dbmodels.models import SqlMetric

        return self.distinct(SqlMetric.key, SqlMetric.run_uuid == run_id)

    def in_bulk(self, run_ids: Sequence[str]) -> Iterator[tuple[str, RunSource]]:
        """Each of the runs with what shows it, a page of them at a time in memory."""
        return read_in_bulk(self, run_ids)

    def _has_row(self, column: Any, where: Any) -> bool:
        from sqlalchemy import select
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with self.tracking.engine.connect() as connection:
                return connection.execute(select(column).where(where).limit(1)).first() is not None
        except SQLAlchemyError as exc:
            raise to_error(exc) from exc

    def distinct(self, column: Any, *where: Any) -> list[Any]:
        """The values of one column; the entities themselves are read through MLflow's API."""
        return [value for (value,) in self.grouped(column, by=(column,), where=where)]

    def grouped(
        self, *columns: Any, by: tuple[Any, ...], where: tuple[Any, ...] = ()
    ) -> list[tuple[Any, ...]]:
        """Columns of the rows that ``where`` lets through, one row for each group."""
        from sqlalchemy import select
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with self.tracking.engine.connect() as connection:
                query = select(*columns).where(*where).group_by(*by)
                return [tuple(row) for row in connection.execute(query)]
        except SQLAlchemyError as exc:
            raise to_error(exc) from exc

    def deleted_logged_models(self) -> Iterator[LoggedModelView]:
        """Every logged model that is deleted and not yet removed."""
        for model_id in self.guarded(self.tracking._get_deleted_logged_models):
            view = self.find_logged_model(model_id)
            if view is not None:
                yield view

    def registered_model_names(self) -> list[str]:
        """The name of every registered model and prompt, in whatever workspace, listed or not."""
        from mlflow.store.model_registry.dbmodels.models import SqlRegisteredModel

        names = (SqlRegisteredModel.workspace, SqlRegisteredModel.name)
        named = self.grouped(*names, by=names)
        return [to_key(workspace, name) for workspace, name in named]

    def find_registered_model(self, name: str) -> RegisteredModelView | None:
        """One registered model with all its versions; ``workspace/name`` in another workspace."""
        with self._in_workspace_of(name) as bare_name:
            found = super().find_registered_model(bare_name)
        return None if found is None else replace(found, name=name)

    def find_version(self, name: str, number: int) -> VersionView | None:
        """One version of a registered model; named as in `find_registered_model`."""
        with self._in_workspace_of(name) as bare_name:
            return super().find_version(bare_name, number)

    @contextmanager
    def _in_workspace_of(self, name: str) -> Iterator[str]:
        """Let the registry store see the workspace of a model, and give the name there."""
        from mlflow.store.model_registry.dbmodels.models import SqlRegisteredModel

        before = self._registry.workspace
        # A name from before MLflow forbade it may have a slash of its own.
        if "/" in name and not self._has_row(
            SqlRegisteredModel.name, SqlRegisteredModel.name == name
        ):
            self._registry.workspace, _, name = name.partition("/")
        try:
            yield name
        finally:
            self._registry.workspace = before

    def _versions(self, name: str) -> Iterator[VersionView]:
        from mlflow.store.model_registry.dbmodels.models import SqlModelVersion

        # By number: a listing hides some, and can't be asked for a name with both kinds of quotes.
        here: Any = SqlModelVersion.workspace == self._registry.workspace
        numbers = self.distinct(SqlModelVersion.version, SqlModelVersion.name == name, here)
        for number in sorted(numbers):
            view = super().find_version(name, number)
            if view is not None:
                yield view


def to_error(error: Exception) -> HostUnavailable:
    """Whether the database does not answer, or holds what MLflow can't show."""
    code = getattr(error, "error_code", None)
    if code in (None, "TEMPORARILY_UNAVAILABLE") and not isinstance(
        error, TypeError | ValueError | KeyError
    ):
        return HostUnavailable(f"MLflow's database can't be read ({type(error).__name__})")
    return Unreadable(f"MLflow can't show what its database holds ({type(error).__name__})")


class _OpenedWhenAsked:
    """A registry store that is opened at its first use: many databases hold no models."""

    def __init__(self, db_uri: str) -> None:
        self._db_uri = db_uri
        self._store: Any = None
        self.workspace = DEFAULT
        """The workspace whose models the store shows."""

    def __getattr__(self, name: str) -> Any:
        if self._store is None:
            self._store = _open_registry(self._db_uri)
            self._store._get_active_workspace = lambda: self.workspace
        return getattr(self._store, name)

    def dispose(self) -> None:
        """Give the connections back, if there are any."""
        if self._store is not None:
            self._store.engine.dispose()


def _open_tracking(db_uri: str) -> Any:
    from mlflow.exceptions import MlflowException
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
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
        raise HostUnavailable(
            f"MLflow's database {url.database} does not exist. If it was moved, open it once at "
            "its new place with chain+sqlite:///…; then it is known there"
        )

    check_answers(db_uri)
    reading = _reading(SqlAlchemyStore, db_uri)
    try:
        engine = reading._get_or_create_engine(db_uri)
        if not inspect(engine).has_table("experiments"):
            raise HostUnavailable("the database holds no MLflow tables")
        _check_schema(engine)
        return reading(db_uri, "mlruns")
    except (MlflowException, SQLAlchemyError) as exc:
        raise to_error(exc) from exc


def _check_schema(engine: Any) -> None:
    """Refuse a database of which MLflow would change the schema when it opens it."""
    from mlflow.store.db import utils

    found: Any = utils._get_schema_version(engine)
    if found != _newest_schema():
        raise HostUnavailable(
            f"the database has the schema {found} of another MLflow version: run `mlflow db "
            "upgrade` with its URI, or the version of MLflow that made it"
        )
    if not utils._all_tables_exist(engine):
        raise HostUnavailable("the database lacks tables of MLflow")


@functools.cache
def _newest_schema() -> str:
    from mlflow.store.db import utils

    return str(utils._get_latest_schema_revision())


def _open_registry(db_uri: str) -> Any:
    from mlflow.exceptions import MlflowException
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return _reading(SqlAlchemyStore, db_uri)(db_uri)
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
