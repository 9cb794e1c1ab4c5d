"""Reading entities through MLflow's own store API, on plain stores that write nothing.

Deleted entities included. Memory is bounded by one page of runs and one page of a history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from chain_client.errors import HostUnavailable
from chain_client.events import Json
from mlflow_chain.mapping.tracking import to_dataset_input
from mlflow_chain.mapping.values import to_integer
from mlflow_chain.reading.entities import (
    ExperimentView,
    LoggedModelView,
    Point,
    RegisteredModelView,
    RunView,
    VersionView,
)
from mlflow_chain.uri import is_private_memory

_RUNS_A_PAGE = 200
_POINTS_A_PAGE = 10_000
_EXPERIMENTS_A_PAGE = 1_000
_ONLY_PROMPTS = "tags.`mlflow.prompt.is_prompt` = 'true'"

_Item = TypeVar("_Item")


class Unreadable(HostUnavailable):
    """MLflow's API refuses to show an entity: its rows contradict each other."""


class Reader:
    """MLflow's entities in one database.

    Args:
        db_uri: the database, without our prefix.

    Raises:
        HostUnavailable: it is missing, empty, of another MLflow version, or does not answer.
    """

    def __init__(self, db_uri: str) -> None:
        self._db_uri = db_uri
        self.tracking, self.registry = _open_stores(db_uri)

    def close(self) -> None:
        """Give the connections back."""
        if not is_private_memory(self._db_uri):
            self.tracking.engine.dispose()
            self.registry.engine.dispose()

    def experiments(self) -> Iterator[ExperimentView]:
        """Every experiment, deleted ones included."""
        from mlflow.entities import ViewType

        for experiment in _paged(
            partial(
                self.tracking.search_experiments,
                view_type=ViewType.ALL,
                max_results=_EXPERIMENTS_A_PAGE,
            )
        ):
            yield ExperimentView(
                experiment.experiment_id,
                {
                    "name": experiment.name,
                    "artifact_location": experiment.artifact_location,
                    "lifecycle_stage": experiment.lifecycle_stage,
                    "creation_time": experiment.creation_time,
                    "last_update_time": experiment.last_update_time,
                },
                dict(experiment.tags),
            )

    def runs(self, experiment_id: str) -> Iterator[RunView]:
        """Every run of an experiment, deleted ones included."""
        from mlflow.entities import ViewType

        for run in _paged(
            partial(
                self.tracking.search_runs,
                [experiment_id],
                "",
                ViewType.ALL,
                max_results=_RUNS_A_PAGE,
                order_by=["attributes.start_time ASC"],
            )
        ):
            # A search leaves out the input models, so each run is read by itself.
            view = self.find_run(run.info.run_id)
            if view is not None:
                yield view

    def find_run(self, run_id: str) -> RunView | None:
        """One run, deleted or not."""
        run = self._find(lambda: self.tracking.get_run(run_id))
        return None if run is None else _run_view(run)

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
            raise _unavailable(exc) from exc

    def history(self, run_id: str, key: str) -> Iterator[Point]:
        """Every point of a metric."""
        for metric in _paged(
            partial(self.tracking.get_metric_history, run_id, key, max_results=_POINTS_A_PAGE)
        ):
            yield _point(metric)

    def logged_models(self, experiment_id: str) -> Iterator[LoggedModelView]:
        """Every logged model of an experiment that is not deleted."""
        for model in _paged(partial(self.tracking.search_logged_models, [experiment_id])):
            yield _logged_model_view(model, "active")

    def deleted_logged_models(self) -> Iterator[LoggedModelView]:
        """Every logged model that is deleted and not yet removed."""
        for model_id in self._guarded(self.tracking._get_deleted_logged_models):
            view = self.find_logged_model(model_id)
            if view is not None:
                yield view

    def find_logged_model(self, model_id: str) -> LoggedModelView | None:
        """One logged model, deleted or not."""
        active = self._find(lambda: self.tracking.get_logged_model(model_id))
        if active is not None:
            return _logged_model_view(active, "active")
        deleted = self._find(lambda: self.tracking.get_logged_model(model_id, allow_deleted=True))
        return None if deleted is None else _logged_model_view(deleted, "deleted")

    def registered_model_names(self) -> list[str]:
        """The name of every registered model and prompt, also of those that no listing shows."""
        from mlflow.store.model_registry.dbmodels.models import SqlRegisteredModel

        search = self.registry.search_registered_models
        names = [
            model.name
            for only in (None, _ONLY_PROMPTS)
            for model in _paged(partial(search, filter_string=only, max_results=_RUNS_A_PAGE))
        ]
        return list(dict.fromkeys([*names, *self._distinct(SqlRegisteredModel.name)]))

    def find_registered_model(self, name: str) -> RegisteredModelView | None:
        """One registered model with all its versions."""
        model = self._find(lambda: self.registry.get_registered_model(name))
        if model is None:
            return None
        return RegisteredModelView(
            name,
            {
                "description": model.description,
                "creation_timestamp": model.creation_timestamp,
                "last_updated_timestamp": model.last_updated_timestamp,
            },
            dict(model._tags),
            {alias: int(version) for alias, version in model.aliases.items()},
            list(self._versions(name)),
        )

    def find_version(self, name: str, number: int) -> VersionView | None:
        """One version of a registered model."""
        version = self._find(lambda: self.registry.get_model_version(name, number))
        return None if version is None else self._version_view(version)

    def _versions(self, name: str) -> Iterator[VersionView]:
        from mlflow.store.model_registry.dbmodels.models import SqlModelVersion

        seen = set()
        for view in self._listed_versions(name):
            seen.add(view.version)
            yield view
        numbers = self._distinct(SqlModelVersion.version, SqlModelVersion.name == name)
        for number in sorted(set(numbers) - seen):
            hidden = self.find_version(name, number)
            if hidden is not None:
                yield hidden

    def _listed_versions(self, name: str) -> Iterator[VersionView]:
        # A name is quoted with the quote that it does not contain; MLflow knows no escape.
        quote = '"' if "'" in name else "'"
        where = f"name={quote}{name}{quote}"
        for only in (where, f"{where} AND {_ONLY_PROMPTS}"):
            search = partial(self.registry.search_model_versions, only, max_results=_RUNS_A_PAGE)
            for version in _paged(search):
                yield self._version_view(version)

    def _version_view(self, version: Any) -> VersionView:
        download_uri = self.registry.get_model_version_download_uri
        uri = self._find(partial(download_uri, version.name, version.version))
        return VersionView(int(version.version), _version_fields(version, uri), dict(version.tags))

    def _find(self, read: Callable[[], _Item]) -> _Item | None:
        from mlflow.exceptions import MlflowException

        try:
            return read()
        except MlflowException as exc:
            if exc.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise _unavailable(exc) from exc
        except (TypeError, ValueError, KeyError) as exc:
            raise _unreadable(exc) from exc

    def _guarded(self, read: Callable[[], _Item]) -> _Item:
        from mlflow.exceptions import MlflowException

        try:
            return read()
        except MlflowException as exc:
            raise _unavailable(exc) from exc


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
        raise _unavailable(exc) from exc


