"""Places for servers: a home that no server has made, and a folder for its database."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mlflow_server import Site


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables with nothing in them, made once: to make them takes seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own imports warn about its own dependencies
        from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine

        file = tmp_path_factory.mktemp("made") / "mlflow.db"
        engine = create_sqlalchemy_engine(f"sqlite:///{file}")
        _initialize_tables(engine)
        engine.dispose()
    return file


@pytest.fixture(scope="session")
def new_site(
    founded_home: Path, empty_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Site]:
    """Makes an empty site; the variables are those of its processes."""

    def make(prefix: str = "chain+", *, has_tables: bool = True, **variables: str) -> Site:
        folder = tmp_path_factory.mktemp("site")
        shutil.copytree(founded_home, folder / "home")
        made = Site(folder, folder / "home", variables, prefix)
        if has_tables:
            shutil.copy(empty_database, made.database)
        return made

    return make
