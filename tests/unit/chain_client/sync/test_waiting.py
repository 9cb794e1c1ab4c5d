"""When a pass is wanted on a chain whose blocks become final later."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from chain_client.hosts import load_host
from chain_client.ledger.base import Block, BlockTag, Call, Ledger
from chain_client.sync.syncing import Syncer
from tests.embedded_chains import transact
from tests.unit.chain_client.registry.office import STRANGER, Office


class Lagging:
    """A chain of which only the beginning is final.

    Args:
        ledger: the chain.
        final: number of the newest final block.
    """

    def __init__(self, ledger: Ledger, final: int) -> None:
        self._ledger = ledger
        self.final = final

    def block(self, at: BlockTag | int = "latest") -> Block:
        """As the chain has it."""
        return self._ledger.block(self.final if at == "finalized" else at)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


@pytest.fixture
def chain(office: Office) -> Lagging:
    return Lagging(office.chain.ledger, office.chain.ledger.block().number)


@pytest.fixture
def syncer(office: Office, chain: Lagging) -> Iterator[Syncer]:
    found = open_syncer(office, chain)
    yield found
    found.close()


def open_syncer(office: Office, chain: Lagging) -> Syncer:
    """As a process opens it whose chain is not the embedded one."""
    settings = replace(office.chain.settings, ledger_url="http://127.0.0.1:1")
    return Syncer(
        settings,
        office.chain.deployment,
        chain,
        office.chain.log,
        load_host,
        lambda: office.records,
    )


def other_blocks(office: Office, count: int) -> None:
    """Blocks in which nothing happens to the registry."""
    for _ in range(count):
        nowhere = Call(STRANGER.address(), b"")
        assert transact(office.chain.ledger, STRANGER, nowhere).succeeded


def test_blocks_that_are_not_final_yet_are_no_reason_to_look_again(
    office: Office, syncer: Syncer, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_blocks(office, 2)
    syncer.run()
    in_an_hour = time.time() + 3600
    monkeypatch.setattr("chain_client.sync.syncing.time.time", lambda: in_an_hour)
    assert not syncer.is_wanted()
    other_blocks(office, 1)
    assert not syncer.is_wanted()


def test_what_happened_is_looked_at_when_it_is_final(
    office: Office, chain: Lagging, syncer: Syncer
) -> None:
    syncer.run()
    office.register(1)
    happened = office.chain.ledger.block().number
    other_blocks(office, 2)
    assert syncer.is_wanted()
    syncer.run()
    chain.final = happened - 1
    assert not syncer.is_wanted()
    chain.final = happened
    assert syncer.is_wanted()
    syncer.run()
    assert not syncer.is_wanted()


def test_another_process_waits_for_the_same_block(
    office: Office, chain: Lagging, syncer: Syncer
) -> None:
    office.register(1)
    syncer.run()
    again = open_syncer(office, chain)
    assert not again.is_wanted()
    chain.final = office.chain.ledger.block().number
    assert again.is_wanted()
