"""A comparison beside writers: what only came meanwhile is no finding, what was changed is one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pytest

from chain_client.events import Event, Subject
from chain_client.hosts import Finding, Progress, Scope, StoreBinding
from chain_client.verify import Verdict
from tests.faults.toy_host import STORE, Toy, ToyHost
from tests.integration.core.conftest import Site


class Interrupted(ToyHost):
    """Something happens between reading the events and looking at the host, the first time."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self._meanwhile: Callable[[], None] | None = meanwhile

    def compare(
        self, store: StoreBinding, events: Iterable[Event], scope: Scope, progress: Progress
    ) -> Iterator[Finding]:
        read = list(events)
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            meanwhile()
        yield from super().compare(store, read, scope, progress)


def put(site: Site, key: str) -> None:
    toy = Toy(site.database)
    recorder = site.client.recorder
    intent = recorder.begin("item.put", Subject(STORE, "item", key), {"value": "1"}, required=True)
    toy.put(intent.event_id, key, "1")
    recorder.done(intent)
    toy.close()


@pytest.mark.parametrize("drained", [False, True])
def test_a_script_that_ends_while_it_is_compared_is_accused_of_nothing(
    told: Site, drained: bool
) -> None:
    put(told, "early")

    def end() -> None:
        put(told, "late")
        told.end_source()
        if drained:
            told.drain()

    report = told.verify(host=Interrupted(end))
    assert report.findings == []
    assert report.verdict is Verdict.HOLDS


def test_a_script_that_comes_and_goes_while_it_is_compared_is_accused_of_nothing(
    told: Site,
) -> None:
    def come_and_go() -> None:
        put(told, "short")
        told.end_source()
        told.drain()

    assert told.verify(host=Interrupted(come_and_go)).findings == []


def test_what_was_changed_past_the_recorder_is_found_beside_a_writer(told: Site) -> None:
    def forge() -> None:
        put(told, "honest")
        toy = Toy(told.database)
        toy._connection.execute("INSERT INTO items VALUES ('forged', '1')")
        toy.close()

    report = told.verify(host=Interrupted(forge))
    assert [finding.subject for finding in report.findings] == ["forged"]
    told.end_source()
