"""What is edited behind everybody's back is named by a verification, and nothing else is."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from chain_client.commitments import seal
from chain_client.errors import SpoolUnavailable
from chain_client.event_codec import decode_event, encode_event
from chain_client.events import Subject
from chain_client.hosts import Scope, StoreBinding
from chain_client.spool import Kind, SourceReader
from chain_client.verify import Verdict, read_spooled
from tests.faults.toy_host import STORE
from tests.integration.core.conftest import Site, assert_documented
from tests.unit.chain_client.spool.journals import SOURCE_ID, make_source

Run = Callable[..., tuple[int, str, str]]


def kinds(site: Site) -> set[str]:
    return {kind for kind, _ in site.findings()}


def test_an_untouched_home_holds(told: Site) -> None:
    report = told.verify()
    assert report.verdict is Verdict.HOLDS
    assert [check.name for check in report.checks] == [
        *("chain", "head", "leaves", "tree", "sources", "anchored", "toy"),
    ]


LAST = "(SELECT max(log_index) FROM entries)"
NOTES = "(SELECT max(source_no) FROM sources)"
LOOSE = (
    "CREATE TABLE loose AS SELECT * FROM entries",
    "DROP TABLE entries",
    "ALTER TABLE loose RENAME TO entries",
)
"""Takes the table's constraints away."""


def _repeat(sequence: str) -> tuple[str, ...]:
    return (
        f"INSERT INTO entries SELECT {LAST} + 1, leaf_hash, source_no, {sequence} FROM entries "
        "WHERE log_index = 9",
        "INSERT INTO payloads (log_index, subject_no, seed, event) "
        f"SELECT {LAST}, subject_no, seed, event FROM payloads WHERE log_index = 9",
    )


def _exchange(table: str) -> tuple[str, ...]:
    steps = [(9, -1), (10, 9), (-1, 10)]
    return tuple(
        f"UPDATE {table} SET log_index = {new} WHERE log_index = {old}" for old, new in steps
    )


def _cut(where: str) -> tuple[str, ...]:
    return (f"DELETE FROM payloads {where}", f"DELETE FROM entries {where}")


def _source(change: str) -> tuple[str, ...]:
    return (f"UPDATE sources SET {change} WHERE source_no = {NOTES}",)


def _payload(change: str) -> tuple[str, ...]:
    return (f"UPDATE payloads SET {change} WHERE log_index = 9",)


EDITS: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "an entry's row deleted": (
        ("DELETE FROM entries WHERE log_index = 5",),
        {"log_entry_missing"},
    ),
    "an entry and its payload deleted": (
        _cut("WHERE log_index = 40"),
        {"log_entry_missing", "event_missing"},
    ),
    "a payload edited": (
        (
            "UPDATE payloads SET event = replace(event, '\"number\":7', '\"number\":8') "
            "WHERE instr(event, '\"number\":7')",
        ),
        {"log_leaf_changed"},
    ),
    "a payload deleted": (
        ("DELETE FROM payloads WHERE log_index = 9",),
        {"log_payload_missing"},
    ),
    "a payload emptied": (_payload("event = NULL, seed = NULL"), {"log_payload_missing"}),
    "a payload made senseless": (_payload("event = x'00ff'"), {"log_payload_unreadable"}),
    "a seed edited": (_payload("seed = zeroblob(16)"), {"log_leaf_changed"}),
    "a leaf hash edited": (
        ("UPDATE entries SET leaf_hash = zeroblob(32) WHERE log_index = 9",),
        {"log_leaf_changed", "log_rewritten"},
    ),
    "a leaf hash cut": (
        ("UPDATE entries SET leaf_hash = x'00' WHERE log_index = 9",),
        {"log_leaf_changed"},
    ),
    "a row moved to another sequence": (
        ("UPDATE entries SET sequence = 5000 WHERE log_index = 9",),
        {"log_position_changed", "event_missing"},
    ),
    "a payload put under another subject": (
        (
            "UPDATE payloads SET subject_no = (SELECT max(subject_no) FROM subjects) "
            "WHERE log_index = 1",
        ),
        {"log_subject_changed"},
    ),
    "two entries exchanged": (
        (*_exchange("entries"), *_exchange("payloads")),
        {"log_rewritten"},
    ),
    "the end cut off": (
        _cut(f"WHERE log_index >= {LAST} - 2"),
        {"log_truncated", "log_entry_missing", "event_missing"},
    ),
    "everything deleted": (
        (*_cut(""), "DELETE FROM tiles"),
        {"log_truncated", "log_entry_missing", "event_missing"},
    ),
    "a tile edited": (
        ("UPDATE tiles SET hashes = zeroblob(length(hashes)) WHERE level = 1",),
        {"log_rewritten", "log_tile_changed"},
    ),
    "a tile deleted": (("DELETE FROM tiles",), {"log_rewritten", "log_tile_changed"}),
    "fewer events noted of a source": (_source("next_sequence = 3"), {"source_changed"}),
    "more events noted of a source": (_source("next_sequence = 400"), {"event_missing"}),
    "a source renamed": (_source("source_id = zeroblob(16)"), {"log_position_changed"}),
    "a source deleted": (
        (f"DELETE FROM sources WHERE source_no = {NOTES}",),
        {"log_position_changed"},
    ),
    "a source's information made senseless": (_source("info = '{'"), {"log_unreadable"}),
    "an entry repeated under a new number": (_repeat("9999"), {"log_position_changed"}),
    "an entry repeated as it is": ((*LOOSE, *_repeat("sequence")), {"event_repeated"}),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_of_the_log_is_named(told: Site, edit: str) -> None:
    statements, expected = EDITS[edit]
    told.sql(*statements)
    found = kinds(told)
    assert expected <= found, found
    assert told.verify().verdict is Verdict.DIFFERS


