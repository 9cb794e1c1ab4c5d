"""An empty log for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_client.log import Log
from tests.unit.chain_client.log.logs import LogUnderTest


@pytest.fixture(scope="session")
def empty_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a log that was just created; copy it."""
    path = tmp_path_factory.mktemp("template") / "log.db"
    log = Log(f"sqlite:///{path}")
    log.create()
    log.close()
    return path


@pytest.fixture
def under_test(empty_log: Path, tmp_path: Path) -> Iterator[LogUnderTest]:
    """A log of its own, with a relay's lease."""
    found = LogUnderTest(empty_log, tmp_path)
    yield found
    found.log.close()
