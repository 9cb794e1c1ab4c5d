"""The command line: help, JSON, exit codes, and errors without a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from chain_client.cli import cli
from chain_client.client import ChainClient
from chain_client.home import Home
from chain_client.hosts import StoreBinding

Run = Callable[..., tuple[int, str, str]]
COMMANDS = sorted(cli.commands)
NEEDED = {
    "alarm list": [],
    "alarm acknowledge": ["in_doubt", "--reason", "r"],
    "draft list": [],
    "key list": [],
    "lineage": ["fraud@champion"],
    "model list": [],
    "policy show": [],
    "role list": [],
    "ship": ["folder:inbox"],
    "tx list": [],
    "user list": [],
    "explain": ["--kind", "other", "--reason", "r", "--yes"],
}
"""What commands need beside their name; of a group, those that need nothing else are tried."""
GROUPS = {name for name, command in cli.commands.items() if isinstance(command, click.Group)}
NETWORK = {"deploy", "join"}
"""Commands that need a network; tests/integration/network tries them on one."""
WORDS = {
    name: NEEDED.get(name, [])
    for name in [*COMMANDS, *NEEDED]
    if name not in GROUPS and name not in NETWORK
}
NOT_HERE = ("relay", "alarm acknowledge", "lineage")
"""Commands that need what an empty home has not, or further words to end."""
ENDING: list[tuple[str, list[str]]] = [
    *((name, words) for name, words in WORDS.items() if name not in NOT_HERE),
    ("relay", ["--once"]),
    ("relay", ["--until-idle"]),
]
"""Every command, in a form that ends by itself."""


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(mlops_chain: Run, command: str) -> None:
    code, out, _ = mlops_chain(command, "--help")
    assert code == 0
    assert "Example" in out
    assert f"mlops-chain {command}" in out or f"{command}\n" in out
    assert "--json" in out or command in GROUPS


def test_the_commands_are_those_of_the_documents() -> None:
    assert {"doctor", "init", "relay", "status", "verify"} <= set(COMMANDS)


@pytest.mark.parametrize(("command", "words"), ENDING, ids=str)
def test_json_is_one_document(
    mlops_chain: Run,
    home: Path,
    command: str,
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The process of the tests keeps its priority and its signal handlers.
    monkeypatch.setattr("os.nice", lambda increment: 0)
    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_IDLE_S", "0.01")
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")
    code, out, _ = mlops_chain("--home", home, *command.split(), *words, "--json")
    assert code == 0
    assert json.loads(out).get("ok", True) is True


@pytest.mark.parametrize("command", [name for name in WORDS if name != "init"])
@pytest.mark.parametrize("json_wanted", [False, True])
def test_a_missing_home_is_an_error_on_standard_error(
    mlops_chain: Run, tmp_path: Path, command: str, json_wanted: bool
) -> None:
    words = [*WORDS[command], *(["--json"] if json_wanted else [])]
    code, out, err = mlops_chain("--home", tmp_path / "none", *command.split(), *words)
    assert code == 2
    assert err.startswith("error: there is no home at ")
    assert "mlops-chain init" in err
    assert "Traceback" not in out + err
    assert not (tmp_path / "none").exists()
    if command == "verify" and json_wanted:
        document = json.loads(out)
        assert (document["ok"], document["findings"]) == (False, [])
    else:
        assert out == ""


@pytest.mark.parametrize(
    "words", [["nonsense"], ["verify", "--nonsense"], ["verify", "--run", "a", "--model", "b"]]
)
def test_a_wrong_word_is_an_error_with_exit_code_2(
    mlops_chain: Run, home: Path, words: list[str]
) -> None:
    code, out, err = mlops_chain("--home", home, *words)
    assert (code, out) == (2, "")
    assert "Error" in err


def test_what_nobody_expected_is_no_finding_and_shows_no_traceback(
    mlops_chain: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a payload")

    monkeypatch.setattr(ChainClient, "verify", fail)
    code, out, err = mlops_chain("--home", home, "verify")
    assert code == 2
    assert "unexpected RuntimeError" in err
    assert "a payload" not in out + err
    assert "Traceback" not in out + err


def test_init_again_changes_nothing(mlops_chain: Run, home: Path) -> None:
    before = json.loads(mlops_chain("--home", home, "init", "--json")[1])
    again = json.loads(mlops_chain("--home", home, "init", "--json")[1])
    assert before == again
    assert before["created"] is False


def test_init_makes_a_home_and_says_what_comes_next(mlops_chain: Run, tmp_path: Path) -> None:
    code, out, err = mlops_chain("--home", tmp_path / "new", "init")
    assert (code, err) == (0, "")
    assert "created" in out
    for uri in ("chain+sqlite:///mlflow.db", "--backend-store-uri chain+", "chain+https://"):
        assert uri in out
    assert (tmp_path / "new" / "deployment.json").exists()


def test_the_home_of_the_environment_is_used(
    mlops_chain: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(home))
    code, out, _ = mlops_chain("status", "--json")
    assert (code, json.loads(out)["home"]) == (0, str(home))


@pytest.mark.parametrize("command", ["status", "verify", "doctor"])
def test_people_are_told_what_programs_are(mlops_chain: Run, home: Path, command: str) -> None:
    code, out, _ = mlops_chain("--home", home, command)
    assert code == 0
    assert "chain" in out
    assert "Traceback" not in out


@pytest.mark.filterwarnings("ignore")  # MLflow's own imports warn
def test_a_tracking_uri_that_records_elsewhere_could_not_be_checked(
    mlops_chain: Run, home: Path
) -> None:
    words = ("verify", "--tracking-uri", "postgresql://me:hunter2@127.0.0.1:9/mlflow")
    code, _, err = mlops_chain("--home", home, *words)
    assert code == 2
    assert f"***@127.0.0.1:9/mlflow does not record into {home}" in err
    assert "hunter2" not in err
    assert "Databases that record there: none yet" in err


@pytest.mark.filterwarnings("ignore")  # MLflow's own imports warn
def test_a_database_that_is_not_known_is_named_with_what_may_be_the_cause(
    mlops_chain: Run, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recorded = tmp_path / "mlflow.db"
    Home(home).put_store(StoreBinding("5" * 32, "mlflow", f"sqlite:///{recorded}"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "chain+sqlite:///mlflow.db")
    code, _, err = mlops_chain("--home", home, "verify")
    assert code == 2
    assert f"chain+sqlite:///mlflow.db does not record into {home}" in err
    assert f"it is the file {elsewhere}/mlflow.db, which does not exist" in err
    assert f"Databases that record there: sqlite:///{recorded}" in err
    (elsewhere / "mlflow.db").write_bytes(b"")
    err = mlops_chain("--home", home, "verify")[2]
    assert f"if it was moved there, open it once with chain+sqlite:///{elsewhere}/mlflow.db" in err