@pytest.mark.parametrize(
    ("index", "subject"),
    [(30, "log entries 0 to 99"), (150, "log entries 100 to 199"), (299, "log entries 200 to 299")],
)
def test_a_rewritten_entry_with_a_fitting_leaf_is_located_between_two_anchored_heads(
    told: Site, index: int, subject: str
) -> None:
    told.close()
    connection = sqlite3.connect(told.log_file)
    event, seed = connection.execute(
        "SELECT event, seed FROM payloads WHERE log_index = ?", (index,)
    ).fetchone()
    edited = replace(decode_event(event), payload={"number": -1})
    with connection:
        connection.execute(
            "UPDATE payloads SET event = ? WHERE log_index = ?", (encode_event(edited), index)
        )
        connection.execute(
            "UPDATE entries SET leaf_hash = ? WHERE log_index = ?", (seal(edited, seed), index)
        )
    connection.close()
    found = told.findings()
    assert ("log_rewritten", subject) in found
    assert "log_leaf_changed" not in {kind for kind, _ in found}


def test_a_change_in_the_host_is_named(told: Site) -> None:
    connection = sqlite3.connect(told.database)
    with connection:
        connection.execute("UPDATE items SET value = 'edited' WHERE key = 'key-1'")
        connection.execute("DELETE FROM items WHERE key = 'key-2'")
    connection.close()
    assert told.findings() == [("item_changed", "key-1"), ("item_changed", "key-2")]


@pytest.mark.parametrize("type_", ["item.seen", "source.closed"])
def test_an_event_of_a_closed_source_that_was_added_later_is_named(told: Site, type_: str) -> None:
    last = told.events()[-1]
    forged = replace(last, sequence=last.sequence + 1, type=type_)
    seed = bytes(16)
    told.close()
    connection = sqlite3.connect(told.log_file)
    with connection:
        connection.execute(
            f"INSERT INTO entries SELECT {LAST} + 1, ?, source_no, ? FROM entries "
            f"WHERE log_index = {LAST}",
            (seal(forged, seed), forged.sequence),
        )
        connection.execute(
            "INSERT INTO payloads (log_index, subject_no, seed, event) "
            f"SELECT {LAST}, subject_no, ?, ? FROM payloads WHERE log_index = {LAST} - 1",
            (seed, encode_event(forged)),
        )
    connection.close()
    assert "source_continued" in kinds(told)


def segments(site: Site) -> list[Path]:
    return sorted((site.home / "spool").glob("*/*.spool"))


def test_a_segment_that_was_removed_before_a_relay_met_it_is_a_gap(
    home: Path, open_site: Callable[..., Site]
) -> None:
    site = open_site(home, SPOOL_SEGMENT_BYTES=2000)
    site.note(40)
    site.end_source()
    assert len(segments(site)) >= 4
    segments(site)[2].unlink()
    site.drain()
    assert kinds(site) == {"event_missing"}


