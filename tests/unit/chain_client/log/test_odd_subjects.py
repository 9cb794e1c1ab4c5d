"""What a relay makes of subjects that no host has: the log takes them in, and what is behind."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from chain_client import records
from chain_client.event_codec import decode_event
from chain_client.events import Subject
from chain_client.relay.sealing import seal_entry
from chain_client.relay.seeds import Seeds
from tests.unit.chain_client.log.logs import LogUnderTest, both_databases, make_event

LONGEST = 2_500
"""Bytes of a subject with its store and kind; those of Airflow have 770 characters at most."""


def _text(length: int) -> str:
    """That no database compresses."""
    return "".join(random.Random(0).choices([chr(n) for n in range(33, 127)], k=length))


@both_databases
@pytest.mark.parametrize(("length", "stays"), [(LONGEST - 10, True), (1 << 20, False)])
def test_a_subject_of_any_length_holds_up_nothing(
    under_test: LogUnderTest, length: int, stays: bool
) -> None:
    subject = Subject("store", "run", _text(length))
    told: list[str] = []
    event = replace(make_event(0), subject=subject)
    entry, problem = seal_entry(event, lambda kind, of, detail: told.append(kind), Seeds(None))
    following, _ = seal_entry(make_event(1), lambda *alarm: told.append("another"), Seeds(None))
    assert under_test.append([entry, following]) == 2
    first, second = (decode_event(e.event) for e in under_test.log.entries() if e.event)
    assert second == make_event(1)
    if stays:
        assert (first, problem, told) == (event, None, [])
    else:
        assert (first.type, told) == (records.EVENT_UNREADABLE, ["event_unreadable"])
        assert f"{length + 10:,} bytes" in str(problem)
