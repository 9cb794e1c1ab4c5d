"""Somebody has looked at every route of MLflow's server by which anything is written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.integration.attacks.conftest import ADMIN, CONFIG
from tests.integration.attacks.routes import ROUTES

_LIST = """
import mlflow.server
from mlflow.server.auth import create_app
create_app(mlflow.server.app)
for rule in mlflow.server.app.url_map.iter_rules():
    for method in rule.methods:
        print("ROUTE", method, rule)
def walk(routes, prefix=""):
    for route in routes:
        if getattr(route, "methods", None):
            for method in route.methods:
                print("ROUTE", method, prefix + route.path)
        elif getattr(route, "routes", None):
            walk(route.routes, prefix + getattr(route, "path", ""))
try:
    from mlflow.server.fastapi_app import app
except ImportError:
    pass
else:
    walk(app.routes)
"""
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


def _plain(path: str) -> str:
    """A path without what differs between the versions and spellings of one route."""
    below = re.sub(r"^/(?:ajax-)?api/\d\.\d(?:-preview)?/?", "/", path)
    return re.sub(r"<[^>]*>|\{[^}]*\}", "<>", below)


def _found(folder: Path) -> set[str]:
    named = {"folder": folder, "name": ADMIN[0], "password": ADMIN[1]}
    (folder / "auth.ini").write_text(CONFIG.format(**named))
    variables = {
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "static-in-tests",
        "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{folder}/mlflow.db",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(folder / "artifacts"),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "MLFLOW_ENABLE_WORKSPACES": "true",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _LIST],
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = (line.split() for line in done.stdout.splitlines() if line.startswith("ROUTE "))
    return {f"{method} {_plain(path)}" for _, method, path in found if method not in _READING}


def test_somebody_has_decided_about_every_route_that_writes(tmp_path: Path) -> None:
    known = [line.strip() for lines in ROUTES.values() for line in lines.strip().splitlines()]
    assert len(known) == len(set(known)), "a route stands there twice"
    found = _found(tmp_path)
    assert len(found) > 50
    unknown = sorted(found - set(known))
    assert not unknown, (
        "new routes of MLflow; look what each writes, attack it, and enter it in routes.py:\n"
        + "\n".join(unknown)
    )
