"""Who acts in a server, and how it says that it records: on apps of Flask and Starlette."""

from __future__ import annotations

import asyncio
import builtins
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask, Response, g

from chain_client.events import Actor
from mlflow_chain.process import find_backend, find_registry, serves
from mlflow_chain.server.actor import current_actor
from mlflow_chain.server.announcement import (
    Announcement,
    NativeRoutes,
    announce_on_flask,
    parse_announcement,
)
from mlflow_chain.server.loading import after_loading

ANNOUNCED = Announcement("d1", {"tracking": "s1", "registry": "s2"})


@pytest.fixture
def in_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process is taken for a server's worker."""
    monkeypatch.setenv("_MLFLOW_SERVER_FILE_STORE", "chain+sqlite:///a.db")
    serves.cache_clear()
    yield
    serves.cache_clear()


@contextmanager
def _auth_app(monkeypatch: pytest.MonkeyPatch, authenticate: str) -> Iterator[Flask]:
    """A Flask app guarded as MLflow before 3.13 guards its own: nothing is noted in ``g``."""
    app = Flask(__name__)
    auth = SimpleNamespace(
        _before_request=lambda: None,
        auth_config=SimpleNamespace(authorization_function=authenticate),
        is_unprotected_route=lambda path: path == "/open",
    )
    monkeypatch.setitem(sys.modules, "mlflow.server.auth", auth)
    app.before_request(auth._before_request)
    yield app


BASIC = "mlflow.server.auth:authenticate_request_basic_auth"
LOGIN = {"headers": {"Authorization": "Basic YWRhOnNlY3JldA=="}}


def test_a_script_claims_its_user() -> None:
    actor = current_actor()
    assert actor.authenticated is None
    assert actor.claimed


@pytest.mark.usefixtures("in_server")
def test_the_user_whom_the_auth_app_noted_is_the_actor() -> None:
    app = Flask(__name__)
    with app.test_request_context(**LOGIN):
        assert current_actor() == Actor(), "nobody has checked the header"
        g.mlflow_authenticated_user = "bob"
        assert current_actor() == Actor(authenticated="bob")
    assert current_actor() == Actor()


@pytest.mark.usefixtures("in_server")
def test_where_nothing_is_noted_the_checked_header_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    with _auth_app(monkeypatch, BASIC) as app:
        with app.test_request_context("/api", **LOGIN):
            assert current_actor() == Actor(authenticated="ada")
        with app.test_request_context("/open", **LOGIN):
            assert current_actor() == Actor(), "nobody checks the header there"
        with Flask("other").test_request_context("/api", **LOGIN):
            assert current_actor() == Actor(), "nothing guards that app"
    with (
        _auth_app(monkeypatch, "company:sso") as app,
        app.test_request_context("/api", **LOGIN),
    ):
        assert current_actor() == Actor(), "who that function let in is not known"


def _answer(path: str, state: dict[str, Any], headers: list[Any]) -> tuple[list[Any], Actor]:
    seen: list[Any] = []
    actors: list[Actor] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["state"].update(state)
        actors.append(await asyncio.to_thread(current_actor))
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def send(message: Any) -> None:
        seen.append(message)

    async def receive() -> Any:
        return {}

    layer = NativeRoutes(app, lambda: ANNOUNCED)
    asyncio.run(layer({"type": "http", "path": path}, receive, send))
    return seen[0]["headers"], actors[0]


@pytest.mark.usefixtures("in_server")
def test_native_routes_know_their_user_and_announce_once() -> None:
    headers, actor = _answer("/api/2.0/x", {"username": "ada"}, [])
    assert actor == Actor(authenticated="ada")
    assert parse_announcement({k.decode(): v.decode() for k, v in headers}) == ANNOUNCED
    again, actor = _answer("/api/2.0/x", {}, headers)
    assert again == headers
    assert actor == Actor()
    assert _answer("/health", {}, [])[0] == []


def test_flask_announces_also_when_it_has_answered_before() -> None:
    app = Flask(__name__)
    app.add_url_rule("/api/x", view_func=lambda: Response("x"))
    with app.test_client() as client:
        assert parse_announcement(dict(client.get("/api/x").headers)) is None
        announce_on_flask(app, lambda: ANNOUNCED)
        assert parse_announcement(dict(client.get("/api/x").headers)) == ANNOUNCED
        assert parse_announcement(dict(client.get("/api/missing").headers)) == ANNOUNCED
        assert parse_announcement(dict(client.get("/missing").headers)) is None


def test_what_a_later_server_adds_to_its_announcement_is_no_obstacle() -> None:
    found = parse_announcement(
        {"x-mlops-chain-deployment": "d", "x-mlops-chain-stores": "tracking=a, other=b, odd,"}
    )
    assert found == Announcement("d", {"tracking": "a", "other": "b"})
    assert parse_announcement({"x-mlops-chain-stores": "tracking=a"}) is None


def test_a_module_is_announced_when_it_is_loaded_and_an_error_there_breaks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("awaited_one", "awaited_two"):
        (tmp_path / f"{name}.py").write_text("value = 1")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    seen: list[int] = []

    def refuse(module: Any) -> None:
        raise RuntimeError(module.value)

    after_loading({"awaited_one": lambda module: seen.append(module.value), "awaited_two": refuse})
    assert seen == []
    assert importlib.import_module("awaited_one").value == 1
    assert importlib.import_module("awaited_two").value == 1
    assert seen == [1]
    assert "awaited_two" in caplog.text
    after_loading({"awaited_one": lambda module: seen.append(2)})
    assert seen == [1, 2]


def test_who_only_looks_whether_a_module_is_there_takes_nothing_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "probed.py").write_text("if broken:\n    raise ImportError")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    heard: list[str] = []
    after_loading({"probed": lambda module: heard.append(module.__name__)})
    for _ in range(2):
        assert importlib.util.find_spec("probed") is not None
    monkeypatch.setattr(builtins, "broken", True, raising=False)
    with pytest.raises(ImportError):
        importlib.import_module("probed")
    assert heard == []
    monkeypatch.setattr(builtins, "broken", False)
    importlib.import_module("probed")
    assert heard == ["probed"]


def test_a_worker_knows_its_stores_and_a_job_serves_nothing() -> None:
    worker = {"_MLFLOW_SERVER_FILE_STORE": "a", "_MLFLOW_SERVER_REGISTRY_STORE": "b"}
    assert (find_backend(worker), find_registry(worker)) == ("a", "b")
    assert find_registry({"_MLFLOW_SERVER_FILE_STORE": "a"}) == "a"
    assert find_backend(worker | {"_MLFLOW_IN_JOB_EXECUTOR": "true"}) is None
    assert find_backend(worker | {"_MLFLOW_IN_JOB_EXECUTOR": "false"}) == "a"
    assert find_registry({}) is None
