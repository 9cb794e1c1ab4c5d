"""Who holds a lease, and whether another process may say that it is gone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from chain_client.log import holders
from chain_client.log.holders import host_of, is_gone, this_process


def of_an_ended_process() -> str:
    said = "from chain_client.log.holders import this_process; print(this_process())"
    ended = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    return ended.stdout.strip()


def test_a_process_of_this_place_that_ended_is_gone_and_one_that_lives_is_not() -> None:
    assert is_gone(of_an_ended_process())
    assert not is_gone(this_process())
    assert not is_gone(this_process().rpartition(":")[0] + f":{os.getppid()}")


def test_nothing_is_said_of_processes_that_can_not_be_seen_from_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone = of_an_ended_process()
    host, _, rest = gone.partition("/")
    assert host_of(gone) == host
    # A machine of the same name, such as a clone or the next container of a pod.
    assert not is_gone(f"{host}/000000000000:{rest.rpartition(':')[2]}")
    assert not is_gone(f"{host}:{rest.rpartition(':')[2]}")
    assert not is_gone(f"elsewhere/{rest}")
    assert not is_gone("")
    monkeypatch.setattr(holders, "_place", lambda: "000000000000")
    assert not is_gone(gone)
