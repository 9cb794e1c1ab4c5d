"""A team's MLflow on each server stack: four workers, basic auth, a relay, and a champion.

The attacker is MLflow's own admin: every right in MLflow, but no key, and no way to the storage,
the database or the home. What they call knows nothing of us.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
import pytest
import requests
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from chain_client.client import ChainClient
from chain_client.config import Settings
from chain_client.event_codec import decode_event
from chain_client.relay.lock import is_relay_running
from tests.governed import ALICE
from tests.integration.attacks.board import CHAMPION, PRODUCTION, Board
from tests.integration.gate_files.conftest import write_model
from tests.mlflow_server import Server, Site, launch, wait_until

ADMIN = ("admin", "a-long-admin-password-1")
STACKS = {
    "fastapi": ("--enable-workspaces",),
    "flask": ("--gunicorn-opts", "--timeout 120"),
}
"""Both of MLflow's server stacks; one of them with workspaces."""
CONFIG = """[mlflow]
default_permission = MANAGE
database_uri = sqlite:///{folder}/basic_auth.db
admin_username = {name}
admin_password = {password}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 3600
"""
MLFLOW = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
PROXIED = "mlflow-artifacts:"
PATIENCE_S = 90
FINAL = (403, 409)
"""What a refused caller gets: MLflow's clients try neither again."""


