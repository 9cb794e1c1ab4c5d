"""Reading a server through its API, with MLflow's own REST stores.

What travels as protobuf loses the difference between an empty text, a zero time and nothing:
`mapping.over_http` brings what was recorded, and what is read here, to one form.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from chain_client.errors import HostUnavailable
from mlflow_chain.mapping.over_http import blank_fields, blank_pair, blank_texts
from mlflow_chain.reading.api import ApiReader
from mlflow_chain.reading.entities import (
    ExperimentView,
    LoggedModelView,
    RegisteredModelView,
    RunView,
    VersionView,
)
from mlflow_chain.reading.reader import Unreadable

_TIMEOUT_S = 60
_RETRIES = 2
"""MLflow's own client goes on for four minutes; whoever reads here is asked again later."""

_STATUS = "_mlops_chain_status"
"""Attribute of an error that holds the status of the answer it is made of."""

_BROKEN = 500
"""Status of an answer in which MLflow itself says that it can't show an entity."""


class RestReader(ApiReader):
    """MLflow's entities behind one server's API.

    The credentials are those of the environment, as of any client of MLflow.

    Args:
        server_uri: the server, ``http(s)://…``, without our prefix and without credentials.

    Raises:
        HostUnavailable: it does not answer, or does not let us read.
    """

    blind_spots: tuple[str, ...] = (
        "it was compared over the server's API, which does not show rows that are in no listing",
    )

    def __init__(self, server_uri: str) -> None:
        self._server_uri = server_uri
        super().__init__(*_open_stores(server_uri))
        # Nothing but an answer tells a server that is down from one that holds nothing.
        self.guarded(lambda: self.tracking.search_experiments(max_results=1))

    def close(self) -> None:
        """MLflow keeps its HTTP connections for the process."""

    def to_error(self, error: Exception) -> HostUnavailable:
        """See `ApiReader.to_error`."""
        status = vars(error).get(_STATUS)
        if status == _BROKEN or not hasattr(error, "error_code"):
            return Unreadable(f"the server can't show what it holds ({type(error).__name__})")
        if status in (401, 403):
            return HostUnavailable(
                f"the server {self._server_uri} does not let us read (HTTP status {status}): set "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, "
                "for this process too"
            )
        what = type(error).__name__ if status is None else f"HTTP status {status}"
        return HostUnavailable(f"the server {self._server_uri} does not answer ({what})")

    def run_ids(self) -> set[str]:
        """None: the API knows only what it lists."""
        return set()

    def logged_model_ids(self) -> set[str]:
        """None, as `run_ids`."""
        return set()

    def metric_keys(self, run_id: str) -> list[str]:
        """None, as `run_ids`."""
        return []

    def deleted_logged_models(self) -> Iterator[LoggedModelView]:
        """None: the API lists no deleted ones; `find_logged_model` finds those that are known."""
        return iter(())

    def experiments(self) -> Iterator[ExperimentView]:
        """As `ApiReader.experiments`, in the form of `mapping.over_http`."""
        for view in super().experiments():
            blank_fields(view.fields)
            blank_texts(view.tags)
            yield view

    def find_run(self, run_id: str) -> RunView | None:
        """As `ApiReader.find_run`, likewise."""
        view = super().find_run(run_id)
        if view is not None:
            blank_fields(view.fields, but=("user_id",))
            blank_texts(view.tags)
            blank_texts(view.params)
            view.datasets = [blank_pair(row) for row in view.datasets]
        return view

    def logged_models(self, experiment_id: str) -> Iterator[LoggedModelView]:
        """As `ApiReader.logged_models`, likewise."""
        return map(_blank_model, super().logged_models(experiment_id))

    def find_logged_model(self, model_id: str) -> LoggedModelView | None:
        """As `ApiReader.find_logged_model`, likewise."""
        view = super().find_logged_model(model_id)
        return None if view is None else _blank_model(view)

    def find_registered_model(self, name: str) -> RegisteredModelView | None:
        """As `ApiReader.find_registered_model`, likewise."""
        view = super().find_registered_model(name)
        if view is not None:
            blank_fields(view.fields)
            blank_texts(view.tags)
        return view

    def _version_view(self, version: Any) -> VersionView:
        view = super()._version_view(version)
        blank_fields(view.fields)
        blank_texts(view.tags)
        return view


def _blank_model(view: LoggedModelView) -> LoggedModelView:
    blank_fields(view.fields)
    blank_texts(view.tags)
    blank_texts(view.params)
    return view


def _open_stores(server_uri: str) -> tuple[Any, Any]:
    from mlflow.utils.credentials import get_default_host_creds

    get_creds = functools.partial(get_default_host_creds, server_uri)
    tracking_class, registry_class = _reading_classes()
    return tracking_class(get_creds), registry_class(get_creds)


@functools.cache
def _reading_classes() -> tuple[Any, Any]:
    """Store classes of MLflow that give up sooner, and tell the status of a refusal."""
    from mlflow.store.model_registry.rest_store import RestStore as RegistryStore
    from mlflow.store.tracking.rest_store import RestStore as TrackingStore

    class ReadingTrackingStore(TrackingStore):
        def _call_endpoint(  # type: ignore[no-untyped-def]
            self,
            api,
            json_body=None,
            endpoint=None,
            retry_timeout_seconds=None,
            response_proto=None,
        ):
            path, method = self._METHOD_TO_INFO[api]
            return _call(self.get_host_creds(), endpoint or path, method, json_body, api.Response())

    class ReadingRegistryStore(RegistryStore):
        def _call_endpoint(  # type: ignore[no-untyped-def]
            self, api, json_body, call_all_endpoints=False, extra_headers=None
        ):
            inherited: Any = self
            endpoint, method = inherited._get_endpoint_from_method(api)
            return _call(self.get_host_creds(), endpoint, method, json_body, api.Response())

    return ReadingTrackingStore, ReadingRegistryStore


def _call(creds: Any, endpoint: str, method: str, json_body: str | None, answer: Any) -> Any:
    import json

    from mlflow.exceptions import MlflowException
    from mlflow.utils.proto_json_utils import parse_dict
    from mlflow.utils.rest_utils import http_request, verify_rest_response

    body = None if json_body is None else json.loads(json_body)
    given = {"params" if method == "GET" else "json": body}
    response = http_request(
        creds,
        endpoint,
        method,
        max_retries=_RETRIES,
        backoff_factor=1,
        timeout=_TIMEOUT_S,
        raise_on_status=False,
        **given,
    )
    try:
        verify_rest_response(response, endpoint)
    except MlflowException as exc:
        vars(exc)[_STATUS] = response.status_code
        raise
    parse_dict(json.loads(response.text), answer)
    return answer
