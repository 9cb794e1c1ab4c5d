"""Homes with a registry that is governed; each test works on a copy."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.chain_client.gate.people import Governed


@pytest.fixture(scope="session")
def governed_home(founded_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everybody is appointed, and champion is gated for every model: two of three."""
    home = tmp_path_factory.mktemp("governed") / "home"
    shutil.copytree(founded_home, home)
    governed = Governed(home)
    governed.appoint()
    governed.set_policy()
    governed.client.close()
    return home


@pytest.fixture
def governed(governed_home: Path, tmp_path: Path) -> Iterator[Governed]:
    copy = tmp_path / "home"
    shutil.copytree(governed_home, copy)
    found = Governed(copy)
    yield found
    found.client.close()


@pytest.fixture
def ungoverned(home: Path) -> Iterator[Governed]:
    """A registry without any policy."""
    found = Governed(home)
    yield found
    found.client.close()
