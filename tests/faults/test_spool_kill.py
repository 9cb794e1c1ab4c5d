"""kill -9 at every step of recording, beside a host that traces its own commits.

The host is a SQLite table; a row of it is a committed change. Whatever is in it must have its
intent in the spool, however the process ended, and carries a mark that the intent was durable then.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from chain_client.spool import Kind, SourceReader, list_sources
from chain_client.steps import STEPS
from chain_client.testing.crash import run_killed
from tests.unit.chain_client.spool.journals import read_all

_SCRIPT = """
import sqlite3, sys
from pathlib import Path
from chain_client.spool import Durability, SpoolWriter

sys.path.insert(0, sys.argv[3])
from tests.unit.chain_client.spool.journals import NotingDisk

root, host, disk = Path(sys.argv[1]), sqlite3.connect(sys.argv[2]), NotingDisk()
host.create_function("is_durable", 1, lambda name: disk.is_durable(name.encode()))
host.execute("CREATE TABLE committed (name TEXT, durable INTEGER)")
writer = SpoolWriter(
    root, opening=lambda: b"opening", closing=lambda n: b"closing %d" % n,
    durability=Durability.POWER, segment_bytes=200, disk=disk,
)
for call in range(8):
    name = "call %d" % call
    intent = writer.append_intent(name.encode())
    with host:
        host.execute("INSERT INTO committed VALUES (?1, is_durable(?1))", (name,))
    writer.append_outcome(intent, name.encode())
writer.close()
"""

RECORDING = [
    name
    for name in STEPS
    if name.startswith("spool.") and not name.endswith(("remove", "removed", "taken"))
]
CHECKOUT = str(Path(__file__).parents[2])
COUNTS = {"spool.opened": (1,), "spool.closed": (1,), "spool.room.made": (2, 4)}
"""Passes at which it dies; the first room belongs to a source that has no name yet."""


def _committed(path: Path) -> list[str]:
    host = sqlite3.connect(path)
    try:
        rows = host.execute("SELECT name, durable FROM committed").fetchall()
    finally:
        host.close()
    assert all(durable for _, durable in rows)
    return [name for name, _ in rows]


def _killed(folder: Path, step_name: str, count: int) -> tuple[list[str], SourceReader]:
    script, host, root = folder / "host.py", folder / "host.db", folder / "spool"
    script.write_text(_SCRIPT)
    run_killed(script, str(root), str(host), CHECKOUT, step_name=step_name, count=count)
    (source,) = list_sources(root)
    return _committed(host), source


@pytest.mark.parametrize(
    ("step_name", "count"),
    [(name, count) for name in RECORDING for count in COUNTS.get(name, (1, 4))],
)
def test_the_host_holds_no_change_without_an_intent(
    tmp_path: Path, step_name: str, count: int
) -> None:
    committed, source = _killed(tmp_path, step_name, count)
    assert not source.is_live()
    records, corruptions = read_all(source)
    assert corruptions == []
    intents = {r.sequence: r.body.decode() for r in records if r.kind is Kind.INTENT}
    outcomes = {r.sequence: r.body.decode() for r in records if r.kind is Kind.OUTCOME}
    assert set(committed) <= set(intents.values())
    assert len(set(intents.values()) - set(committed)) <= 1  # only the last call is in doubt
    assert set(outcomes.values()) <= set(committed)
    assert len(set(committed) - set(outcomes.values())) <= 1
    assert outcomes.items() <= intents.items()
    given = [r.sequence for r in records if r.kind in (Kind.INTENT, Kind.NOTE)]
    assert given == list(range(len(given)))
    assert (records[-1].body == b"closing 9") == (step_name == "spool.closed")
    if step_name == "spool.room.made":
        newest = max(source.directory.glob("*.spool"))
        assert newest.stat().st_size > records[-1].end.offset  # it left zeros behind


_REMOVE = """
import sys
from pathlib import Path
from chain_client.spool import list_sources

(source,) = list_sources(Path(sys.argv[1]))
source.remove_segments_before(99)
source.remove()
"""


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("step_name", ["spool.segment.before_remove", "spool.segment.removed"])
def test_a_removal_that_was_killed_can_be_finished(
    tmp_path: Path, step_name: str, count: int
) -> None:
    _, source = _killed(tmp_path, "spool.closed", 1)
    segments = len(list(source.directory.glob("*.spool")))
    assert segments >= 3
    script = tmp_path / "remove.py"
    script.write_text(_REMOVE)
    run_killed(script, str(tmp_path / "spool"), step_name=step_name, count=count)
    removed = count if step_name.endswith("removed") else count - 1
    records, corruptions = read_all(source)
    assert corruptions == []
    assert len(list(source.directory.glob("*.spool"))) == segments - removed
    assert records[-1].body == b"closing 9"  # from the oldest on
    source.remove()
    assert list_sources(tmp_path / "spool") == []