def content(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder; None for what is no file."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@dataclass
class Refusals:
    """What refused callers were told, and the drafts that it names."""

    texts: list[str] = field(default_factory=list)

    def drafts(self) -> set[str]:
        """Ids of drafts, by the words in which they are told."""
        found = (re.findall(r"(?:draft propose|draft) ([0-9a-f]{16})", t) for t in self.texts)
        return {id_ for ids in found for id_ in ids}


@dataclass
class Fortress:
    """A server with a champion, and what an attacker does to it.

    Args:
        server: of MLflow.
        refusals: everything that was refused here.
        before: how it stood before the first attack.
        model_id: of the logged model that is version 1, the champion.
        run_id: of the run in whose files version 2 lies; it is proposed, and lacks an approval.
        model_below: path of the logged model's files below the server's root.
        run_below: the same of the run's.
    """

    server: Server
    refusals: Refusals = field(default_factory=Refusals)
    before: dict[str, Any] = field(default_factory=dict)
    model_id: str = ""
    run_id: str = ""
    model_below: str = ""
    run_below: str = ""

    @property
    def site(self) -> Site:
        """Its folder."""
        return self.server.site

    @property
    def client(self) -> MlflowClient:
        """A plain client, logged in as the admin."""
        return MlflowClient(self.server.url)

    @property
    def artifacts(self) -> Path:
        """Where the server keeps files."""
        return self.site.folder / "artifacts"

    @property
    def candidate_below(self) -> str:
        """Path of the files of version 2 below the server's root."""
        return f"{self.run_below}/model"

    def ask(
        self, method: str, path: str, body: Any = None, data: bytes | None = None, **more: Any
    ) -> requests.Response:
        """One request of the admin, on a connection of its own, so by any worker."""
        answer = requests.request(
            method, self.server.url + path, json=body, data=data, timeout=60, auth=ADMIN, **more
        )
        answer.close()
        return answer

    def refused(self, answer: requests.Response, *words: str) -> str:
        """The text of a refusal, which must be final, and say what helps."""
        assert answer.status_code in FINAL, (answer.status_code, answer.text)
        said = answer.json()
        names = {403: "PERMISSION_DENIED", 409: "RESOURCE_CONFLICT"}
        assert said["error_code"] == names[answer.status_code]
        return self._told(said["message"], *words)

    def refuses(self, call: Callable[..., Any], *args: Any, words: tuple[str, ...] = ()) -> str:
        """The same of a call of MLflow's client."""
        with pytest.raises(MlflowException) as caught:
            call(*args)
        code: Any = caught.value.error_code
        assert code in ("PERMISSION_DENIED", "RESOURCE_CONFLICT"), caught.value
        return self._told(str(caught.value.message), *words)

    def _told(self, text: str, *words: str) -> str:
        self.refusals.texts.append(text)
        for word in words or ("mlops-chain",):
            assert word in text, text
        return text

    def names(self, kind: str) -> str:
        """A name that nothing has."""
        return f"{kind}-{secrets.token_hex(4)}"

    def make_model(self, name: str, source: str = "unapproved") -> None:
        """A model with one version, whose files are those of a run."""
        self.client.create_registered_model(name)
        self.make_version(name, source)

    def make_version(self, name: str, source: str = "unapproved") -> str:
        """One more version: its number."""
        body = {
            "name": name,
            "source": f"{PROXIED}/{self.run_below}/{source}",
            "run_id": self.run_id,
        }
        answer = self.ask("POST", f"{MLFLOW}/model-versions/create", body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["model_version"]["version"])

    def set_alias(self, name: str, alias: str, version: object, **more: Any) -> requests.Response:
        """By plain HTTP: MLflow's client refuses some by itself."""
        body = {"name": name, "alias": alias, "version": str(version)}
        return self.ask("POST", f"{MLFLOW}/registered-models/alias", body, **more)

    def transition(self, name: str, version: object, stage: str, **more: Any) -> requests.Response:
        """By plain HTTP, archiving what is there unless told not to."""
        body = {"archive_existing_versions": True, "stage": stage, "version": str(version)}
        path = f"{MLFLOW}/model-versions/transition-stage"
        return self.ask("POST", path, {"name": name, **body, **more})

    def upload(self, below: str, name: str, content: bytes) -> requests.Response:
        """Send a file to the server's artifacts."""
        return self.ask("PUT", f"{ARTIFACTS}/{below}/{name}", data=content)

    def stands(self) -> dict[str, Any]:
        """What MLflow has of the model, and the files behind it; no server is asked."""
        rows = self.site.rows
        return {
            "model": rows(
                "SELECT creation_time FROM registered_models "
                "WHERE name = 'fraud' AND workspace = 'default'"
            ),
            "aliases": rows(
                "SELECT alias, version FROM registered_model_aliases "
                "WHERE name = 'fraud' AND workspace = 'default' ORDER BY alias"
            ),
            "versions": rows(
                "SELECT version, current_stage, source, storage_location FROM model_versions "
                "WHERE name = 'fraud' AND workspace = 'default' AND version <= 3 ORDER BY version"
            ),
            "files": {
                below: content(self.artifacts / below)
                for below in (self.model_below, self.candidate_below)
            },
        }

    def loaded(self, uri: str) -> dict[str, bytes | None]:
        """The bytes that a plain client gets for a model."""
        folder = Path(mlflow.artifacts.download_artifacts(uri))
        found = content(folder)
        shutil.rmtree(folder, ignore_errors=True)
        return found

    @contextmanager
    def opened(self, **settings: Any) -> Iterator[ChainClient]:
        """The home, as its owner opens it."""
        client = ChainClient.open(Settings(home=self.site.home, relay_autostart=False, **settings))
        try:
            yield client
        finally:
            client.recorder.close()
            client.close()

    def logged(self, type_: str) -> list[Any]:
        """Events of a type that are in the log."""
        with self.opened() as client:
            entries = client.log.entries()
            found = [decode_event(entry.event) for entry in entries if entry.event is not None]
        return [event for event in found if event.type == type_]


@contextmanager
def relaying(fortress: Fortress) -> Iterator[None]:
    """A relay as a service."""
    site = fortress.site
    process = subprocess.Popen(
        [sys.executable, "-m", "chain_client.cli", "--home", str(site.home), "relay"],
        stdout=subprocess.DEVNULL,
        stderr=(site.folder / "relay.log").open("ab"),
        env=site.environment,
        cwd=site.folder,
        start_new_session=True,
    )
    try:
        with fortress.opened() as client:
            lock = client.folder.relay_lock
        wait_until(lambda: is_relay_running(lock), PATIENCE_S)
        yield
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=PATIENCE_S)


def make_site(founded_home: Path, folder: Path, database: Path, **variables: str) -> Site:
    """A place for a server with basic auth."""
    shutil.copytree(founded_home, folder / "home")
    named = {"folder": folder, "name": ADMIN[0], "password": ADMIN[1]}
    (folder / "auth.ini").write_text(CONFIG.format(**named))
    (folder / "owner").mkdir()
    given = {
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "static-in-tests",
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "HOME": str(folder / "owner"),
        "MLOPS_CHAIN_SPOOL_DURABILITY": "process",
    }
    site = Site(folder, folder / "home", given | variables)
    shutil.copy(database, site.database)
    return site


