"""Stores behind a server: who records them is found out before the first write."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from chain_client.forking import ForkableLock
from mlflow_chain.reading.server_uri import to_server_uri
from mlflow_chain.server.announcement import PENDING, parse_announcement
from mlflow_chain.stores.recording import Recording, call_under_way

_logger = logging.getLogger(__name__)

_PROBE = "/api/3.0/mlflow/server-info"
"""Any path of the API will do: also a refusal carries what the server says of itself."""
_PROBE_TIMEOUT_S = 10

_lock = ForkableLock()


class RemoteRecording:
    """The recording of a store behind a server, decided once, when it is first needed.

    Guarantee: what a server says that it records is not recorded again; as long as it has said
    nothing, each write is recorded here.

    Args:
        role: ``tracking`` or ``registry``.
        get_host_creds: MLflow's own, with the server's address and the environment's credentials.
        open_recording: opens the home and adopts the server.
        extras: groups of methods that are recorded by setting.
        believes: whether a server's word is enough; if not, each write is recorded here too.
    """

    gate = None
    """What is behind a server, the server's own gate decides about."""

    def __init__(
        self,
        role: str,
        get_host_creds: Callable[[], Any],
        open_recording: Callable[[], Recording],
        extras: frozenset[str] = frozenset(),
        *,
        believes: bool = True,
    ) -> None:
        self.extras = extras
        self._believes = believes
        self._role = role
        self._get_host_creds = get_host_creds
        self._open_recording = open_recording
        self._recording: Recording | None = None
        self._is_decided = False

    def current(self) -> Recording | None:
        """Where to record; None if the server records.

        Raises:
            MlflowException: there is no home that fits, or the server can't be adopted: MLflow's
                own error if it does not answer.
        """
        if not self._is_decided:
            with _lock.held():
                if not self._is_decided:
                    self._decide()
        if self._recording is not None:
            _refuse_workspace()
        return self._recording

    def _decide(self) -> None:
        says_so = self._believes and says_that_it_records(self._get_host_creds, self._role)
        if says_so:
            host = to_server_uri(self._get_host_creds().host)
            _logger.info("the server %s records by itself; nothing is recorded here", host)
            self._recording = None
        elif self._recording is None:
            # Before the home is opened and the server adopted for a write that will not be.
            _refuse_workspace()
            self._recording = self._open_recording()
        self._is_decided = says_so is not None


def _refuse_workspace() -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
    from mlflow.utils import workspace_context

    workspace = workspace_context.get_request_workspace()
    if workspace not in (None, "default"):
        raise MlflowException(
            f"not recorded, so not done: the workspace {workspace!r} is active, and chain+http "
            "records the default workspace only; record at the server instead, with "
            "--backend-store-uri chain+…",
            error_code=INVALID_PARAMETER_VALUE,
        )


def says_that_it_records(get_host_creds: Callable[[], Any], role: str) -> bool | None:
    """Whether a server says that it records the stores of a role; None if it did not say."""
    from mlflow.utils.rest_utils import http_request

    try:
        answer = http_request(
            get_host_creds(),
            _PROBE,
            "GET",
            max_retries=0,
            timeout=_PROBE_TIMEOUT_S,
            raise_on_status=False,
        )
    except Exception as exc:
        # Whatever it is, the user's own call meets it too, and MLflow says so in its own words.
        _logger.debug("the server did not say whether it records (%s)", type(exc).__name__)
        return None
    announcement = parse_announcement(answer.headers)
    if announcement == PENDING:
        return None
    if announcement is not None:
        return role in announcement.stores
    # A proxy answers in the place of a server that rests.
    return None if answer.status_code >= 500 else False


def is_behind_server(store: object) -> bool:
    """Whether a store asks a tracking server, by an address that any client of it can use."""
    from mlflow.store.model_registry.rest_store import RestStore as RegistryStore
    from mlflow.store.tracking.rest_store import RestStore as TrackingStore

    if not isinstance(store, TrackingStore | RegistryStore):
        return False
    # Databricks' stores are subclasses that ask by profiles, and of services of their own.
    return not any("databricks" in base.__module__ for base in type(store).__mro__)


class NotedCredentials:
    """MLflow's `get_host_creds`, counting the requests of the call under way: each asks once."""

    def __init__(self, inner: Callable[[], Any]) -> None:
        self._inner = inner

    def __call__(self) -> Any:
        call = call_under_way()
        creds = self._inner()
        if call is not None:
            call.requests += 1
        return creds


def is_refusal_of_server(error: BaseException) -> bool:
    """Whether a server's answer says that it refused a call before it wrote anything."""
    from mlflow.exceptions import ERROR_CODE_TO_HTTP_STATUS, MlflowException

    if not isinstance(error, MlflowException):
        return False
    status = ERROR_CODE_TO_HTTP_STATUS.get(error.error_code, 500)
    return 400 <= status < 500 and status not in _TRANSIENT


_TRANSIENT = frozenset({408, 429, 499})
"""Refusals that something before the server may give while the request is carried out."""