def _reading(store_class: Any, db_uri: str) -> Any:
    """A store class whose constructor writes nothing, with connections of its own.

    MLflow's own would write a missing default experiment. Nothing is read from the cache of
    another's connection; only a database in memory is reached through the one that made it.
    """
    members: dict[str, Any] = {"_initialize_store_state": lambda store: None}
    if not is_private_memory(db_uri):
        members["_engine_map"] = {}
    return type(f"Reading{store_class.__name__}", (store_class,), members)


def _unreadable(error: Exception) -> Unreadable:
    return Unreadable(f"MLflow can't show what its database holds ({type(error).__name__})")


def _unavailable(error: Exception) -> HostUnavailable:
    code = getattr(error, "error_code", None)
    if code not in (None, "TEMPORARILY_UNAVAILABLE"):
        return _unreadable(error)
    return HostUnavailable(f"MLflow's database can't be read ({type(error).__name__})")


def _paged(read: Callable[..., Any]) -> Iterator[Any]:
    from mlflow.exceptions import MlflowException

    token: str | None = None
    while True:
        try:
            page = read(page_token=token)
        except MlflowException as exc:
            raise _unavailable(exc) from exc
        except (TypeError, ValueError, KeyError) as exc:
            raise _unreadable(exc) from exc
        yield from page
        token = page.token
        if not token:
            return


def _point(metric: Any) -> Point:
    return (float(metric.value), _integer(metric.timestamp), _integer(metric.step))


def _integer(value: Any) -> Json:
    """A timestamp or step; SQLite gives numpy's integers back as the bytes they were bound as."""
    if isinstance(value, bytes):
        return int.from_bytes(value, "little", signed=True)
    return None if value is None else to_integer(value)


def _run_view(run: Any) -> RunView:
    info, data = run.info, run.data
    inputs, outputs = run.inputs, run.outputs
    return RunView(
        info.run_id,
        {
            "name": info.run_name,
            "experiment_id": str(info.experiment_id),
            "user_id": info.user_id,
            "status": info.status,
            "start_time": info.start_time,
            "end_time": info.end_time,
            "artifact_uri": info.artifact_uri,
            "lifecycle_stage": info.lifecycle_stage,
        },
        dict(data.tags),
        dict(data.params),
        {metric.key: _point(metric) for metric in data._metric_objs},
        [list(to_dataset_input(found)) for found in (inputs.dataset_inputs if inputs else ())],
        [model.model_id for model in (inputs.model_inputs if inputs else ()) or ()],
        [[m.model_id, _integer(m.step)] for m in (outputs.model_outputs if outputs else ()) or ()],
    )


def _logged_model_view(model: Any, lifecycle_stage: str) -> LoggedModelView:
    return LoggedModelView(
        model.model_id,
        {
            "name": model.name,
            "experiment_id": str(model.experiment_id),
            "artifact_location": model.artifact_location,
            "creation_timestamp": model.creation_timestamp,
            "last_updated_timestamp": model.last_updated_timestamp,
            "model_type": model.model_type,
            "source_run_id": model.source_run_id,
            "status": str(model.status),
            "status_message": model.status_message,
            "lifecycle_stage": lifecycle_stage,
        },
        dict(model.tags or {}),
        dict(model.params or {}),
        [
            [
                m.key,
                float(m.value),
                _integer(m.timestamp),
                _integer(m.step),
                m.run_id,
                m.dataset_name,
                m.dataset_digest,
            ]
            for m in model.metrics or ()
        ],
    )


def _version_fields(version: Any, download_uri: str | None) -> dict[str, Json]:
    return {
        "description": version.description,
        "creation_timestamp": version.creation_timestamp,
        "last_updated_timestamp": version.last_updated_timestamp,
        "user_id": version.user_id,
        "current_stage": version.current_stage,
        "source": version.source,
        "storage_location": download_uri,
        "run_id": version.run_id,
        "run_link": version.run_link,
        "status": version.status,
        "status_message": version.status_message,
    }
