"""What `make demo` runs holds, fails when it should, and its history is not tuned to it."""

from __future__ import annotations

import importlib.util
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

DEMO = Path(__file__).parents[3] / "examples/demo.py"
FORKING = Path(__file__).with_name("forking.py")
WIDTH = 80


@dataclass(frozen=True)
class Played:
    """A demo that was played with ``--keep``."""

    scene: Any
    text: str
    temporary: Path


@pytest.fixture(scope="module")
def demo() -> Iterator[ModuleType]:
    specification = importlib.util.spec_from_file_location("mlops_chain_demo", DEMO)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    yield module
    del sys.modules[specification.name]


@pytest.fixture(scope="module")
def played(demo: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("demo")
    temporary = tmp_path_factory.mktemp("temporary")
    done = subprocess.run(
        [sys.executable, str(FORKING), str(DEMO), "--keep", str(folder)],
        cwd=temporary,
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr
    return Played(demo.Scene(folder), done.stdout, temporary)


@contextmanager
def changed(file: Path, *statements: str) -> Iterator[None]:
    """A database edited by plain SQL, and put back."""
    before = file.read_bytes()
    with closing(sqlite3.connect(file)) as connection, connection:
        for statement in statements:
            assert connection.execute(statement).rowcount == 1, statement
    try:
        yield
    finally:
        file.write_bytes(before)


def query(file: Path, statement: str) -> Any:
    """The only value of the only row."""
    with closing(sqlite3.connect(file)) as connection:
        [[value]] = connection.execute(statement).fetchall()
    return value


def test_the_demo_shows_every_tampering_by_name(played: Played) -> None:
    kinds = ("metric_changed", "param_missing", "artifact_changed", "log_entry_missing")
    for kind in kinds:
        assert kind in played.text
    assert "All 4 tamperings were named." in played.text
    assert "0x" in played.text
    assert "an event" in played.text


def test_the_demo_fits_a_terminal_and_shows_no_noise(played: Played) -> None:
    too_wide = [line for line in played.text.splitlines() if len(line) > WIDTH]
    # The folder's name is pytest's here, not the demo's.
    assert [line for line in too_wide if str(played.scene.folder) not in line] == []
    for noise in ("alembic", "Warning", "INFO", "Traceback", "\x1b"):
        assert noise not in played.text


def test_the_demo_leaves_no_file_and_no_relay(played: Played) -> None:
    from chain_client.relay.starter import is_relay_running

    assert list(played.temporary.iterdir()) == []
    assert not is_relay_running(played.scene.home / "relay.lock")


def test_the_demo_fails_if_a_tampering_is_not_named(demo: ModuleType, played: Played) -> None:
    metric = played.scene.tamperings()[0]
    nothing = replace(metric, apply=lambda: None)
    with pytest.raises(demo.DemoFailed, match="did not name it"):
        demo.examine(played.scene, nothing)


def test_the_demo_fails_if_something_is_named_that_nobody_touched(
    demo: ModuleType, played: Played
) -> None:
    metric = played.scene.tamperings()[0]
    with (
        changed(played.scene.database, "UPDATE tags SET value = 'x' WHERE key = 'dataset'"),
        pytest.raises(demo.DemoFailed, match=r"(?s)nobody touched.*tag dataset"),
    ):
        demo.examine(played.scene, metric)


def test_verify_names_tamperings_that_the_demo_does_not_make(played: Played) -> None:
    scene = played.scene
    root = query(scene.database, "SELECT run_uuid FROM runs WHERE name = 'grid'")
    trial = query(scene.database, "SELECT run_uuid FROM runs WHERE name = 'C=1.0'")
    where = f"SELECT artifact_uri FROM runs WHERE run_uuid = '{trial}'"
    files = Path(query(scene.database, where).removeprefix("file://"))
    matrix, added = files / "confusion_matrix.json", files / "added.txt"
    before = matrix.read_bytes()
    middle = "WHERE key = 'test_f1' AND step = 2 AND "
    try:
        matrix.unlink()
        added.write_text("nobody logged this", encoding="utf-8")
        with changed(
            scene.database,
            # A point in the middle of a history, which no page of the UI shows first.
            f"UPDATE metrics SET value = 0.5 {middle} run_uuid = '{root}'",
            f"UPDATE params SET value = '570' WHERE key = 'rows' AND run_uuid = '{root}'",
            f"DELETE FROM tags WHERE key = 'dataset' AND run_uuid = '{root}'",
            f"INSERT INTO tags (key, value, run_uuid) VALUES ('reviewed', 'yes', '{trial}')",
            f"UPDATE runs SET status = 'FAILED' WHERE run_uuid = '{trial}'",
            "DELETE FROM registered_model_aliases",
        ):
            code, report = scene.verify()
    finally:
        matrix.write_bytes(before)
        added.unlink()
    assert code == 1
    assert report["ok"] is False
    assert sorted((f["kind"], f["subject"]) for f in report["findings"]) == sorted(
        [
            ("alias_missing", "model breast-cancer/alias champion"),
            ("artifact_missing", f"run {trial}/artifact confusion_matrix.json"),
            ("artifact_unexpected", f"run {trial}/artifact added.txt"),
            ("metric_changed", f"run {root}/metric test_f1"),
            ("param_changed", f"run {root}/param rows"),
            ("run_field_changed", f"run {trial}/status"),
            ("tag_missing", f"run {root}/tag dataset"),
            ("tag_unexpected", f"run {trial}/tag reviewed"),
        ]
    )
    failed = {check["name"] for check in report["checks"] if not check["ok"]}
    assert failed == {"mlflow"}


def test_verify_names_a_rewritten_event_of_the_log(played: Played) -> None:
    scene = played.scene
    edit = "event = CAST(REPLACE(CAST(event AS TEXT), '0.98', '0.99') AS BLOB)"
    where = "WHERE CAST(event AS TEXT) LIKE '%run.metric_logged%best_f1%'"
    entry = query(scene.log, f"SELECT log_index FROM payloads {where}")
    with changed(scene.log, f"UPDATE payloads SET {edit} {where}"):
        code, report = scene.verify()
    assert code == 1
    [named] = [f for f in report["findings"] if f["kind"] == "log_leaf_changed"]
    assert named["subject"].startswith(f"log entry {entry}")
