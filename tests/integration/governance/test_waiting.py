"""`--wait`: a command that ends once its proposal is promoted, or can't be any more."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integration.governance.conftest import Site

Start = Callable[..., "subprocess.Popen[str]"]
DEADLINE_S = 60.0


@pytest.fixture
def start(site: Site) -> Iterator[Start]:
    """Start `mlops-chain …` with ``--wait`` in a process of its own."""
    started: list[subprocess.Popen[str]] = []

    def run(*words: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "chain_client.cli", "--home", str(site.home)]
        process = subprocess.Popen(
            [*command, *map(str, words), "--yes", "--wait", "--timeout", str(DEADLINE_S)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def _until(site: Site, approvals: int) -> str:
    """The id of the one proposal that waits, once it has so many approvals."""
    deadline = time.monotonic() + DEADLINE_S / 2
    while time.monotonic() < deadline:
        waiting: list[dict[str, Any]] = site.json("approvals")["waiting"]
        if [one["approvals"] for one in waiting] == [approvals]:
            return str(waiting[0]["proposal"])
    raise AssertionError(f"no proposal with {approvals} approvals came")


def _end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=DEADLINE_S)
    return process.returncode, out, " ".join(err.split())


def test_who_proposes_or_approves_waits_until_it_is_promoted(site: Site, start: Start) -> None:
    words = ("model", "propose", "fraud", 1, "--target", "@champion", "--key", site.keys["ada"])
    proposing = start(*words)
    proposal = _until(site, 0)
    site.approve(proposal, "bob")
    approving = start("model", "approve", proposal, "--key", site.keys["carol"], "--json")
    assert _until(site, 2) == proposal
    assert proposing.poll() is None
    assert approving.poll() is None
    site.json("model", "promote", proposal)
    code, out, err = _end(approving)
    assert (code, json.loads(out)["status"]) == (0, "promoted")
    assert err == ""
    code, out, err = _end(proposing)
    assert code == 0
    assert f"proposed {proposal}" in out
    assert " ".join(out.split()).endswith("without one: mlops-chain sync")
    told = [part.strip() for part in err.split("waiting:")[1:]]
    assert told[0].startswith("0 of 2 approvals; bob, carol may still approve")
    assert told[-1] == "promoted"


def test_nobody_waits_for_a_proposal_that_is_closed(site: Site) -> None:
    proposal = site.propose(1)
    reason = ("--reason", "fails on leap days", "--key", site.keys["bob"], "--yes")
    site.json("model", "reject", proposal, *reason)
    said = site.chain("model", "promote", proposal, "--wait", code=2)
    assert said.endswith("error: the proposal is closed: rejected")


def test_what_was_done_stays_done_when_nobody_promotes_in_time(site: Site) -> None:
    wait = ("--yes", "--wait", "--timeout", "0")
    asks = ("model", "propose", "fraud", 1, "--target", "@champion", "--key", site.keys["ada"])
    assert "waited 0 s: 0 of 2 approvals" in site.chain(*asks, *wait, code=2)
    proposal = _until(site, 0)
    said = site.chain("model", "approve", proposal, "--key", site.keys["bob"], *wait, code=2)
    assert "waited 0 s: 1 of 2 approvals; carol may still approve" in said
    assert _until(site, 1) == proposal
