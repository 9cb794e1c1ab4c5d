"""Places for servers: a home that no server has made, and a folder for its database."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mlflow_server import Site


@pytest.fixture(scope="session")
def new_site(founded_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Site]:
    """Makes an empty site; the variables are those of its processes."""

    def make(prefix: str = "chain+", **variables: str) -> Site:
        folder = tmp_path_factory.mktemp("site")
        shutil.copytree(founded_home, folder / "home")
        return Site(folder, folder / "home", variables, prefix)

    return make
