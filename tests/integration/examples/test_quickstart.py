"""The training script of the demo is plain MLflow: it knows nothing of us and needs nothing."""

from __future__ import annotations

import ast
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

QUICKSTART = Path(__file__).parents[3] / "examples/quickstart.py"


def test_quickstart_imports_nothing_of_ours() -> None:
    imported = set()
    for node in ast.walk(ast.parse(QUICKSTART.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(str(node.module).partition(".")[0])
    assert imported == {"mlflow", "numpy", "sklearn"}


def test_quickstart_runs_on_a_plain_uri_and_leaves_no_trace_of_us(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(QUICKSTART)],
        cwd=tmp_path,
        env={**os.environ, "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db", "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "registered as 'breast-cancer', version 1, alias 'champion'" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"mlflow.db", "mlruns"}
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        assert database.execute("SELECT COUNT(*) FROM runs").fetchone() == (5,)
        assert database.execute(
            "SELECT name, alias, version FROM registered_model_aliases"
        ).fetchall() == [("breast-cancer", "champion", 1)]
        tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master")}
        assert not [name for name in tables if "chain" in name]
