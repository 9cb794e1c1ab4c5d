"""At which block an approval is looked for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("airflow_in_process")


def of(url: str, *, newest: int, registry: int | None) -> Any:
    """What is asked of a client."""
    return SimpleNamespace(
        deployment=SimpleNamespace(ledger_url=url, registry_block=registry),
        registry=SimpleNamespace(block_number=lambda: newest),
    )


def block_wanted(confirmations: int | None, client: Any) -> str | int:
    """Where a sensor with so many confirmations looks."""
    from airflow_chain.triggers.approval import Wanted

    block: str | int = Wanted(confirmations=confirmations)._block(client)
    return block


@pytest.mark.parametrize(
    ("confirmations", "newest", "registry", "block"),
    [
        (None, 100, 7, "finalized"),
        (0, 100, 7, "latest"),
        (1, 100, 7, 99),
        (12, 100, 7, 88),
        (12, 10, 7, 7),
        (12, 10, None, 0),
    ],
)
def test_as_many_blocks_as_wanted_are_on_top_of_it(
    confirmations: int | None, newest: int, registry: int | None, block: str | int
) -> None:
    client = of("https://node.example", newest=newest, registry=registry)
    assert block_wanted(confirmations, client) == block


@pytest.mark.parametrize(("confirmations", "block"), [(None, "finalized"), (12, "latest")])
def test_a_block_of_an_embedded_chain_needs_none_on_top(
    confirmations: int | None, block: str
) -> None:
    client = of("embedded:chain/embedded.db", newest=100, registry=7)
    assert block_wanted(confirmations, client) == block