def test_a_spool_that_was_removed_whole_is_a_source_without_an_end(site: Site) -> None:
    site.note(5)
    site.drain()
    assert site.findings() == []
    site.note(5)
    shutil.rmtree(site.home / "spool")
    with contextlib.suppress(SpoolUnavailable):  # unless it was synced a moment before
        site.end_source()
    assert kinds(site) == {"source_not_closed"}


@pytest.mark.parametrize(
    ("edit", "alarms"),
    [
        ("position = position", []),
        ("position = :size", ["source_changed"]),
        ("position = :size, state = 'open', info = '{'", ["source_changed"]),
        ("position = :size + 5000", ["source_changed"]),
        ("position = position + 1", ["source_changed"]),
        ("position = position - 1", ["source_changed"]),
        ("segment = 9", ["source_changed"]),
        ("position = 'x', next_sequence = 'x'", []),
    ],
)
def test_what_the_log_notes_of_a_source_never_removes_an_event_that_it_does_not_hold(
    site: Site, edit: str, alarms: list[str]
) -> None:
    site.note(5)
    relay = site.relay()
    relay.start()
    relay.run_round()
    relay.close()
    site.note(5, first=5)
    site.end_source()
    [segment] = segments(site)
    site.sql(f"UPDATE sources SET {edit}".replace(":size", str(segment.stat().st_size)))
    spooled = read_spooled(site.home / "spool", site.client.log)
    assert [event.sequence for event in spooled.events.values()] == [6, 7, 8, 9, 10, 11]
    assert list(spooled.waiting.values()) == [{6, 7, 8, 9, 10, 11}]
    site.drain()
    assert site.numbers() == list(range(10))
    assert [alarm.kind for alarm in site.client.log.alarms()] == alarms
    assert list((site.home / "spool").iterdir()) == []
    assert site.findings() == []


def test_no_segment_is_removed_that_holds_what_the_log_does_not(
    home: Path, open_site: Callable[..., Site]
) -> None:
    site = open_site(home, SPOOL_SEGMENT_BYTES=2000)
    site.note(1)
    relay = site.relay()
    relay.start()
    relay.run_round()
    relay.close()
    site.note(40, first=1)
    last = segments(site)[-1]
    size = last.stat().st_size
    site.sql(f"UPDATE sources SET segment = {int(last.stem)}, position = {size}")
    relay = site.relay()
    relay.start()
    relay.run_round()
    relay.close()
    assert site.numbers() == list(range(41))
    assert [path.name for path in segments(site)] == [last.name]
    site.end_source()


