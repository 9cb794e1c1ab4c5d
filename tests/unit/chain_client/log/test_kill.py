"""kill -9 around the commit of a batch: all of it is there, or nothing, and it goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain_client.log import Log
from chain_client.log.recheck import recheck, recheck_tiles
from chain_client.merkle import root
from chain_client.testing.crash import run_killed
from tests.unit.chain_client.log.logs import (
    SOURCE,
    LogUnderTest,
    leaves,
    make_entries,
    progress,
)

_SCRIPT = """
import sys
sys.path.insert(0, sys.argv[3])
from chain_client.log import Lease, Log
from tests.unit.chain_client.log.logs import make_entries, progress

log, lease = Log(sys.argv[1]), Lease("relay", "one", int(sys.argv[2]), 0)
for start in range(0, 900, 300):
    stop = start + 300
    log.append(make_entries(start, stop), [progress(stop, segment=start)], lease)
"""
CHECKOUT = str(Path(__file__).parents[4])


@pytest.mark.parametrize(
    ("under_test", "count"),
    [("sqlite", 1), ("sqlite", 2), ("sqlite", 3), ("postgres", 2)],
    indirect=["under_test"],
)
@pytest.mark.parametrize("step_name", ["log.append.before_commit", "log.append.committed"])
def test_a_batch_is_there_whole_or_not_at_all(
    under_test: LogUnderTest, tmp_path: Path, step_name: str, count: int
) -> None:
    script = tmp_path / "append.py"
    script.write_text(_SCRIPT)
    token = str(under_test.lease.token)
    run_killed(script, under_test.url, token, CHECKOUT, step_name=step_name, count=count)
    there = 300 * (count if step_name.endswith("committed") else count - 1)
    log = Log(under_test.url, clock=under_test.clock)
    assert log.size() == there
    assert [(s.next_sequence, s.segment) for s in log.sources()] == (
        [(there, there - 300)] if there else []
    )
    # the next relay reads its spool again, from where it believes it was
    again = make_entries(max(0, there - 300), 900)
    assert log.append(again, [progress(900)], under_test.lease) == 900 - there
    assert log.root() == root(leaves(make_entries(0, 900)))
    assert log.known(SOURCE, range(900)) == set(range(900))
    assert list(recheck(log)) == []
    assert list(recheck_tiles(log)) == []
    log.close()
