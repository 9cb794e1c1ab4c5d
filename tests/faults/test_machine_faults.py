"""Faults of machines, clocks and accounts, once each, through the whole product on a real node."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import enumerate as enumerate_threads

import pytest

from chain_client import ChainClient
from chain_client.clock import SystemClock
from chain_client.errors import ConfigurationError, SpoolUnavailable
from chain_client.event_codec import decode_event
from chain_client.events import OutcomeStatus
from chain_client.home import OWNER_KEY
from chain_client.ledger.event_log import explain
from chain_client.log import EntryStatus
from chain_client.registry.sending import Sender
from chain_client.signing import open_signer
from chain_client.spool.disk import Disk
from chain_client.types import EventId, to_hex
from tests.copied_spools import CopiedProcess
from tests.faults import writers_script
from tests.faults.chain_home import World, until
from tests.faults.oracle import judged
from tests.faults.toy_host import Toy

ROOT = Path(__file__).parents[2]
HOUR_US = 3_600_000_000


def test_sixteen_writers_forked_from_one_that_is_open_lose_and_double_nothing(
    world: World,
) -> None:
    world.acknowledged += run_writers(world, "fork")
    assert len(world.acknowledged) == (writers_script.WRITERS + 3) * writers_script.WRITES
    with judged(world), world.opened(relay_max_batch=40) as client:
        world.relay(client)


def test_an_interpreter_that_ends_within_a_call_leaves_nothing_behind(world: World) -> None:
    world.acknowledged += run_writers(world, "leave")
    assert len(world.acknowledged) == 2 * writers_script.WRITES
    with judged(world), world.opened(relay_max_batch=40) as client:
        world.relay(client)
        [left] = [entry for entry in client.log.entries() if b"never" in (entry.event or b"")]
        assert decode_event(left.event or b"").status is OutcomeStatus.NOT_APPLIED


@pytest.mark.parametrize("call", ["pwrite", "fdatasync", "fsync"])
def test_what_a_disk_refuses_is_not_acknowledged_and_all_else_is_kept(
    world: World, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = errno.ENOSPC if call == "pwrite" else errno.EIO

    def refuse(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    with judged(world), world.opened(spool_durability="power") as client:
        world.record(client, 3)
        client.recorder.close()  # the next call has to make a new source
        with monkeypatch.context() as patch:
            patch.setattr(Disk, call, staticmethod(refuse))
            with pytest.raises(SpoolUnavailable):
                world.record(client, 1)
        world.record(client, 3)
        with monkeypatch.context() as patch:
            patch.setattr(Disk, call, staticmethod(refuse))
            if call != "fsync":  # it is asked for new files only
                with pytest.raises(SpoolUnavailable):
                    world.record(client, 1)
        world.record(client, 3)
        assert len(world.acknowledged) == 9
        world.relay(client)


def test_a_machine_put_back_from_a_snapshot_goes_on_and_nothing_is_lost(world: World) -> None:
    with judged(world), world.opened() as client:
        world.record(client, 2)
        toy = Toy(world.database)
        process = CopiedProcess(deployment=client.deployment_id)
        process.done(process.begin(toy, "machine", "before"))
        restored = process.snapshot()
        process.done(process.begin(toy, "machine", "gone with the machine"))
        process.put_spool(world.home)
        world.relay(client)
        restored.done(restored.begin(toy, "machine", "after"))
        restored.close()
        restored.put_spool(world.home)
        toy.close()
        world.record(client, 2)
        world.relay(client)
        assert "source_forked" in alarms(client)


@pytest.mark.parametrize("jump_us", [HOUR_US, -HOUR_US], ids=["an hour on", "an hour back"])
def test_a_clock_that_jumps_by_an_hour_holds_up_and_doubles_nothing(
    world: World, jump_us: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    offset_us = 0
    monkeypatch.setattr(SystemClock, "time_us", lambda _: time.time_ns() // 1000 + offset_us)
    with judged(world), world.opened() as client:
        world.record(client, 3)
        with world.relaying(client):
            until(lambda: is_final(client), "all is final")
            offset_us = jump_us  # recorder, relay, queue and leases have one clock
            world.record(client, 3)
            world.appoint(client)
            client.recorder.close()
            until(lambda: is_final(client) and client.log.size() > 5, "all is final")
            offset_us = 0
            world.record(client, 3)
            client.recorder.close()
            until(lambda: is_final(client) and client.log.size() > 10, "all is final")
        world.relay(client)


def test_an_empty_account_sends_nothing_says_so_and_goes_on_when_it_is_funded(
    world: World,
) -> None:
    with judged(world), world.opened() as client:
        writer = client.deployment.writer
        had = int(world.anvil.rpc("eth_getBalance", to_hex(writer), "latest"), 16)
        world.anvil.fund(writer, wei=0)
        world.record(client, 4)
        with world.relaying(client):
            until(lambda: "chain" in alarms(client), "the alarm")
            assert world.anvil.rpc("eth_getTransactionCount", to_hex(writer), "pending") == "0x0"
            assert client.log.latest_head(EntryStatus.FINALIZED) is None
            world.anvil.fund(writer, wei=had)
            until(lambda: is_final(client), "all is final")
        world.relay(client)
        assert "chain" not in alarms(client)


def test_a_contract_that_is_missing_is_never_believed_to_have_anchored(world: World) -> None:
    with judged(world):
        with world.opened() as client:
            world.record(client, 4)
            world.relay(client)
            final = client.log.size()
            with without_contract(world, client):
                with pytest.raises(ConfigurationError):
                    relay_until_it_ends(world, client)
                assert "chain" in alarms(client)
                with pytest.raises(ConfigurationError), world.opened():
                    pass
            head = client.log.latest_head(EntryStatus.FINALIZED)
            assert head is not None
            assert head.size == final < client.log.size()
        with world.opened() as client:
            world.relay(client)


def test_a_paused_registry_holds_up_no_anchor(world: World) -> None:
    with judged(world), world.opened() as client:
        sender = Sender(client.log, client.ledger, client.deployment.chain_id)
        owner = open_signer(OWNER_KEY, base=client.home)
        sender.send(owner, client.model_registry.pause_call(), "test:pause", explain)
        world.record(client, 4)
        world.relay(client)
        assert is_final(client)


def run_writers(world: World, mode: str) -> list[EventId]:
    """Let a script write in processes of its own; what they were told."""
    told = world.home.parent / "told"
    (world.home / "config.toml").write_text(
        f'[ledger]\nurl = "{world.anvil.url}"\n[relay]\nautostart = false\n'
    )
    words = [mode, str(world.home), str(world.database), str(told)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.writers_script", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [EventId(bytes.fromhex(line)) for line in told.read_text().split()]


def relay_until_it_ends(world: World, client: ChainClient) -> None:
    """The host writes, and a relay whose endpoint was checked before works."""
    world.record(client, 4)
    with world.relaying(client):
        until(lambda: "relay" not in {thread.name for thread in enumerate_threads()}, "its end")


@contextmanager
def without_contract(world: World, client: ChainClient) -> Iterator[None]:
    """The code of the `EventLog` is gone within the block."""
    address = to_hex(client.deployment.event_log)
    code = world.anvil.rpc("eth_getCode", address, "latest")
    world.anvil.rpc("anvil_setCode", address, "0x")
    try:
        yield
    finally:
        world.anvil.rpc("anvil_setCode", address, code)


def is_final(client: ChainClient) -> bool:
    """Whether the log is, as it says."""
    head = client.log.latest_head(EntryStatus.FINALIZED)
    return head is not None and head.size == client.log.size()


def alarms(client: ChainClient) -> set[str]:
    """Kinds of the alarms that stand."""
    return {alarm.kind for alarm in client.log.alarms()}
