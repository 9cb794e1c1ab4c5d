"""Reading entities through MLflow's own store API, whatever kind of store it is.

Deleted entities included. Memory is bounded by one page of runs and one page of a history.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from chain_client.errors import HostUnavailable
from mlflow_chain.reading.entities import (
    ExperimentView,
    LoggedModelView,
    Point,
    RegisteredModelView,
    RunView,
    VersionView,
)
from mlflow_chain.reading.pages import RUNS_A_PAGE, RunSource
from mlflow_chain.reading.views import (
    experiment_view,
    logged_model_view,
    point_view,
    run_view,
    version_fields,
)

_POINTS_A_PAGE = 10_000
_EXPERIMENTS_A_PAGE = 1_000
ONLY_PROMPTS = "tags.`mlflow.prompt.is_prompt` = 'true'"

_Item = TypeVar("_Item")


class ApiReader(ABC):
    """What a tracking and a registry store of MLflow show; see `reading.reader.Reader`.

    Args:
        tracking: a tracking store that writes nothing.
        registry: a model registry store that writes nothing.
    """

    def __init__(self, tracking: Any, registry: Any) -> None:
        self.tracking = tracking
        self.registry = registry

    @abstractmethod
    def to_error(self, error: Exception) -> HostUnavailable:
        """What a reader raises in the place of an error of its stores."""

    def experiments(self) -> Iterator[ExperimentView]:
        """Every experiment, deleted ones included."""
        from mlflow.entities import ViewType

        search = partial(
            self.tracking.search_experiments,
            view_type=ViewType.ALL,
            max_results=_EXPERIMENTS_A_PAGE,
        )
        for experiment in self._paged(search):
            yield experiment_view(experiment)

    def runs(self, experiment_id: str) -> Iterator[RunView]:
        """Every run of an experiment, deleted ones included."""
        from mlflow.entities import ViewType

        search = partial(
            self.tracking.search_runs,
            [experiment_id],
            "",
            ViewType.ALL,
            max_results=RUNS_A_PAGE,
            order_by=["attributes.start_time ASC"],
        )
        for run in self._paged(search):
            # A search leaves out the input models, so each run is read by itself.
            view = self.find_run(run.info.run_id)
            if view is not None:
                yield view

    def find_run(self, run_id: str) -> RunView | None:
        """One run, deleted or not."""
        return self._find(lambda: run_view(self.tracking.get_run(run_id)))

    def in_bulk(self, run_ids: Sequence[str]) -> Iterator[tuple[str, RunSource]]:
        """Each of the runs with what shows it: this reader."""
        source: Any = self
        for run_id in run_ids:
            yield run_id, source

    def history(self, run_id: str, key: str) -> Iterator[Point]:
        """Every point of a metric."""
        get = partial(self.tracking.get_metric_history, run_id, key, max_results=_POINTS_A_PAGE)
        for metric in self._paged(get):
            yield self.guarded(partial(point_view, metric))

    def logged_models(self, experiment_id: str) -> Iterator[LoggedModelView]:
        """Every logged model of an experiment that is not deleted."""
        for model in self._paged(partial(self.tracking.search_logged_models, [experiment_id])):
            yield logged_model_view(model, "active")

    def find_logged_model(self, model_id: str) -> LoggedModelView | None:
        """One logged model, deleted or not."""
        get = self.tracking.get_logged_model
        active = self._find(lambda: logged_model_view(get(model_id), "active"))
        if active is not None:
            return active
        return self._find(lambda: logged_model_view(get(model_id, allow_deleted=True), "deleted"))

    def registered_model_names(self) -> list[str]:
        """The name of every registered model and prompt that is listed."""
        search = self.registry.search_registered_models
        names = [
            model.name
            for only in (None, ONLY_PROMPTS)
            for model in self._paged(partial(search, filter_string=only, max_results=RUNS_A_PAGE))
        ]
        return list(dict.fromkeys(names))

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
        # A name is quoted with the quote that it does not contain; MLflow knows no escape.
        quote = '"' if "'" in name else "'"
        where = f"name={quote}{name}{quote}"
        for only in (where, f"{where} AND {ONLY_PROMPTS}"):
            search = partial(self.registry.search_model_versions, only, max_results=RUNS_A_PAGE)
            for version in self._paged(search):
                yield self._version_view(version)

    def _version_view(self, version: Any) -> VersionView:
        download_uri = self.registry.get_model_version_download_uri
        uri = self._find(partial(download_uri, version.name, version.version))
        return VersionView(int(version.version), version_fields(version, uri), dict(version.tags))

    def _find(self, read: Callable[[], _Item]) -> _Item | None:
        try:
            return self.guarded(read)
        except HostUnavailable as exc:
            if getattr(exc.__cause__, "error_code", None) == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise

    def _paged(self, read: Callable[..., Any]) -> Iterator[Any]:
        token: str | None = None
        while True:
            page = self.guarded(partial(read, page_token=token))
            yield from page
            token = page.token
            if not token:
                return

    def guarded(self, read: Callable[[], _Item]) -> _Item:
        """What ``read`` gives, with this reader's errors."""
        from mlflow.exceptions import MlflowException

        try:
            return read()
        except (MlflowException, TypeError, ValueError, KeyError) as exc:
            raise self.to_error(exc) from exc
