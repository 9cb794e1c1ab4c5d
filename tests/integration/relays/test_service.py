"""A relay as a service: signals, systemd, health, metrics, and waiting for another of its home."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from chain_client.log import EntryStatus
from tests.integration.core.conftest import Site
from tests.integration.relays.conftest import (
    PATIENCE_S,
    RelayProcess,
    pid_of,
    settings_for,
    wait_until,
)


@pytest.fixture
def started() -> Iterator[list[RelayProcess]]:
    """Relays that are ended with the test."""
    relays: list[RelayProcess] = []
    yield relays
    for relay in relays:
        relay.end(signal.SIGKILL)


@pytest.fixture
def site(home: Path) -> Iterator[Site]:
    made = Site(home)
    yield made
    made.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(port: int, path: str, method: str = "GET") -> tuple[int, str]:
    """Status and body; 0 if nothing answers yet."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:  # noqa: S310
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.read().decode()
    except OSError:
        return 0, ""


def health(port: int) -> dict[str, Any]:
    return dict(json.loads(get(port, "/healthz")[1] or "{}"))


def metrics(port: int) -> dict[str, float]:
    """Every sample without labels."""
    found = text_string_to_metric_families(get(port, "/metrics")[1])
    return {s.name: s.value for family in found for s in family.samples if not s.labels}


def test_a_service_shows_its_health_and_its_figures_and_ends_gracefully(
    site: Site, started: list[RelayProcess]
) -> None:
    port = free_port()
    site.note(3)
    relay = RelayProcess(site.home, **settings_for(RELAY_HTTP=f"127.0.0.1:{port}"))
    started.append(relay)
    wait_until(lambda: health(port).get("final") == site.client.log.size() == 4, "finality")
    found = health(port)
    assert (found["ready"], found["role"], found["reasons"]) == (True, "anchors", [])
    assert found["anchored_by"].endswith(f":{relay.pid}")
    assert (found["oldest_waiting_s"], found["alarms"]) == (None, [])
    values = metrics(port)
    assert values["mlops_chain_relay_ready"] == values["mlops_chain_relay_anchors"] == 1
    assert values["mlops_chain_log_final_entries"] == 4
    assert values["mlops_chain_relay_sequenced_entries_total"] == 4
    assert values["mlops_chain_relay_anchored_entries_total"] == 4
    assert values["mlops_chain_relay_gas_used_total"] > 30_000
    assert values["mlops_chain_oldest_unanchored_seconds"] == 0
    assert get(port, "/healthz", "HEAD") == (200, "")
    assert get(port, "/")[0] == 404

    site.client.log.raise_alarm("spool_corrupt", "x", "bytes")
    wait_until(lambda: health(port)["alarms"] != [], "the alarm")
    assert health(port)["alarms"] == [{"kind": "spool_corrupt", "subject": "x"}]
    assert 'mlops_chain_alarms{kind="spool_corrupt"} 1.0' in get(port, "/metrics")[1]

    site.log_file.rename(site.home / "elsewhere.db")
    wait_until(lambda: get(port, "/healthz")[0] == 503, "the log's absence")
    assert "log.db" in " ".join(health(port)["reasons"])
    assert metrics(port)["mlops_chain_relay_ready"] == 0
    (site.home / "elsewhere.db").rename(site.log_file)
    wait_until(lambda: get(port, "/healthz")[0] == 200, "the log's return")

    assert relay.end(signal.SIGTERM) == 0
    assert get(port, "/healthz") == (0, "")
    assert " ended" in relay.said()
    assert pid_of(site, "relay") is None  # nobody has to wait for its leases


def test_systemd_is_told_when_a_relay_is_ready_lives_and_ends(
    site: Site, started: list[RelayProcess], tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE_S)
        settings = settings_for(RELAY_HTTP="") | {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        relay = RelayProcess(site.home, **settings)
        started.append(relay)
        assert manager.recv(200) == b"READY=1\nSTATUS=anchors"
        assert manager.recv(200) == b"WATCHDOG=1\nSTATUS=anchors"
        assert relay.end(signal.SIGINT) == 0
        while (said := manager.recv(200)) != b"STOPPING=1":
            assert said.startswith(b"WATCHDOG=1")


def test_a_relay_of_the_same_home_waits_if_told_to_and_takes_over(
    site: Site, started: list[RelayProcess]
) -> None:
    port = free_port()
    first = RelayProcess(site.home, **settings_for(RELAY_HTTP=""))
    started.append(first)
    wait_until(lambda: pid_of(site, "relay") == first.pid, "anchoring")
    settings = settings_for(RELAY_HTTP=f"127.0.0.1:{port}")
    second = RelayProcess(site.home, "--standby", **settings)
    started.append(second)
    wait_until(lambda: get(port, "/healthz")[0] == 200, "waiting")
    assert health(port)["role"] == "waits"
    third = RelayProcess(site.home, **settings_for(RELAY_HTTP=""))
    started.append(third)
    assert third.process.wait(PATIENCE_S) == 2
    assert f":{first.pid} holds the lease 'ingest:" in third.said()

    first.end(signal.SIGKILL)
    wait_until(lambda: pid_of(site, "relay") == second.pid, "taking over")
    site.note(2)
    wait_until(lambda: health(port).get("role") == "anchors", "anchoring")
    head = site.client.log.latest_head
    wait_until(lambda: (h := head(EntryStatus.FINALIZED)) is not None and h.size == 3, "finality")
    assert second.end() == 0


def test_a_relay_that_waits_can_be_stopped(site: Site, started: list[RelayProcess]) -> None:
    working = site.relay()
    working.start()
    waiting = RelayProcess(site.home, "--standby", **settings_for(RELAY_HTTP=""))
    started.append(waiting)
    wait_until(lambda: "waiting:" in waiting.said(), "waiting")
    assert waiting.end() == 0
    working.close()


def test_an_address_that_is_taken_is_a_warning_and_no_end(
    site: Site, started: list[RelayProcess]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        relay = RelayProcess(site.home, **settings_for(RELAY_HTTP=address))
        started.append(relay)
        wait_until(lambda: pid_of(site, "relay") == relay.pid, "anchoring")
        wait_until(lambda: f"no health and no metrics at {address}" in relay.said(), "a warning")
        assert relay.end() == 0


def test_an_address_that_is_none_is_refused(site: Site, started: list[RelayProcess]) -> None:
    relay = RelayProcess(site.home, **settings_for(RELAY_HTTP="9464"))
    started.append(relay)
    assert relay.process.wait(PATIENCE_S) == 2
    assert "relay.http: expected host:port" in relay.said()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_ends_a_process_at_once(number: signal.Signals) -> None:
    script = (
        "import threading\n"
        "from chain_client.relay.daemon import stop_by_signal\n"
        "stop_by_signal(lambda: print('asked', flush=True))\n"
        "print('ready', flush=True)\n"
        "while True: threading.Event().wait(1)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.readline() == "asked\n"
        assert process.poll() is None
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 128 + number
