"""One real node for these tests; each adds blocks to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.embedded_chains import OWNER
from tests.running_nodes import RunningNode, running_anvil


@pytest.fixture(scope="package")
def anvil() -> Iterator[RunningNode]:
    """Mines when it is told to; a block is final when two are on top of it."""
    with running_anvil("--no-mining", "--slots-in-an-epoch", "1", funded=[OWNER.address()]) as node:
        node.mine(80)
        yield node