def test_a_spool_that_a_relay_takes_while_it_is_read_is_no_damage(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.note(3)
    site.end_source()
    real = SourceReader.segment_numbers
    waiting = iter([site.drain])

    def listed_a_moment_before(reader: SourceReader) -> list[int]:
        numbers = real(reader)
        for take in waiting:
            take()
        return numbers

    monkeypatch.setattr(SourceReader, "segment_numbers", listed_a_moment_before)
    spooled = read_spooled(site.home / "spool", site.client.log)
    assert (spooled.corruptions, spooled.waiting, spooled.events) == (0, {}, {})
    assert site.numbers() == [0, 1, 2]


def test_a_source_that_is_set_aside_twice_is_kept_twice(site: Site) -> None:
    for _ in range(2):
        make_source(site.home / "spool", [(Kind.NOTE, 0, 1, b"no event")])
        site.drain()
    kept = sorted(path.name for path in (site.home / "spool" / "aside").iterdir())
    assert kept == [f"{SOURCE_ID.hex()}.unreadable", f"{SOURCE_ID.hex()}.unreadable.1"]
    assert [alarm.kind for alarm in site.client.log.alarms()] == ["source_unreadable"]


def test_damage_of_a_spool_is_kept_aside_and_named_and_the_rest_goes_on(
    home: Path, open_site: Callable[..., Site], mlops_chain: Run
) -> None:
    site = open_site(home, SPOOL_SEGMENT_BYTES=4000)
    site.note(60, "damaged")
    site.end_source()
    victim = segments(site)[1]
    data = bytearray(victim.read_bytes())
    data[1000:1010] = bytes(byte ^ 0xFF for byte in data[1000:1010])
    victim.write_bytes(data)
    site.note(5, "sound")
    site.end_source()
    site.drain()

    held = [event.subject.id for event in site.events() if event.type == "item.seen"]
    assert held.count("sound") == 5
    assert 50 <= held.count("damaged") < 60
    [kept] = (home / "spool" / "corrupt").iterdir()
    [alarm] = site.client.log.alarms()
    assert alarm.kind == "spool_corrupt"
    assert kept.name in alarm.detail
    assert kinds(site) == {"event_missing"}
    code, out, _ = mlops_chain("--home", home, "doctor")
    assert code == 1
    assert "damaged" in out


def test_open_calls_and_waiting_events_are_no_finding(site: Site) -> None:
    recorder = site.client.recorder
    assert site.findings() == []
    running = recorder.begin("item.put", Subject("", "item", "k"), {"value": 1})
    site.note(3)
    assert site.findings() == []
    relay = site.relay()
    relay.start()
    relay.run_round()
    relay.close()
    assert site.client.log.size() == 4
    site.note(3)
    assert site.findings() == []
    recorder.done(running)
    assert site.findings() == []
    site.drain()
    assert site.findings() == []
    site.end_source()
    assert site.findings() == []
    site.drain()
    assert site.findings() == []


def _execute(home: Path, statement: str) -> None:
    connection = sqlite3.connect(home / "log.db")
    with connection:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("tamper", "code"),
    [
        (lambda home: None, 2),
        (lambda home: _execute(home, "DELETE FROM payloads WHERE log_index = 3"), 1),
        (lambda home: (home / "chain" / "embedded.db").unlink(), 2),
        (lambda home: (home / "log.db").unlink(), 2),
        (lambda home: (home / "log.db").write_bytes(b"no database" * 1000), 2),
        (lambda home: (home / "deployment.json").unlink(), 2),
    ],
    ids=[
        "where a database is",
        "a payload",
        "the chain",
        "the log",
        "a log of other bytes",
        "the deployment",
    ],
)
def test_the_exit_code_tells_what_differs_from_what_could_not_be_checked(
    told: Site, mlops_chain: Run, tamper: Callable[[Path], object], code: int
) -> None:
    told.close()
    for file in (told.home / "stores").iterdir():
        file.unlink()  # no adapter of that name is installed: nobody knows the database then
    tamper(told.home)
    found, out, _ = mlops_chain("--home", told.home, "verify", "--json")
    document = json.loads(out)
    assert_documented(document)
    assert (found, document["ok"]) == (code, code == 0)
    assert mlops_chain("--home", told.home, "verify")[0] == code


def test_the_exit_code_of_a_home_that_holds_is_zero(home: Path, mlops_chain: Run) -> None:
    found, out, _ = mlops_chain("--home", home, "verify", "--json")
    document = json.loads(out)
    assert (found, document["ok"], document["findings"]) == (0, True, [])
    assert mlops_chain("--home", home, "verify")[0] == 0


def test_a_run_is_compared_in_the_database_that_recorded_it(told: Site) -> None:
    other = StoreBinding("another-store", "toy", str(told.database.with_name("other.db")))
    told.client.bind_store(other)
    told.client.recorder.note("run.seen", Subject(STORE, "run", "mine"), {"value": "x"})
    hosts = [check.name for check in told.verify(Scope(run_id="mine")).checks[6:]]
    assert hosts == ["toy"]
    hosts = [check.name for check in told.verify(Scope(run_id="nobody's")).checks[6:]]
    assert hosts == ["toy", "toy"]


def test_a_database_that_nobody_can_find_is_not_checked(told: Site) -> None:
    told.client.recorder.note("item.put", Subject("lost-store", "item", "k"), {"value": "x"})
    report = told.verify()
    assert report.verdict is Verdict.NOT_CHECKED
    assert "lost-store" in report.checks[-1].detail


def test_a_missing_chain_keeps_no_other_step_from_being_carried_out(told: Site) -> None:
    told.close()
    told.chain_file.unlink()
    report = told.verify()
    assert report.verdict is Verdict.NOT_CHECKED
    carried_out = {check.name for check in report.checks if check.carried_out}
    assert carried_out == {"leaves", "tree", "sources", "toy"}


def test_a_source_that_can_not_be_read_keeps_no_verification_from_its_work(told: Site) -> None:
    damaged = told.home / "spool" / os.urandom(16).hex()
    damaged.mkdir()
    (damaged / "owner.lock").touch()
    (damaged / "00000000.spool").mkdir()
    assert told.findings() == []
