"""SIGKILL at every named step: each committed change has exactly one leaf, and no leaf lies."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from chain_client import steps
from chain_client.event_codec import decode_event
from chain_client.events import APPLIED
from chain_client.hosts import Scope
from chain_client.testing.crash import run_killed
from chain_client.verify import Evidence, Verdict, read_spooled, verify
from tests.faults import toy_host
from tests.faults.toy_host import Toy, ToyHost

SCRIPT = Path(toy_host.__file__)
WRITES = 12

RELAY_ONLY = {"spool.segment.before_remove", "spool.segment.removed", "spool.fork.taken"}
FORK_STEPS = {"spool.fork.taken"}
"""Met with a copied spool only: `test_forked_sources`."""
RECORDER_STEPS = [
    name for name in steps.STEPS if name.startswith("spool.") and name not in RELAY_ONLY
]
SYNC_STEPS = {name for name in steps.STEPS if name.startswith("sync.")}
PROVISION_STEPS = {name for name in steps.STEPS if name.startswith("provision.")}
"""Met when a home gets its registry: `test_provision_killed`."""
OPENING_STEPS = {name for name in steps.STEPS if name.startswith(("deploy.", "log.migrated."))}
"""Met before there is a relay: where networks are deployed to, and in `test_migrations`."""
RELAY_STEPS = [
    name
    for name in steps.STEPS
    if name not in {*RECORDER_STEPS, *FORK_STEPS, *SYNC_STEPS, *PROVISION_STEPS, *OPENING_STEPS}
]
ONCE_A_PROCESS = {"spool.opened", "spool.closed"}


def run_to_end(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def assert_exactly_once(home: Path, database: Path) -> None:
    """Compare the host's own trace with the leaves, and verify the whole home."""
    client = toy_host.open_client(home)
    events = [decode_event(e.event) for e in client.log.entries() if e.event is not None]
    puts = [event for event in events if event.type == "item.put"]
    claimed = Counter((e.subject.id, str(e.payload["value"])) for e in puts if e.status in APPLIED)
    toy = Toy(database)
    committed = Counter(toy.trace())
    toy.close()
    assert claimed == committed
    assert not [event for event in puts if event.status == "undetermined"]
    assert len({event.event_id for event in events}) == len(events)
    report = verify(
        Evidence(
            client.deployment,
            client.ledger,
            client.log,
            lambda: read_spooled(client.folder.spool, client.log),
            client.folder.bindings(),
            lambda name: ToyHost(),
        ),
        Scope(),
        lambda what, done, total: None,
    )
    assert report.verdict is Verdict.HOLDS, report.to_json()
    assert client.contract.head(client.deployment.log_id).size == client.log.size()
    client.close()


@pytest.mark.parametrize("step", RECORDER_STEPS)
@pytest.mark.parametrize("late", [False, True], ids=["first pass", "later pass"])
def test_a_recorder_killed_at_a_step_leaves_each_change_once(
    home: Path, tmp_path: Path, step: str, late: bool
) -> None:
    if late and step in ONCE_A_PROCESS:
        count = 1  # there is no later pass: the run after it is the other case
    elif step in ("spool.room.made", "spool.segment.rotated"):
        count = 2 if late else 1
    else:
        count = 5 if late else 1
    database = tmp_path / "toy.db"
    arguments = ("record", str(home), str(database), str(WRITES), "killed")
    run_killed(SCRIPT, *arguments, step_name=step, count=count)
    run_to_end("record", str(home), str(database), str(WRITES), "after")
    run_to_end("drain", str(home))
    assert_exactly_once(home, database)


@pytest.mark.parametrize("step", RELAY_STEPS)
@pytest.mark.parametrize("count", [1, 3], ids=["first pass", "third pass"])
def test_a_relay_killed_at_a_step_loses_and_doubles_nothing(
    home: Path, tmp_path: Path, step: str, count: int
) -> None:
    database = tmp_path / "toy.db"
    # Recorders that died give the relay something to resolve.
    for name in ("one", "two", "three"):
        run_killed(
            SCRIPT,
            *("record", str(home), str(database), str(WRITES), name),
            step_name="spool.outcome.before_write",
            count=7,
        )
    run_killed(SCRIPT, "drain", str(home), step_name=step, count=count)
    run_to_end("record", str(home), str(database), str(WRITES), "meanwhile")
    run_to_end("drain", str(home))
    assert_exactly_once(home, database)


def test_every_step_is_covered_by_a_killed_process() -> None:
    met = {*RECORDER_STEPS, *RELAY_STEPS, *FORK_STEPS, *SYNC_STEPS, *PROVISION_STEPS}
    assert met == set(steps.STEPS)
