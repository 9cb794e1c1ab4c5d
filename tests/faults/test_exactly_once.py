"""SIGKILL at every named step: each committed change has exactly one leaf, and no leaf lies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from chain_client import steps
from chain_client.event_codec import decode_event
from chain_client.events import APPLIED
from chain_client.hosts import Scope
from chain_client.verify import Evidence, Verdict, read_spooled, verify
from tests.faults import toy_host
from tests.faults.toy_host import Toy, ToyHost, drain, record
from tests.forked import in_fork, killed_at

WRITES = 12

RELAY_ONLY = {"spool.segment.before_remove", "spool.segment.removed"}
ELSEWHERE = {
    # A copied spool only.
    "spool.fork.taken": "integration/core/test_forked_sources.py",
    # A spool that is handed over.
    **dict.fromkeys(
        (name for name in steps.STEPS if name.startswith(("shipping.", "relay.parcel."))),
        "faults/test_shipping_killed.py",
    ),
    # A payload that the log's database does not keep.
    "payload.file.written": "faults/test_payloads_killed.py",
    "payload.file.named": "faults/test_payloads_killed.py",
    # … into a store from which the relay fetches it.
    **dict.fromkeys(
        (name for name in steps.STEPS if name.startswith("receiving.")),
        "faults/test_receiving_killed.py",
    ),
    # A transaction that gets stuck: on an embedded chain none does.
    "transaction.replacement.signed": "faults/test_transactions_killed.py",
    "transaction.replacement.stored": "faults/test_transactions_killed.py",
    # Events that go to a payload store.
    "log.payloads.begun": "faults/test_payloads_killed.py",
    "log.payload.stored": "faults/test_payloads_killed.py",
    "log.payloads.stored": "faults/test_payloads_killed.py",
    # What MLflow is set to, after what the registry decided.
    "sync.promoted": "integration/gate_sync/test_killed_sync.py",
    "sync.target.written": "integration/gate_sync/test_killed_sync.py",
    "sync.tag.written": "integration/gate_sync/test_killed_sync.py",
    # Before there is a relay: a home is founded, or the tables of its log are made anew.
    "provision.salt.made": "faults/test_provision_killed.py",
    "provision.registry.deployed": "faults/test_provision_killed.py",
    "deploy.keys.made": "faults/test_deploy_killed.py",
    "deploy.begun": "faults/test_deploy_killed.py",
    "deploy.recorded": "faults/test_deploy_killed.py",
    "log.migrated.before_commit": "unit/chain_client/log/test_migrations.py",
}
"""Steps that neither a recorder nor a relay of an embedded chain meets, and who kills there."""
HERE = [name for name in steps.STEPS if name not in ELSEWHERE]
RECORDER_STEPS = [name for name in HERE if name.startswith("spool.") and name not in RELAY_ONLY]
RELAY_STEPS = [name for name in HERE if name not in RECORDER_STEPS]
ONCE_A_PROCESS = {"spool.opened", "spool.closed"}


def run_to_end(action: Callable[[], None]) -> None:
    def run() -> str:
        action()
        return "done"

    assert in_fork(run) == "done"


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
    killed_at(step, count, lambda: record(home, database, WRITES, "killed"))
    run_to_end(lambda: record(home, database, WRITES, "after"))
    run_to_end(lambda: drain(home))
    assert_exactly_once(home, database)


@pytest.mark.parametrize("step", RELAY_STEPS)
@pytest.mark.parametrize("count", [1, 3], ids=["first pass", "third pass"])
def test_a_relay_killed_at_a_step_loses_and_doubles_nothing(
    home: Path, tmp_path: Path, step: str, count: int
) -> None:
    database = tmp_path / "toy.db"
    # Recorders that died give the relay something to resolve.
    for name in ("one", "two", "three"):
        killed_at("spool.outcome.before_write", 7, lambda: record(home, database, WRITES, name))  # noqa: B023
    killed_at(step, count, lambda: drain(home))
    run_to_end(lambda: record(home, database, WRITES, "meanwhile"))
    run_to_end(lambda: drain(home))
    assert_exactly_once(home, database)


@pytest.mark.parametrize("step", ELSEWHERE)
def test_a_step_that_is_not_met_here_is_named_where_processes_are_killed_at_it(step: str) -> None:
    assert f'"{step}"' in (Path(__file__).parents[1] / ELSEWHERE[step]).read_text("utf-8")


def test_every_step_is_met_by_a_killed_process() -> None:
    assert {*RECORDER_STEPS, *RELAY_STEPS, *ELSEWHERE} == set(steps.STEPS)