def fill(fortress: Fortress, folder: Path) -> None:
    """A model whose version 1 is promoted, 2 is proposed, and 3 nobody has approved; and a toy."""
    client = fortress.client
    sources = [
        write_model(folder / str(number), f"fort_{os.getpid()}_{number}", str(number))
        for number in (1, 2, 3, 4)
    ]
    (sources[0] / "traces.pb").write_bytes(b"a file by the name that MLflow's archive uses")
    model = client.create_logged_model("0", name="net")
    client.log_model_artifacts(model.model_id, str(sources[0]))
    client.finalize_logged_model(model.model_id, "READY")
    run = client.create_run("0")
    client.log_artifacts(run.info.run_id, str(sources[1]), "model")
    client.log_artifacts(run.info.run_id, str(sources[2]), "unapproved")
    client.log_artifacts(run.info.run_id, str(sources[3]), "toy")
    fortress.model_id, fortress.run_id = model.model_id, run.info.run_id
    fortress.model_below = model.artifact_location.removeprefix(f"{PROXIED}/")
    fortress.run_below = run.info.artifact_uri.removeprefix(f"{PROXIED}/")
    client.create_registered_model("fraud")
    body = {"name": "fraud", "source": f"models:/{model.model_id}", "model_id": model.model_id}
    assert fortress.ask("POST", f"{MLFLOW}/model-versions/create", body).status_code == 200
    for source in ("model", "unapproved"):
        fortress.make_version("fraud", source)
    fortress.make_model("toy", "toy")


def crown(fortress: Fortress) -> None:
    """Version 1 becomes champion and Production; version 2 gets one of two approvals."""
    with fortress.opened(registry_sync=False) as client:
        board = Board(client)
        board.govern()
        digest = board.attest(1)
        for target in (CHAMPION, PRODUCTION):
            board.promote(1, digest, target)
        board.approve(board.propose(2, board.attest(2)), ALICE)
        board.settle()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables with nothing in them, made once: to make them takes seconds."""
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine

    file = tmp_path_factory.mktemp("made") / "mlflow.db"
    engine = create_sqlalchemy_engine(f"sqlite:///{file}")
    _initialize_tables(engine)
    engine.dispose()
    return file


@contextmanager
def standing(stack: str, folder: Path, home: Path, database: Path) -> Iterator[Fortress]:
    """A fortress as its team runs it."""
    site = make_site(home, folder, database)
    with pytest.MonkeyPatch.context() as patch:
        log_in(patch)
        server = launch(site, "--app-name", "basic-auth", *STACKS[stack], workers=4)
        try:
            found = Fortress(server)
            mlflow.set_tracking_uri(server.url)
            fill(found, folder / "sources")
            crown(found)
            with relaying(found):
                wait_until(lambda: _is_crowned(found), PATIENCE_S)
                yield found
        finally:
            server.stop()


@pytest.fixture(scope="session", params=sorted(STACKS))
def fortress(
    request: pytest.FixtureRequest,
    founded_home: Path,
    empty_database: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Fortress]:
    """A fortress on each stack, shared by all attacks; it ends with the tests of this folder."""
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        _standing.append(stack)
        yield stack.enter_context(standing(request.param, folder, founded_home, empty_database))


_standing: list[ExitStack] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, None, None]:
    """A fixture of the session would keep a server running while other folders are tested."""
    yield
    if nextitem is None or nextitem.path.parent != Path(__file__).parent:
        while _standing:
            _standing.pop().close()


def _is_crowned(fortress: Fortress) -> bool:
    client = fortress.client
    stage = client.get_model_version("fraud", "1").current_stage
    return (client.get_registered_model("fraud").aliases, stage) == (
        {"champion": "1"},
        "Production",
    )


def log_in(patch: pytest.MonkeyPatch) -> None:
    """What this process calls, it calls as MLflow's admin, and once."""
    patch.setenv("MLFLOW_TRACKING_USERNAME", ADMIN[0])
    patch.setenv("MLFLOW_TRACKING_PASSWORD", ADMIN[1])
    patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    patch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


@pytest.fixture(autouse=True)
def _as_admin(_own_folder: None, monkeypatch: pytest.MonkeyPatch) -> None:
    log_in(monkeypatch)


@pytest.fixture
def fort(fortress: Fortress) -> Iterator[Fortress]:
    """A fortress of which nothing may have changed after the test."""
    mlflow.set_tracking_uri(fortress.server.url)
    if not fortress.before:
        fortress.before.update(fortress.stands())
    yield fortress
    assert fortress.stands() == fortress.before
