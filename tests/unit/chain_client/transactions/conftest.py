"""What the tests of the transaction queue share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.chain_client.transactions.simulated import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A queue on a simulated chain that mines at once."""
    made = Bench(tmp_path)
    yield made
    made.close()
