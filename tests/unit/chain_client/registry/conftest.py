"""What the tests of this folder share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.closing import everything_closed
from tests.unit.chain_client.registry.office import Office


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """Nothing that a test opened is left open."""
    with everything_closed():
        yield


@pytest.fixture(scope="session")
def _governed_home(founded_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("governed") / "home"
    shutil.copytree(founded_home, path)
    with everything_closed():
        Office(path).govern()
    return path


@pytest.fixture
def office(_governed_home: Path, tmp_path: Path) -> Office:
    """A home where two of Bob, Carol and Dave approve what Alice asks for."""
    path = tmp_path / "home"
    shutil.copytree(_governed_home, path)
    return Office(path)


@pytest.fixture
def empty_office(home: Path) -> Office:
    """A home whose registry holds nothing yet."""
    return Office(home)
