"""A champion by approval: what people do, and what an impatient data scientist can't.

    python examples/gated_promotion.py

It works in a temporary folder on the embedded chain, and drives the real things only: an
`mlflow server` with two workers and basic auth, plain MLflow clients that know nothing of us, and
the command `mlops-chain`. It is a check and not a show: it fails if any door lets somebody through.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests

WIDTH = 80
START_S = 180
MODEL = "fraud"
POLICY = """[groups]
risk = ["bob", "carol"]

[default."alias:champion"]
group = "risk"
approvals = 2

[default."stage:Production"]
group = "risk"
approvals = 2
"""
AUTH = """[mlflow]
default_permission = MANAGE
database_uri = sqlite:///basic_auth.db
admin_username = admin
admin_password = {password}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""


class StoryFailed(Exception):
    """Something happened that must not; the text says what."""


def tell(text: str) -> None:
    """A paragraph for a person."""
    print("\n" + textwrap.fill(text, WIDTH))


class Team:
    """A folder with a home, keys of people, and a server.

    Args:
        folder: everything is in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.password = secrets.token_urlsafe(12)
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{found.getsockname()[1]}"
        ours = ("MLFLOW_", "MLOPS_CHAIN_")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(ours)},
            "MLOPS_CHAIN_HOME": str(self.home),
            "MLOPS_CHAIN_RELAY_AUTOSTART": "false",  # the story brings things on by itself
            "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_urlsafe(16),
            "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
            "PYTHONWARNINGS": "ignore",
            "COLUMNS": str(WIDTH),
            "DO_NOT_TRACK": "true",
        }

    def chain(self, *words: str, shown: bool = True) -> str:
        """Run `mlops-chain …`, which has to succeed, and show it: its output."""
        if shown:
            print(f"\n$ mlops-chain {' '.join(words)}")
        done = subprocess.run(
            [sys.executable, "-m", "chain_client.cli", *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if shown:
            print(_without_text_to_sign(done.stdout).rstrip())
        if done.returncode:
            raise StoryFailed(
                f"mlops-chain {' '.join(words)} failed:\n{done.stderr or done.stdout}"
            )
        return done.stdout

    def found(self) -> None:
        """Make home, keys and rights."""
        self.chain("init", shown=False)
        for name in ("ada", "bob", "carol"):
            (self.folder / name).mkdir()
            (self.folder / name / "password").write_text(secrets.token_hex(32))
            key = f"{name}/{name}.json"
            words = ("--file", key, "--password-file", f"{name}/password", "--json")
            made = json.loads(self.chain("key", "new", *words, shown=False))
            self.chain("user", "bind", name, made["address"])
        self.chain("role", "grant", "requester", "ada")
        (self.folder / "policy.toml").write_text(POLICY)
        self.chain("policy", "apply", "policy.toml", "--yes")

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """An MLflow server with two workers and basic auth, ended with the block."""
        (self.folder / "auth.ini").write_text(AUTH.format(password=self.password))
        log = self.folder / "server.log"
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth"),
            *("--backend-store-uri", f"chain+sqlite:///{self.folder}/mlflow.db"),
            *("--artifacts-destination", str(self.folder / "artifacts")),
            *("--host", "127.0.0.1", "--port", self.url.rpartition(":")[2], "--workers", "2"),
        ]
        with log.open("wb") as stream:
            server = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait(server, log)
            user = {"username": "dan", "password": self.password}
            path = f"{self.url}/api/2.0/mlflow/users/create"
            made = requests.post(path, json=user, auth=("admin", self.password), timeout=60)
            made.raise_for_status()
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
            try:
                server.wait(30)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(server.pid, signal.SIGKILL)

    def _wait(self, server: subprocess.Popen[bytes], log: Path) -> None:
        deadline = time.monotonic() + START_S
        while True:
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(f"{self.url}/health", timeout=10).ok:
                    return
            if server.poll() is not None or time.monotonic() > deadline:
                raise StoryFailed(f"the server did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.1)


class DataScientist:
    """Dan: a plain MLflow client, by name and password; not a line here knows of mlops-chain.

    Args:
        team: whose server he uses.
    """

    def __init__(self, team: Team) -> None:
        os.environ |= {
            "MLFLOW_TRACKING_USERNAME": "dan",
            "MLFLOW_TRACKING_PASSWORD": team.password,
            "DO_NOT_TRACK": "true",
        }
        from mlflow import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.WARNING)
        self._team = team
        self.client = MlflowClient(team.url)
        self.locations: dict[int, tuple[str, str]] = {}

    def train(self, number: int) -> None:
        """A run with a model in it, registered as the next version."""
        run = self.client.create_run("0").info
        folder = self._team.folder / "training" / str(number)
        folder.mkdir(parents=True)
        (folder / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: none\n")
        (folder / "weights.bin").write_bytes(bytes([number]) * 1000)
        self.client.log_artifacts(run.run_id, str(folder), "model")
        source = f"{run.artifact_uri}/model"
        made = self.client.create_model_version(MODEL, source, run.run_id)
        self.locations[int(made.version)] = (run.run_id, source)

    def champion(self) -> int | None:
        """The version that everybody loads as models:/fraud@champion."""
        from mlflow.exceptions import MlflowException

        try:
            found = self.client.get_model_version_by_alias(MODEL, "champion")
        except MlflowException:
            return None
        return int(found.version)

    def doors(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """Every way that he can think of to get his version 2 out today."""
        client = self.client
        yield (
            "sets the alias",
            lambda: client.set_registered_model_alias(MODEL, "champion", "2"),
        )
        yield (
            "takes the alias away, to set it afterwards",
            lambda: client.delete_registered_model_alias(MODEL, "champion"),
        )
        yield "moves his version to Production", lambda: self._transition("2")
        yield (
            "renames the model, to make one of that name himself",
            lambda: client.rename_registered_model(MODEL, "fraud-old"),
        )
        yield "deletes the model", lambda: client.delete_registered_model(MODEL)
        yield "deletes the champion", lambda: client.delete_model_version(MODEL, "1")
        yield "uploads his weights over the champion's", lambda: self._overwrite(1)
        yield (
            "claims approvals in a tag",
            lambda: client.set_model_version_tag(MODEL, "2", "mlops_chain.approvals", "2 of 2"),
        )

    def _transition(self, version: str) -> None:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MLflow calls stages deprecated
            self.client.transition_model_version_stage(
                MODEL, version, "Production", archive_existing_versions=True
            )

    def _overwrite(self, version: int) -> None:
        run_id, _ = self.locations[version]
        own = self._team.folder / "training" / "2" / "weights.bin"
        self.client.log_artifact(run_id, str(own), "model")


def knock(dan: DataScientist, title: str, door: Callable[[], object]) -> str:
    """Try a door, which must stay shut: what he is told.

    Raises:
        StoryFailed: it opened.
    """
    from mlflow.exceptions import MlflowException

    try:
        door()
    except (MlflowException, requests.HTTPError) as exc:
        said = _message_of(exc)
    else:
        raise StoryFailed(f"dan {title}, and nothing stopped him")
    print(f"\ndan {title}")
    text = textwrap.fill(said, WIDTH - 2, break_on_hyphens=False, break_long_words=False)
    print(textwrap.indent(text, "  "))
    return said


def _message_of(exc: Exception) -> str:
    """What an error says; of an upload, what stands in the answer."""
    response = getattr(exc, "response", None)
    if response is not None:
        with contextlib.suppress(ValueError, KeyError):
            answer = response.json()
            return f"{answer['error_code']}: {answer['message']}"
    return str(getattr(exc, "message", exc))


def run(folder: Path) -> None:
    """The story, in an empty folder.

    Raises:
        StoryFailed: something happened that must not.
    """
    team = Team(folder)
    tell(
        "Ada may ask for promotions; Bob and Carol have to approve. Their keys are their own, and "
        "lie outside the server's home."
    )
    team.found()
    with team.serving():
        dan = DataScientist(team)
        dan.client.create_registered_model(MODEL)
        dan.train(1)
        tell("Dan has trained version 1. Ada proposes it, Bob approves.")
        _propose_and_approve(team, ("model", "propose", MODEL, "1", "--target", "@champion"))
        _expect(dan, 1)
        dan.train(2)
        tell("Version 1 is the champion. Dan has trained version 2, and does not want to wait:")
        refusals = []
        for title, door in dan.doors():
            refusals.append(knock(dan, title, door))
            _expect(dan, 1)
        tell("He was told what is missing, and each wish for the champion has become a draft:")
        drafts = json.loads(team.chain("draft", "list", "--json", shown=False))["drafts"]
        wanted = next(one for one in drafts if one["target"] == "alias:champion")
        if wanted["id"] not in refusals[0] or wanted["authenticated"] != "dan":
            raise StoryFailed("the refusal does not name dan's draft")
        team.chain("draft", "list")
        tell("Ada likes it, and proposes it as it is.")
        _propose_and_approve(team, ("draft", "propose", wanted["id"]))
        _expect(dan, 2)
        tell("Now everybody loads version 2. Who decided that stays on chain for ever:")
        team.chain("model", "history", MODEL, "--target", "@champion")
        team.chain("relay", "--once", shown=False)
    team.chain("verify")


def _propose_and_approve(team: Team, words: tuple[str, ...]) -> None:
    """Ada proposes, Bob approves here, Carol signs a file anywhere; then it is promoted."""
    said = team.chain(*words, "--key", "ada/ada.json", "--yes")
    found = re.search("^proposed 0x([0-9a-f]{12})", said, flags=re.MULTILINE)
    if found is None:
        raise StoryFailed("the proposal has no id")
    proposal = found[1]
    team.chain("model", "approve", proposal, "--key", "bob/bob.json", "--yes")
    tell("Carol has no access to the server. She gets a file, signs it, and sends it back.")
    asked, signed = f"{proposal}-asked.json", f"{proposal}-carol.json"
    team.chain("model", "approve", proposal, "--out", asked)
    sign = ("--in", asked, "--key", "carol/carol.json", "--offline", "--out", signed, "--yes")
    team.chain("model", "approve", *sign)
    team.chain("model", "approve", "--in", signed)
    tell("The quorum stands. A relay would do the rest by itself; here it is done by hand.")
    team.chain("sync")


def _expect(dan: DataScientist, version: int) -> None:
    found = dan.champion()
    if found != version:
        raise StoryFailed(f"the champion is {found}, and must be {version}")


def _without_text_to_sign(text: str) -> str:
    """A command's output; of what is signed only the first line, for it comes often here."""
    return re.sub(r"(?ms)^(Promote version [^\n]*)\n.*?^Salt: [^\n]*\n", r"\1\n[…]\n", text)


def main() -> int:
    """Run the story; exit code 1 if it fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path, help="An empty folder that is kept.")
    asked: Any = parser.parse_args()
    folder = (asked.folder or Path(tempfile.mkdtemp(prefix="gated-promotion-"))).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        run(folder)
    except StoryFailed as exc:
        print(f"\nFAILED: {exc}", file=sys.stderr)
        return 1
    finally:
        if asked.folder is None:
            shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
