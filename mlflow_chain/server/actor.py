"""Who acts in a call: in a server the user that it authenticated, elsewhere who the process is.

Only what the server's own auth app has found out is believed; a name that a client merely sends
is nobody's.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar
from typing import Any

from chain_client.events import Actor
from mlflow_chain.process import process_actor, serves

native_state: ContextVar[dict[str, Any] | None] = ContextVar("mlflow_chain_request", default=None)
"""What FastAPI's layers note about the request that is being answered (``request.state``)."""

_NOBODY = Actor()


def current_actor() -> Actor:
    """Who acts in the call that is under way, in this thread or task.

    Returns:
        In a server the authenticated user, if its auth app found one; a server acts for others,
        so it claims nobody. Elsewhere the operating system's user, as a claim.
    """
    if not serves():
        return process_actor()
    name = _flask_user() or _native_user()
    return _NOBODY if name is None else Actor(authenticated=name)


def _native_user() -> str | None:
    """The user of a route that FastAPI answers itself: only MLflow's auth app notes one."""
    state = native_state.get()
    name = None if state is None else state.get("username")
    return name if isinstance(name, str) and name else None


def _flask_user() -> str | None:
    flask: Any = sys.modules.get("flask")
    if flask is None or not flask.has_request_context():
        return None
    name = getattr(flask.g, "mlflow_authenticated_user", None)
    if name is None and _asks_for_passwords(flask):
        # MLflow before 3.13 notes the user nowhere. What the header says was checked before the
        # call, or the call would not be.
        authorization = flask.request.authorization
        name = None if authorization is None else authorization.username
    return name if isinstance(name, str) and name else None


def _asks_for_passwords(flask: Any) -> bool:
    """Whether MLflow's auth app checks every request of this server by basic auth."""
    auth: Any = sys.modules.get("mlflow.server.auth")
    if auth is None:
        return False
    hooks = flask.current_app.before_request_funcs.get(None, [])
    if getattr(auth, "_before_request", None) not in hooks:
        return False
    if auth.is_unprotected_route(flask.request.path):
        return False
    config = getattr(auth, "auth_config", None)
    authenticate = getattr(config, "authorization_function", "")
    return bool(authenticate == _BASIC_AUTH)


_BASIC_AUTH = "mlflow.server.auth:authenticate_request_basic_auth"
