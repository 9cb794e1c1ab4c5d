"""Anchoring: what contradicts the chain is refused, and what a dead relay did is taken over."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_client import ChainClient, Settings
from chain_client.errors import ChainBehindLog, LogBehindChain, LogMismatch
from chain_client.events import Subject
from chain_client.head_check import check_head, read_checked_head
from chain_client.ledger.base import BlockTag
from chain_client.ledger.event_log import EventLogContract, Head
from chain_client.log import EntryStatus
from chain_client.types import Digest, LogId

SUBJECT = Subject("", "item", "k")


@pytest.fixture
def client(home: Path) -> Iterator[ChainClient]:
    """Three entries, all of them final; two more that are only sequenced."""
    environment = {"MLOPS_CHAIN_RELAY_AUTOSTART": "false"}
    settings = Settings.from_environment(environment, home.parent, home=home)
    opened = ChainClient.open(settings)
    opened.recorder.note("item.seen", SUBJECT, {})
    opened.recorder.note("item.seen", SUBJECT, {})
    drain(opened)
    opened.recorder.note("item.seen", SUBJECT, {})
    opened.recorder.close()
    relay = opened.relay()
    relay.start()
    relay.run_round()
    relay.close()
    assert (opened.log.size(), final_size(opened)) == (5, 3)
    yield opened
    opened.close()


def drain(client: ChainClient) -> None:
    relay = client.relay()
    relay.start()
    try:
        relay.drain(patience_s=20)
    finally:
        relay.close()


def final_size(client: ChainClient) -> int:
    head = client.log.latest_head(EntryStatus.FINALIZED)
    return head.size if head is not None else 0


@pytest.mark.parametrize("size", [3, 4, 5])
def test_a_head_that_the_log_reproduces_is_accepted(client: ChainClient, size: int) -> None:
    final = client.log.latest_head(EntryStatus.FINALIZED)
    check_head(client.log, Head(size, client.log.root(size), 7), final)


@pytest.mark.parametrize(
    ("size", "error", "text"),
    [
        (6, LogBehindChain, "a head of 6 entries, the log has only 5"),
        (4, LogMismatch, "the log's root at 4 entries is not the one on chain"),
        (2, ChainBehindLog, "final at 3 entries, but the chain's head is at 2"),
        (0, ChainBehindLog, "final at 3 entries, but the chain's head is at 0"),
    ],
)
def test_a_head_that_contradicts_the_log_is_refused(
    client: ChainClient, size: int, error: type[LogMismatch], text: str
) -> None:
    wrong = size in (4, 6)
    root = Digest(bytes(32)) if wrong else client.log.root(size)
    with pytest.raises(error, match=text) as caught:
        check_head(client.log, Head(size, root, 7), client.log.latest_head(EntryStatus.FINALIZED))
    assert type(caught.value) is error


class RelayedMeanwhile(EventLogContract):
    """A chain whose head is asked for just before a relay beside us anchors the next one."""

    def __init__(self, client: ChainClient) -> None:
        super().__init__(client.ledger, client.deployment.event_log)
        self._client = client

    def head(self, log_id: LogId, at: BlockTag | int = "latest") -> Head:
        found = super().head(log_id, at)
        drain(self._client)
        return found


def test_a_relay_that_anchors_meanwhile_is_no_rolled_back_chain(client: ChainClient) -> None:
    log_id = client.deployment.log_id
    assert read_checked_head(client.log, RelayedMeanwhile(client), log_id).size == 3
    assert final_size(client) == 5


def test_a_head_that_a_dead_relay_anchored_is_taken_over_without_a_second_transaction(
    client: ChainClient,
) -> None:
    # The log is put back to before the anchor: as if the relay had died right after sending it.
    log_file = client.home / "log.db"
    client.close()
    shutil.copy(log_file, client.home / "before.db")
    drain(client)
    nonce = client.ledger.nonce(client.deployment.writer)
    anchored = client.contract.head(client.deployment.log_id)
    assert anchored.size == 5
    client.close()
    (client.home / "before.db").replace(log_file)

    assert final_size(client) == 3
    drain(client)
    assert final_size(client) == 5
    assert client.ledger.nonce(client.deployment.writer) == nonce
    head = client.log.latest_head(EntryStatus.FINALIZED)
    assert head is not None
    assert (head.root, head.block_number) == (anchored.root, anchored.block_number)


def test_nothing_new_sends_nothing(client: ChainClient) -> None:
    drain(client)
    block = client.ledger.block().number
    drain(client)
    assert client.ledger.block().number == block
    assert client.log.alarms() == []
