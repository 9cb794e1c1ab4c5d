"""Parcels whose frames are whole and whose content is nobody's: a source's alarm, and no more."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from chain_client import records
from chain_client.clock import SystemClock
from chain_client.events import Event, new_event_id
from chain_client.lineage.labels import to_time
from chain_client.relay.inbox import LOCK_NAME
from chain_client.spool import Kind
from chain_client.types import SourceId
from chain_client.verify import read_spooled
from tests.integration.core.conftest import Site
from tests.unit.chain_client.spool.journals import make_source

HONEST, HOSTILE = SourceId(b"\xff" * 16), SourceId(b"\x01" * 16)
HUGE = 1 << 63


def _body(number: int = 0, **changes: Any) -> bytes:
    """Of a note; each of its fields may be changed."""
    fields: dict[str, Any] = {
        "id": new_event_id().hex(),
        "type": "item.seen",
        "time_us": SystemClock().time_us(),
        "started_us": 1,
        "subject": ["", "item", "note"],
        "actor": [None, None],
        "payload": {"number": number},
        "result": None,
    }
    return json.dumps(list({**fields, **changes}.values()), separators=(",", ":")).encode()


CONTENTS: dict[str, list[tuple[Kind, int, int, bytes]]] = {
    "text for a time": [(Kind.NOTE, 1, 2, _body(time_us="now"))],
    "a huge time": [(Kind.NOTE, 1, 2, _body(time_us=HUGE * 4))],
    "a negative time": [(Kind.NOTE, 1, 2, _body(time_us=-HUGE * 4, started_us=-HUGE * 4))],
    "an infinite time": [(Kind.NOTE, 1, 2, _body(time_us=float("inf")))],
    "a list for a type": [(Kind.NOTE, 1, 2, _body(type=["item"]))],
    "nothing for a type": [(Kind.NOTE, 1, 2, _body(type=None))],
    "half a surrogate": [
        (Kind.NOTE, 1, 2, _body(type="\ud800", subject=["\ud800", "\0", "\ud800"]))
    ],
    "a number for a subject": [(Kind.NOTE, 1, 2, _body(subject=[1, 2, 3]))],
    "a list for a subject": [(Kind.NOTE, 1, 2, _body(subject=[["a"], {}, None]))],
    "a long subject": [(Kind.NOTE, 1, 2, _body(subject=["", "item", os.urandom(1 << 19).hex()]))],
    "a list for a payload": [(Kind.NOTE, 1, 2, _body(payload=[1]))],
    "text for a payload": [(Kind.NOTE, 1, 2, _body(payload="text"))],
    "a number for an actor": [(Kind.NOTE, 1, 2, _body(actor=[1, {"a": 1}]))],
    "text for a result": [(Kind.NOTE, 1, 2, _body(result="text"))],
    "numbers that are none": [(Kind.NOTE, 1, 2, _body(payload={"n": float("nan"), "i": HUGE**9}))],
    "a number of many digits": [
        (Kind.NOTE, 1, 2, _body(payload={"n": 0}).replace(b'"n":0', b'"n":' + b"9" * 10_000))
    ],
    "many levels": [
        (
            Kind.NOTE,
            1,
            2,
            _body(payload={"n": 0}).replace(b"0}", b"[" * 200_000 + b"]" * 200_000 + b"}"),
        )
    ],
    "an id of no bytes": [(Kind.NOTE, 1, 2, _body(id=""))],
    "an id of many bytes": [(Kind.NOTE, 1, 2, _body(id="ab" * 999))],
    "two of one id": [
        (Kind.NOTE, 1, 2, _body(1, id="ab" * 16)),
        (Kind.NOTE, 2, 3, _body(2, id="ab" * 16)),
    ],
    "one sequence twice": [(Kind.NOTE, 1, 2, _body(1)), (Kind.NOTE, 1, 2, _body(2))],
    "a huge sequence": [(Kind.NOTE, HUGE, 2, _body(1))],
    "a huge mark": [(Kind.NOTE, 1, 2 * HUGE - 1, _body(1))],
    "an outcome of nothing": [(Kind.OUTCOME, 2 * HUGE - 1, 2 * HUGE - 1, b"x")],
    "an outcome of numbers": [
        (Kind.INTENT, 1, 0, _body(1)),
        (Kind.OUTCOME, 1, 2 * HUGE - 1, b'["done","x",5,6,7,8]'),
    ],
    "an outcome of a huge end": [
        (Kind.INTENT, 1, 0, _body(1)),
        (Kind.OUTCOME, 1, 2 * HUGE - 1, b'["done",%d,null,null,null,false]' % (HUGE * 4)),
    ],
    "a call of a database that nobody knows": [(Kind.INTENT, 1, 0, _body(1))],
    "a second opening": [(Kind.NOTE, 1, 2, _body(type="source.opened", payload={"host": ["\0"]}))],
    "a closing of nonsense": [
        (Kind.NOTE, 1, 2, _body(type="source.closed", payload={"events": "x"}))
    ],
    "words of a relay": [
        (Kind.NOTE, 1, 2, _body(type="source.abandoned", subject=["", "source", HONEST.hex()])),
        (Kind.NOTE, 2, 3, _body(type="source.forked", subject=["", "source", HONEST.hex()])),
    ],
    "no JSON": [(Kind.NOTE, 1, 2, b"\xff\xfe")],
    "nothing": [(Kind.NOTE, 1, 2, b"")],
}


def _put(site: Site, source_id: SourceId, frames: list[tuple[Kind, int, int, bytes]]) -> None:
    opening = records.encode_opening(site.client.deployment_id)
    make_source(site.home / "inbox", [(Kind.NOTE, 0, 1, opening), *frames], source_id=source_id)


def test_whatever_a_parcel_holds_what_is_honest_comes_into_the_log(site: Site) -> None:
    hostile = {SourceId(number.to_bytes(16)): name for number, name in enumerate(CONTENTS)}
    for source_id, name in hostile.items():
        _put(site, source_id, CONTENTS[name])
    _put(site, HONEST, [(Kind.NOTE, 1, 2, _body(4711))])
    site.note(1)
    site.end_source()
    inbox, client = site.home / "inbox", site.client
    waiting = read_spooled(client.folder.spool, client.log, client.deployment_id, inbox=inbox)
    assert waiting.waiting[HONEST] == {0, 1}
    site.drain()
    # Whatever came into the log can be read there for ever, its time by people as well.
    by_source: dict[bytes, list[Event]] = {}
    for event in site.events():
        by_source.setdefault(event.source_id, []).append(event)
        to_time(event.time_us)
    assert [event.payload.get("number") for event in by_source[HONEST]] == [None, 4711, None]
    alarms = {alarm.subject: alarm.kind for alarm in site.client.log.alarms()}
    assert set(alarms.values()) == {"event_unreadable", "source_damaged", "source_unreadable"}
    assert HONEST.hex() not in alarms
    for source_id, name in hostile.items():
        assert source_id in by_source or source_id.hex() in alarms, name
    assert {path.name for path in inbox.iterdir()} == {LOCK_NAME, "aside"}
    named = {subject.removeprefix("source ") for _, subject in site.findings()}
    assert named <= {source_id.hex() for source_id in hostile}


@pytest.mark.parametrize("name", ["text for a time", "a huge time", "a list for a type"])
def test_such_a_parcel_gives_nothing_but_its_opening(site: Site, name: str) -> None:
    _put(site, HOSTILE, CONTENTS[name])
    site.drain()
    assert [alarm.kind for alarm in site.client.log.alarms()] == ["source_unreadable"]
    assert {event.type for event in site.events()} <= {"source.opened", "source.abandoned"}
