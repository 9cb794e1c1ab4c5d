"""What the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.closing import everything_closed
from tests.registries import OpenRegistry, copy_registry, make_registry


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """Nothing that a test opened is left open."""
    with everything_closed():
        yield


@pytest.fixture(scope="session")
def _registry_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("registry") / "chain.db"
    made = make_registry(path)
    path.with_name("address").write_bytes(made.contract.address)
    made.ledger.close()
    return path


@pytest.fixture
def registry(_registry_file: Path, tmp_path: Path) -> Iterator[OpenRegistry]:
    """A fresh copy of a chain with a registry in use."""
    address = _registry_file.with_name("address").read_bytes()
    found = copy_registry(_registry_file, tmp_path / "chain.db", address)
    yield found
    found.ledger.close()
