"""A worker of a recorded ``mlflow server``: what is attached to it while it loads.

The stores are built by MLflow at the first request; by then files must be watched already, and
the answers must carry the announcement.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from chain_client.errors import ChainError
from mlflow_chain.process import served_backend, served_registry
from mlflow_chain.recorded_uris import is_recorded_uri
from mlflow_chain.server.announcement import (
    PENDING,
    Announcement,
    announce_on_fastapi,
    announce_on_flask,
)
from mlflow_chain.server.loading import after_loading

_logger = logging.getLogger(__name__)

_announced: dict[str, Announcement] = {}


def await_server() -> None:
    """Attach to MLflow's server apps when this process, a server's worker, loads them.

    Guarantee: nothing is loaded here, and nothing raises; a server that is not recorded is left
    as it is.
    """
    try:
        uris = (served_backend(), served_registry())
        if any(is_recorded_uri(uri) for uri in uris):
            after_loading({"mlflow.server": _on_flask, "mlflow.server.fastapi_app": _on_fastapi})
    except ChainError as exc:
        # The store's builder will say the same to whoever asks for a store.
        _logger.error("%s", exc)  # noqa: TRY400
    except Exception:
        _logger.exception("mlops-chain could not look whether this server is recorded")


def _on_flask(module: Any) -> None:
    from mlflow_chain.files.repositories import watch_repositories

    watch_repositories()
    announce_on_flask(module.app, read_announcement)


def _on_fastapi(module: Any) -> None:
    from mlflow_chain.files.assistant import guard_assistant

    guard_assistant()
    announce_on_fastapi(module, read_announcement)


def read_announcement() -> Announcement | None:
    """What this server records; its stores are built if they were not.

    Returns:
        `PENDING` if they can't be: the answer to whoever needs them says why.
    """
    known = _announced.get("")
    if known is None:
        try:
            known = _open_announcement()
        except Exception as exc:
            _logger.warning("this server can't say yet what it records (%s)", type(exc).__name__)
            return PENDING
        if known is not None:
            _announced[""] = known
    return known


def _open_announcement() -> Announcement | None:
    from mlflow_chain.stores.reclassing import find_recording

    handlers: Any = sys.modules["mlflow.server.handlers"]
    roles = {
        "tracking": (served_backend(), handlers._get_tracking_store),
        "registry": (served_registry(), handlers._get_model_registry_store),
    }
    stores: dict[str, str] = {}
    deployment_id = ""
    for role, (uri, get_store) in roles.items():
        source = find_recording(get_store()) if is_recorded_uri(uri) else None
        recording = None if source is None else source.current()
        if recording is not None:
            stores[role] = recording.store_id
            deployment_id = recording.client.deployment_id
    return Announcement(deployment_id, stores) if stores else None
