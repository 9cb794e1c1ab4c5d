"""A relay that anchors with a key in KMS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from chain_client import ChainClient, Settings
from chain_client.events import Subject
from chain_client.log import EntryStatus
from chain_client.plugin_host import PluginHost
from mlops_chain_aws import kms as kms_keys
from mlops_chain_aws.clients import Patience
from mlops_chain_aws.testing.scripted_kms import (
    KEY_ARN,
    Drip,
    Held,
    Refusal,
    ScriptedKms,
    Silence,
    scripted_kms,
)

PATIENCE_S = 30
FAULTS = (
    (Silence(), "ReadTimeoutError"),
    (Drip(), "ReadTimeoutError"),
    (Refusal("DisabledException"), "the key is disabled"),
)


@pytest.fixture
def kms() -> Iterator[ScriptedKms]:
    with scripted_kms() as server:
        yield server


@pytest.fixture
def client(
    kms: ScriptedKms, plugins: PluginHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ChainClient]:
    """A home whose log's writer is a key in KMS, which is given up soon."""
    monkeypatch.setattr(kms_keys, "PATIENCE", Patience(0.3, 0.3, 1, reply_s=0.3))
    monkeypatch.setattr(kms_keys, "DEADLINE_S", 1.0)
    variables = {
        "MLOPS_CHAIN_LOG_WRITER": f"awskms:{KEY_ARN}?endpoint_url={kms.endpoint_url}",
        "MLOPS_CHAIN_RELAY_AUTOSTART": "false",
        "MLOPS_CHAIN_RELAY_MAX_WAIT_S": "0.2",
    }
    settings = Settings.from_environment(variables, tmp_path, home=tmp_path / "home")
    opened = ChainClient.open(settings, create=True)
    yield opened
    opened.close()


@contextmanager
def running(client: ChainClient) -> Iterator[None]:
    """A relay in a thread; ended with the block. What ended it by itself is raised."""
    relay, ended = client.relay(), []

    def run() -> None:
        try:
            relay.start()
            try:
                relay.run(until_idle=False)
            finally:
                relay.close()
        except BaseException as exc:
            ended.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
        assert ended == []
    finally:
        relay.stop()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def wait_until(reached: Callable[[], bool]) -> None:
    """Look until it is so; the test fails if it never is."""
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.02)


def note(client: ChainClient, number: int) -> None:
    """Record something."""
    client.recorder.note("toy.noted", Subject("", "item", str(number)), {"n": number})


def final_size(client: ChainClient) -> int:
    """How much of the log is final on chain."""
    head = client.log.latest_head(EntryStatus.FINALIZED)
    return head.size if head else 0


def alarms(client: ChainClient) -> list[str]:
    """What stands about the chain."""
    return [alarm.detail for alarm in client.log.alarms() if alarm.kind == "chain"]


def has_grown(client: ChainClient, size: int) -> bool:
    """Whether the log holds more than that."""
    return client.log.size() > size


def test_a_relay_goes_on_while_it_waits_for_a_signature(
    client: ChainClient, kms: ScriptedKms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kms_keys, "PATIENCE", Patience(5, 60, 1))
    monkeypatch.setattr(kms_keys, "DEADLINE_S", 60.0)
    held = Held()
    kms.will("Sign", held)
    with running(client):
        try:
            note(client, 1)
            wait_until(lambda: kms.count("Sign") == 1)
            size = client.log.size()
            note(client, 2)
            wait_until(partial(has_grown, client, size))
        finally:
            held.set()
        wait_until(lambda: final_size(client) == client.log.size())


def test_a_relay_whose_key_is_away_goes_on_and_anchors_when_it_is_back(
    client: ChainClient, kms: ScriptedKms
) -> None:
    def is_told(words: str) -> bool:
        return any(words in text for text in alarms(client))

    with running(client):
        note(client, 1)
        wait_until(lambda: final_size(client) == client.log.size() > 0)
        for trouble, words in FAULTS:
            before = final_size(client)
            kms.will("Sign", *[trouble] * 1000)
            note(client, 2)
            wait_until(partial(is_told, words))
            size = client.log.size()
            note(client, 3)
            wait_until(partial(has_grown, client, size))
            assert final_size(client) == before, "nothing is anchored that nobody signed"
            kms.script.clear()
            wait_until(lambda: final_size(client) == client.log.size())
            wait_until(lambda: alarms(client) == [])
