"""What the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.closing import everything_closed


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """Nothing that a test opened is left open."""
    with everything_closed():
        yield
