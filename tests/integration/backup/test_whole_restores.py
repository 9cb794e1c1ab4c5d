"""The how-to for backups works as it is written: its shell blocks are run, SQLite and Postgres."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.backup.made_folder import TRAIN
from tests.postgres import running_postgres
from tests.shell_pages import DOCS, run_shell_blocks

NOTES = """
from chain_client import ChainClient
from chain_client.events import Subject

client = ChainClient.open()
client.recorder.note("item.seen", Subject("", "item", "later"), {})
client.recorder.close()
"""
pytestmark = pytest.mark.filterwarnings("ignore")
PAGE = "how-to/back-up-and-restore.md"


def test_a_machine_with_sqlite_is_backed_up_restored_and_what_came_later_explained(
    folder: Path, forking_programs: Path, mlops_chain: Callable[..., tuple[int, str, str]]
) -> None:
    (folder / "train.py").write_text(TRAIN)
    backed_up, restored, later, anew = run_shell_blocks(PAGE, folder, forking_programs)
    assert "final" in backed_up
    assert "It holds." in restored
    assert "FAIL" not in restored
    assert "run_missing" in later
    assert "exit code 1" in later
    assert "recorded by Ada" in later
    assert "created" in anew
    # Of the new record: every run is in the baseline.
    assert mlops_chain("verify")[0] == 0
    assert (folder / "home.lost/log.db").exists()
    assert (folder / "backup").stat().st_mode & 0o077 == 0


def test_databases_on_postgres_are_dumped_and_restored_with_the_homes(
    tmp_path: Path, forking_programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")
    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(tmp_path / "home"))
    text = (DOCS / PAGE).read_text(encoding="utf-8")
    back_up, restore = re.findall(r"^```bash\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    with running_postgres() as server:
        mlflow_db, log_db = server.create(), server.create()
        monkeypatch.setenv("MLFLOW_DB", server.uri(mlflow_db, ""))
        monkeypatch.setenv("LOG_DB", server.uri(log_db, ""))
        monkeypatch.setenv("MLOPS_CHAIN_LOG_URL", server.uri(log_db, "psycopg"))
        python = Path(sys.executable).parent
        folders = [*map(str, (server.binaries, forking_programs, python)), os.environ["PATH"]]
        monkeypatch.setenv("PATH", os.pathsep.join(folders))

        def run(script: str) -> str:
            words = ["bash", "-e", "-c", script]
            done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        run("mlops-chain init")
        (tmp_path / "train.py").write_text(
            TRAIN.replace("chain+sqlite:///mlflow.db", f"chain+{server.uri(mlflow_db)}")
        )
        run("python train.py")
        assert "final" in run(back_up)
        # Some hours later both databases are lost, with all that came since.
        run(f"python -c '{NOTES}'; mlops-chain relay --once")
        for name in (mlflow_db, log_db):
            server.execute("drop schema public cascade; create schema public", name)
        run("rm -rf home/spool; mkdir -m 700 home/spool; mv home/chain/embedded.db newer.db")
        assert "It holds." in run(restore)
        # A network's chain would have gone on: then the log is older than its chain.
        run("mv newer.db home/chain/embedded.db")
        done = subprocess.run(
            ["mlops-chain", "relay", "--once"],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        assert done.returncode == 2
        assert "Put the newest copy back" in done.stderr
