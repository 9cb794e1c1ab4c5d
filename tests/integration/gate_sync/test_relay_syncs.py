"""A running relay brings promotions to MLflow, and whatever hinders that hinders nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from chain_client.client import ChainClient
from chain_client.errors import HostUnavailable
from chain_client.events import Subject
from chain_client.hosts import Host
from chain_client.relay.lock import is_relay_running
from mlflow_chain.host import MlflowHost
from tests.integration.gate_sync.people import CHAMPION, People

_PATIENCE_S = 60


def _wait(holds: Callable[[], bool]) -> float:
    """Seconds until it holds."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < _PATIENCE_S, "it never held"
        time.sleep(0.02)
    return time.monotonic() - began


@contextmanager
def _relay(people: People) -> Iterator[None]:
    """A relay as a service, in a process of its own."""
    client = people.client
    process = subprocess.Popen(
        [sys.executable, "-m", "chain_client.cli", "--home", str(client.home), "relay"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"MLOPS_CHAIN_HOME": str(client.home)},
        start_new_session=True,
    )
    try:
        _wait(lambda: is_relay_running(client.folder.relay_lock))
        yield
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=_PATIENCE_S)


def test_a_quorum_reaches_mlflow_by_the_relay_alone(people: People) -> None:
    first, second = people.propose(1), people.propose(2)
    with _relay(people):
        people.approve(first)
        _wait(lambda: people.targets() == {CHAMPION: (1,)})
        people.approve(second)
        latency_s = _wait(lambda: people.targets() == {CHAMPION: (2,)})
        _wait(lambda: people.tags(2).get("target") == CHAMPION and people.tags(1) == {})
        print(f"from the second approval to the alias: {latency_s:.2f} s")
    assert people.findings() == []


def _with_sync(people: People) -> ChainClient:
    settings = replace(people.client.settings, registry_sync=True)
    return ChainClient(settings, people.client.deployment)


def _drain(client: ChainClient, load: Callable[[str], Host]) -> None:
    relay = client.relay(load)
    relay.start()
    try:
        relay.drain(patience_s=_PATIENCE_S)
    finally:
        relay.close()


def test_draining_once_syncs_and_anchors_what_sync_recorded(people: People) -> None:
    people.promote(1)
    client = _with_sync(people)
    _drain(client, lambda name: MlflowHost())
    assert people.targets() == {CHAMPION: (1,)}
    final = client.log.latest_head()
    assert final is not None
    assert final.size == client.log.size()
    keys = {entry.subject_key or "" for entry in client.log.entries()}
    client.close()
    assert any(key.endswith(f"/registered_model:{people.name}") for key in keys)


@pytest.mark.parametrize("error", [HostUnavailable("MLflow is away"), ValueError("a fault")])
def test_a_failing_sync_is_an_alarm_and_anchoring_goes_on(people: People, error: Exception) -> None:
    people.promote(1)
    people.client.recorder.note("item.seen", Subject("", "item", people.name), {"number": 1})
    people.client.recorder.close()
    client = _with_sync(people)

    class Broken(MlflowHost):
        def models(self, store: Any) -> Any:
            raise error

    _drain(client, lambda name: Broken())
    assert "sync" in {alarm.kind for alarm in client.log.alarms()}
    assert people.targets() == {}
    keys = {entry.subject_key for entry in client.log.entries()}
    assert f"/item:{people.name}" in keys
    _drain(client, lambda name: MlflowHost())
    assert "sync" not in {alarm.kind for alarm in client.log.alarms()}
    assert people.targets() == {CHAMPION: (1,)}
    client.close()


def test_a_relay_with_nothing_new_on_chain_loads_no_adapter(people: People) -> None:
    people.promote(1)
    client = _with_sync(people)
    _drain(client, lambda name: MlflowHost())
    asked: list[str] = []

    def load(name: str) -> Host:
        asked.append(name)
        return MlflowHost()

    _drain(client, load)
    client.close()
    assert asked == []
