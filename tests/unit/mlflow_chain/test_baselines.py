"""Which baseline counts, and what is said of the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from chain_client.events import Actor, Event, Json, OutcomeStatus, Subject, Timing, new_event_id
from chain_client.hosts import Scope
from chain_client.types import SourceId
from mlflow_chain.verifying.order import TOLERANCE_US
from mlflow_chain.verifying.replay import replay

STORE = "5" * 32


def event(
    type_: str, source: str, sequence: int, payload: dict[str, Json], id_: str, minutes: int
) -> Event:
    time_us = minutes * 60_000_000
    return Event(
        new_event_id(),
        type_,
        SourceId(source.encode() * 16),
        sequence,
        time_us,
        OutcomeStatus.DONE,
        Subject(STORE, type_.partition(".")[0], id_),
        Actor(),
        Timing(time_us, time_us, sequence + 1),
        payload,
    )


def baseline(source: str, name: str, minutes: int = 0, *, finished: bool = True) -> list[Event]:
    """A whole baseline in which experiment 1 has the baseline's name."""
    mark: dict[str, Json] = {"baseline": name}
    fields: dict[str, Json] = {"fields": {"name": name}, "tags": {}}
    events = [
        event("store.baseline_started", source, 1, mark, STORE, minutes),
        event("experiment.baseline", source, 2, mark | fields, "1", minutes),
        event("store.adopted", source, 3, mark, STORE, minutes),
    ]
    return events if finished else events[:2]


def rename(source: str, sequence: int, minutes: int = 0) -> list[Event]:
    return [event("experiment.renamed", source, sequence, {"name": "new"}, "1", minutes)]


LATER = TOLERANCE_US // 60_000_000 + 1


@pytest.mark.parametrize(
    ("events", "names", "repeated"),
    [
        (baseline("a", "one"), ["one"], []),
        (baseline("a", "one", finished=False), [], []),
        (baseline("a", "one", finished=False) + baseline("b", "two"), ["two"], []),
        (baseline("a", "one") + baseline("b", "two", LATER), ["one"], ["two"]),
        (baseline("a", "one") + baseline("b", "two"), ["one"], ["two"]),
        (rename("a", 0) + baseline("a", "late"), ["new"], ["late"]),
        (rename("b", 0) + baseline("a", "late", LATER), ["new"], ["late"]),
        # Sources are read one after another: another one's events may stand first in the log.
        (rename("b", 0, 1) + baseline("a", "one"), ["new", "one"], []),
    ],
)
def test_only_the_first_finished_baseline_counts(
    events: Iterable[Event], names: list[str], repeated: list[str]
) -> None:
    state = replay(events, Scope())
    assert sorted(map(str, state.experiments["1"].fields["name"].values())) == names
    assert [(f.kind, f.actual) for f in state.findings] == [
        ("baseline_repeated", name) for name in repeated
    ]


def test_on_one_machine_the_clock_tells_which_baseline_was_first() -> None:
    opened = [event("source.opened", s, 0, {"boot": "x"}, "", 0) for s in ("a", "b")]
    state = replay([*opened, *baseline("b", "two", 2), *baseline("a", "one", 1)], Scope())
    assert state.experiments["1"].fields["name"].values() == ["one"]
    assert [finding.actual for finding in state.findings] == ["two"]


def test_the_end_of_another_process_is_no_event_of_the_store() -> None:
    closed = event("source.closed", "b", 0, {}, "", 0)
    state = replay([closed, *baseline("a", "one", LATER)], Scope())
    assert state.experiments["1"].exists.must()
    assert state.findings == []


def test_what_is_decided_before_a_database_is_adopted_does_not_make_it_an_old_one() -> None:
    bound = replace(event("user.bound", "b", 0, {"user": "bob"}, "bob", 0), subject=_of("", "user"))
    opened = replace(event("gate.mode", "a", 0, {"mode": "off"}, "", 0), subject=_of(STORE, "gate"))
    state = replay([bound, opened, *baseline("a", "one", LATER)], Scope())
    assert state.experiments["1"].fields["name"].values() == ["one"]
    assert state.findings == []


def _of(store: str, kind: str) -> Subject:
    return Subject(store, kind, "")
