"""Who did it: the user that the server authenticated, on both of MLflow's server stacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mlflow_chain.server.announcement import parse_announcement
from tests.mlflow_server import Server, Site, serving

ADMIN = ("admin", "a-long-admin-password-1")
USERS = {"ada": "a-long-password-of-ada-2", "bob": "a-long-password-of-bob-3"}
STACKS: dict[str, Any] = {"uvicorn": (1,), "gunicorn": (2, "--gunicorn-opts", "--timeout 120")}
"""Workers and options; with more workers `test_workers` runs uvicorn."""
FILED = ("artifacts.uploaded", "artifacts.logged")
"""As a stream, or, by MLflow 3.12's server, as a file of its own."""
CONFIG = """[mlflow]
default_permission = MANAGE
database_uri = sqlite:///basic_auth.db
admin_username = {}
admin_password = {}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""


@pytest.fixture(scope="module", params=sorted(STACKS))
def server(new_site: Callable[..., Site], request: pytest.FixtureRequest) -> Iterator[Server]:
    """With two users, besides the administrator."""
    site = new_site(
        MLFLOW_FLASK_SERVER_SECRET_KEY="static-in-tests", MLFLOW_AUTH_CONFIG_PATH="auth.ini"
    )
    (site.folder / "auth.ini").write_text(CONFIG.format(*ADMIN))
    workers, *options = STACKS[request.param]
    with serving(site, "--app-name", "basic-auth", *options, workers=workers) as running:
        for name, password in USERS.items():
            running.call("users/create", {"username": name, "password": password}, auth=ADMIN)
        yield running


def test_each_write_names_the_user_that_was_authenticated(server: Server) -> None:
    for number in range(3):  # more than one worker answers
        for name, password in USERS.items():
            made = server.call(
                "runs/create",
                {"experiment_id": "0", "user_id": "somebody-else"},
                auth=(name, password),
            )
            tag = {"run_id": made["run"]["info"]["run_id"], "key": "by", "value": f"{name}{number}"}
            server.call("runs/set-tag", tag, auth=(name, password))
    refused = server.ask("/api/2.0/mlflow/runs/set-tag", tag, auth=("ada", "wrong"))
    assert refused.status_code == 401
    tagged = [e for e in server.site.events() if e.type == "run.tag_set"]
    assert len(tagged) == 3 * len(USERS)
    for event in tagged:
        tags: Any = event.payload["tags"]
        assert event.actor.authenticated == tags[0][1][:-1]
        assert event.actor.claimed is None
    created = [e.actor.authenticated for e in server.site.events() if e.type == "run.created"]
    assert sorted(filter(None, created)) == ["ada"] * 3 + ["bob"] * 3


def test_a_client_finds_out_without_a_login_that_the_server_records(server: Server) -> None:
    answer = server.ask("/api/3.0/mlflow/server-info")
    assert answer.status_code in (200, 401)  # MLflow 3.12 asks for a login there too
    assert parse_announcement(answer.headers) is not None


def test_uploads_name_the_user_too(server: Server) -> None:
    made = server.call("runs/create", {"experiment_id": "0"}, auth=("ada", USERS["ada"]))
    artifact_uri = made["run"]["info"]["artifact_uri"]
    server.upload(artifact_uri, "notes.txt", b"hello", auth=("ada", USERS["ada"]))
    logged = [e for e in server.site.events() if e.type in FILED]
    assert [(e.actor.authenticated, e.actor.claimed) for e in logged] == [("ada", None)]
