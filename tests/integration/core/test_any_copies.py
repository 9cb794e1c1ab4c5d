"""Any family of copies of a spool, put back in any order, dying or not: each event once."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_client.clock import SystemClock
from chain_client.event_codec import decode_event
from chain_client.events import OutcomeStatus
from chain_client.hosts import Host
from chain_client.log import Log
from chain_client.relay.ingest import Ingester
from chain_client.relay.resolving import Resolver
from chain_client.spool import list_sources
from chain_client.verify import read_spooled
from chain_client.verify.leaves import check_leaves
from chain_client.verify.sequences import find_gaps, find_understated
from tests.copied_spools import SOURCE, CopiedProcess
from tests.strategies import examples


class Died(BaseException):
    """Stands for a death between two steps."""


def _no_host(name: str) -> Host:
    raise AssertionError("nothing is in doubt")


class Home:
    """A spool and a log, with relays that come and go."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        (folder / "spool").mkdir()
        self.log = Log(f"sqlite:///{folder / 'log.db'}")
        self.log.create()
        self.alarms: list[str] = []

    def relay(self, rounds: int, dies_in: str | None) -> None:
        """A relay of its own for some rounds; it may die at a step of the last one."""
        from chain_client import steps

        ingester = Ingester(
            self.log,
            self.path / "spool",
            Resolver(lambda: [], _no_host),
            SystemClock(),
            lambda kind, subject, detail: self.alarms.append(kind),
        )
        lease = self.log.acquire_lease("relay", "me", 60, replace_dead=lambda holder: True)

        def die(name: str) -> None:
            if name == dies_in:
                raise Died

        for left in range(rounds, 0, -1):
            steps.on_step = die if left == 1 else None
            try:
                ingester.run_round(lease)
            except Died:
                pass
            finally:
                steps.on_step = None


@settings(max_examples=examples(20))
@given(st.data())
def test_each_event_of_any_family_of_copies_is_in_the_log_once(
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
) -> None:
    home = Home(tmp_path_factory.mktemp("family"))
    family = [CopiedProcess()]
    number = 0
    put: set[int] = set()
    given_numbers: list[set[int]] = [set()]
    for _ in range(data.draw(st.integers(1, 8))):
        which = data.draw(st.integers(0, len(family) - 1))
        match data.draw(st.sampled_from(["see", "see", "copy", "put"])):
            case "see":
                many = data.draw(st.integers(1, 7))
                family[which].see(*range(number, number + many))
                given_numbers[which].update(range(number, number + many))
                number += many
            case "copy":
                family.append(family[which].snapshot())
                given_numbers.append(set(given_numbers[which]))
            case "put":
                folder = home.path / "spool" / SOURCE.hex()
                if folder.exists():
                    break
                family[which].put_spool(home.path)
                put |= given_numbers[which]
                dies = st.sampled_from(
                    [
                        None,
                        "log.append.before_commit",
                        "spool.fork.taken",
                        "log.append.committed",
                        "spool.segment.removed",
                    ]
                )
                for _ in range(data.draw(st.integers(0, 2))):
                    home.relay(data.draw(st.integers(1, 3)), data.draw(dies))
                home.relay(3, None)
                for rest in (home.path / "spool").glob(".taken-*"):
                    shutil.rmtree(rest)
    events = [decode_event(e.event) for e in home.log.entries() if e.event is not None]
    seen = Counter(e.payload["number"] for e in events if e.type == "item.seen")
    assert seen == Counter(put)
    assert len({event.event_id for event in events}) == len(events)
    assert {event.status for event in events} <= {OutcomeStatus.DONE}
    assert list_sources(home.path / "spool") == []
    assert set(home.alarms) <= {"source_forked"}

    spooled = read_spooled(home.path / "spool", home.log)
    leaves = check_leaves(home.log, {}, lambda what, done, total: None)
    promised: dict[bytes, int] = {s.source_id: s.next_sequence for s in home.log.sources()}
    assert list(find_gaps(leaves.trackers, spooled.waiting, promised)) == []
    assert list(find_understated(leaves.trackers, promised)) == []
    home.log.close()
