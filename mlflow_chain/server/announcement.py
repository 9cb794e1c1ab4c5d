"""A server that records says so in its answers, so that clients do not record the same again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from mlflow_chain.server.actor import native_state

DEPLOYMENT_HEADER = "X-Mlops-Chain-Deployment"
"""Header that holds the deployment's id."""
STORES_HEADER = "X-Mlops-Chain-Stores"
"""Header that names what is recorded: ``tracking=<store id>, registry=<store id>``."""

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a server says of itself.

    Args:
        deployment_id: where it records.
        stores: store id by role (``tracking``, ``registry``); a role that is not recorded is
            missing.
    """

    deployment_id: str
    stores: Mapping[str, str]

    def to_headers(self) -> dict[str, str]:
        """As headers of an answer."""
        stores = ", ".join(f"{role}={store_id}" for role, store_id in self.stores.items())
        return {DEPLOYMENT_HEADER: self.deployment_id, STORES_HEADER: stores}


PENDING = Announcement("pending", {})
"""A server that records, and can't say yet what: its database does not answer."""


def parse_announcement(headers: Mapping[str, str]) -> Announcement | None:
    """What a server said of itself; None if it said nothing.

    Args:
        headers: of any answer of its API; found whatever the case of their names.
    """
    found = {name.lower(): value for name, value in headers.items()}
    deployment_id = found.get(DEPLOYMENT_HEADER.lower(), "").strip()
    if not deployment_id:
        return None
    stores = {}
    for item in found.get(STORES_HEADER.lower(), "").split(","):
        role, _, store_id = item.strip().partition("=")
        if role and store_id:
            stores[role] = store_id
    return Announcement(deployment_id, stores)


Read = Callable[[], Announcement | None]
"""Gives the announcement; `PENDING` while the database does not answer; None if nothing is."""


def announce_on_flask(app: Any, read: Read) -> None:
    """Let every API answer of a Flask app carry the announcement; also after its first request."""
    from flask import request

    def announce(response: Any) -> Any:
        if _is_api(request.path):
            announcement = read()
            if announcement is not None:
                response.headers.update(announcement.to_headers())
        return response

    # Not `app.after_request`: that is refused once the app has answered.
    app.after_request_funcs.setdefault(None, []).append(announce)


class NativeRoutes:
    """ASGI layer around MLflow's FastAPI app: keeps the request's state, and announces.

    Args:
        app: the layers inside.
        read: gives the announcement; called in a thread, for it may open the database.
    """

    def __init__(self, app: Application, read: Read) -> None:
        self._app = app
        self._read = read

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_announced(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_api(scope["path"]):
                await self._announce(message)
            await send(message)

        token = native_state.set(scope.setdefault("state", {}))
        try:
            await self._app(scope, receive, send_announced)
        finally:
            native_state.reset(token)

    async def _announce(self, message: Message) -> None:
        present = {name.lower() for name, _ in message.get("headers", ())}
        if DEPLOYMENT_HEADER.lower().encode() in present:
            return
        announcement = await asyncio.to_thread(self._read)
        if announcement is not None:
            added = [
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in announcement.to_headers().items()
            ]
            message["headers"] = [*message.get("headers", ()), *added]


def announce_on_fastapi(module: Any, read: Read) -> None:
    """Put `NativeRoutes` around each app that ``mlflow.server.fastapi_app`` makes.

    Args:
        module: that module, just loaded; its apps have not answered yet.
        read: gives the announcement.
    """
    import functools

    make = module.create_fastapi_app

    @functools.wraps(make)
    def create_fastapi_app(*args: Any, **kwargs: Any) -> Any:
        app = make(*args, **kwargs)
        app.add_middleware(NativeRoutes, read=read)
        return app

    module.create_fastapi_app = create_fastapi_app
    module.app.add_middleware(NativeRoutes, read=read)


def _is_api(path: str) -> bool:
    return "/api/" in path or "/ajax-api/" in path
