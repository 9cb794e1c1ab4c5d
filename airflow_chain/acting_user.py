"""Who asks Airflow's API server for a change of a state: an ASGI middleware and a contextvar.

Airflow's hooks are not told who marked a task or a DAG run. Its routes find the user by the auth
manager, from the request's token or cookie; so does this, for the requests that can give a state,
and notes it where the hook, which is called in the same request, finds it. A name counts because
the hook is only called when Airflow itself has let the request through.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

_logger = logging.getLogger(__name__)

PATIENCE_S = 2.0
"""For the auth manager. A user that it has not named by then stays unknown."""

_METHODS = frozenset({"PATCH", "PUT"})
_PATH = "/dagRuns"

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ActingUser:
    """Whom the auth manager sees in the token of a request.

    Args:
        name: as people know the user.
        id: the auth manager's own.
    """

    name: str
    id: str | None = None


_acting: ContextVar[ActingUser | None] = ContextVar("airflow_chain_acting_user", default=None)

_serving = False


def is_api_server() -> bool:
    """Whether this process answers requests of Airflow's API."""
    return _serving


def current_user() -> ActingUser | None:
    """Who asked for what is being done in this thread; None if nobody did, or it is not known."""
    return _acting.get()


class ActingUserMiddleware:
    """Notes the user of each request that can give a state; lets every request through.

    Args:
        app: what answers the request.
    """

    def __init__(self, app: Application) -> None:
        global _serving
        _serving = True
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if not may_mark(scope):
            await self._app(scope, receive, send)
            return
        token = _acting.set(await find_user(scope))
        try:
            await self._app(scope, receive, send)
        finally:
            _acting.reset(token)


def may_mark(scope: Scope) -> bool:
    """Whether a request can be one that gives a state to a task instance or a DAG run."""
    return (
        scope.get("type") == "http"
        and scope.get("method") in _METHODS
        and _PATH in str(scope.get("path", ""))
    )


async def find_user(scope: Scope) -> ActingUser | None:
    """The user of a request, by Airflow's auth manager; None whatever goes wrong."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            user = await _resolve(scope)
        id_ = str(user.get_id())
        return ActingUser(str(user.get_name() or id_), id_)
    except Exception as exc:
        _logger.info("mlops-chain: the user of a request is not known (%s)", type(exc).__name__)
        return None


async def _resolve(scope: Scope) -> Any:
    """By Airflow's own dependency, so that it is the user for whom the route is let through."""
    from airflow.api_fastapi.core_api import security
    from starlette.requests import Request

    request = Request(scope)
    return await security.get_user(request, None, await security.bearer_scheme(request))
