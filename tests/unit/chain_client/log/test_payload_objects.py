"""Events that a payload store keeps: read as any others, named when they are not what they were."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest

from chain_client.commitments import seal
from chain_client.errors import (
    AnotherRelay,
    ConfigurationError,
    InvalidEvent,
    PayloadStoreUnavailable,
    PayloadsUnavailable,
)
from chain_client.event_codec import decode_event, encode_event
from chain_client.log import Log, NewEntry
from chain_client.log.payload_objects import head_of
from chain_client.log.payload_place import PayloadPlace
from chain_client.log.recheck import recheck, recheck_range
from chain_client.types import Digest
from tests.unit.chain_client.log.logs import (
    SOURCE,
    LogUnderTest,
    both_databases,
    make_entries,
    make_entry,
    make_event,
    progress,
)
from tests.unit.chain_client.log.stores import MemoryStore, PlaceInMemory, place_in_memory

SIZE = 40


@pytest.fixture
def place() -> PlaceInMemory:
    return place_in_memory()


@pytest.fixture
def store(place: PlaceInMemory) -> MemoryStore:
    return place.store


@pytest.fixture
def log(under_test: LogUnderTest, place: PlaceInMemory) -> Iterator[Log]:
    """The log under test, with the store."""
    opened = Log(under_test.url, clock=under_test.clock, timeout_s=1, payloads=place)
    yield opened
    opened.close()


@pytest.fixture
def filled(log: Log, under_test: LogUnderTest) -> list[NewEntry]:
    """What was appended to it."""
    made = make_entries(0, SIZE)
    assert log.append(made, [progress(SIZE)], under_test.lease) == SIZE
    return made


def digest_of(under_test: LogUnderTest, index: int) -> Digest:
    statement = f"SELECT object_digest FROM payloads WHERE log_index = {index}"
    [(digest,)] = under_test.rows(statement)
    assert isinstance(digest, bytes)
    return Digest(digest)


@both_databases
def test_who_reads_finds_the_events_whole_and_the_database_holds_their_beginnings(
    log: Log, under_test: LogUnderTest, filled: list[NewEntry], store: MemoryStore
) -> None:
    events = [entry.event for entry in filled]
    assert [entry.event for entry in log.entries()] == events
    assert [entry.fault for entry in log.entries()] == [None] * SIZE
    assert store.longest <= 64 << 10  # what rows of that size can't need is not read
    assert log.entry(7).event == events[7]
    found = log.find_events("store/run:r1", exact=True, types=["metric.logged"])
    assert [entry.event for entry in found] == events[1::3]
    assert list(log.find_events("store/run:", types=["metric.log"])) == []
    assert [entry.event for entry in log.of_source(SOURCE, [3, 5])] == [events[3], events[5]]
    ids = {n: decode_event(event).event_id for n, event in enumerate(events)}
    assert log.event_ids(SOURCE, range(99)) == ids
    assert list(recheck(log)) == []
    rows = under_test.rows("SELECT event, object_bytes FROM payloads ORDER BY log_index")
    assert [bytes(event) for event, _ in rows] == [head_of(event) for event in events]  # type: ignore[call-overload]
    assert all(event.startswith(head_of(event)) and len(head_of(event)) < 60 for event in events)
    assert len(store.objects) == SIZE + 1  # and the mark
    plain = b"".join(store.objects.values())
    assert b"metric" not in plain
    assert (
        sorted(len(data) for data in store.objects.values())[1:]
        == sorted([len(event) + 29 for event in events] + [max(map(len, store.objects.values()))])[
            :SIZE
        ]
    )


@both_databases
def test_small_events_stay_in_the_database_where_that_is_wanted(under_test: LogUnderTest) -> None:
    events = [make_entry(0), *_long_entries(1, 3), make_entry(3)]
    place = place_in_memory(from_bytes=len(events[1].event))
    log = Log(under_test.url, clock=under_test.clock, timeout_s=1, payloads=place)
    log.append(events, (), under_test.lease)
    assert [entry.event for entry in log.entries()] == [entry.event for entry in events]
    assert [entry.stored is None for entry in log.entries()] == [True, False, False, True]
    log.append(make_entries(4, 9), (), under_test.lease)  # none of them is long
    assert [entry.stored for entry in log.entries(4)] == [None] * 5
    assert list(recheck(log)) == []
    log.close()


def _long_entries(start: int, stop: int) -> list[NewEntry]:
    made = []
    for number in range(start, stop):
        event = replace(make_event(number), payload={"value": "x" * 1000})
        seed = hashlib.sha256(b"%d" % number).digest()[:16]
        key, encoded = event.subject.to_key(), encode_event(event)
        made.append(NewEntry(seal(event, seed), SOURCE, number, key, encoded, seed))
    return made


Tamper = Callable[[LogUnderTest, MemoryStore], None]


def _remove(under_test: LogUnderTest, store: MemoryStore) -> None:
    del store.objects[digest_of(under_test, 7)]


def _edit(under_test: LogUnderTest, store: MemoryStore) -> None:
    data = bytearray(store.objects[digest_of(under_test, 7)])
    data[-1] ^= 1
    store.objects[digest_of(under_test, 7)] = bytes(data)


def _exchange_objects(under_test: LogUnderTest, store: MemoryStore) -> None:
    store.objects[digest_of(under_test, 7)] = store.objects[digest_of(under_test, 8)]


def _name_another_object(under_test: LogUnderTest, store: MemoryStore) -> None:
    digest = digest_of(under_test, 8)
    under_test.edit("UPDATE payloads SET object_digest = ? WHERE log_index = 7", digest)


def _name_no_object(under_test: LogUnderTest, store: MemoryStore) -> None:
    under_test.edit("UPDATE payloads SET object_digest = ? WHERE log_index = 7", b"short")


def _edit_seed(under_test: LogUnderTest, store: MemoryStore) -> None:
    under_test.edit("UPDATE payloads SET seed = ? WHERE log_index = 7", bytes(16))


def _edit_type(under_test: LogUnderTest, store: MemoryStore) -> None:
    under_test.edit("UPDATE payloads SET event = ? WHERE log_index = 7", b'[1,"00","run.created"')


def _edit_size(under_test: LogUnderTest, store: MemoryStore) -> None:
    under_test.edit("UPDATE payloads SET object_bytes = 1 WHERE log_index = 7")


def _take_for_whole(under_test: LogUnderTest, store: MemoryStore) -> None:
    under_test.edit("UPDATE payloads SET object_digest = NULL WHERE log_index = 7")


def _drop_seed(under_test: LogUnderTest, store: MemoryStore) -> None:
    under_test.edit("UPDATE payloads SET seed = NULL WHERE log_index = 7")


@both_databases
@pytest.mark.parametrize(
    ("tamper", "kind", "text"),
    [
        (_remove, "payload_object_missing", r"object 0x[0-9a-f]{64} of .* memory: is missing"),
        (_edit, "payload_object_damaged", r"object 0x[0-9a-f]{64} of .* memory: was changed"),
        (_exchange_objects, "payload_object_damaged", r"object 0x[0-9a-f]{64} .* was changed"),
        (_name_another_object, "payload_object_damaged", "not what was stored for this entry"),
        (_name_no_object, "payload_object_damaged", "names no object"),
        (_edit_seed, "payload_object_damaged", "or the entry's seed was changed"),
        (_edit_type, "payload_head_changed", "the type, the id or the size"),
        (_edit_size, "payload_head_changed", "the type, the id or the size"),
        (_take_for_whole, "payload_unreadable", "can't be read"),
        (_drop_seed, "payload_missing", "no event or no seed any more"),
    ],
)
def test_what_was_done_to_one_payload_is_named_and_the_others_are_read(
    log: Log,
    under_test: LogUnderTest,
    filled: list[NewEntry],
    store: MemoryStore,
    tamper: Tamper,
    kind: str,
    text: str,
) -> None:
    tamper(under_test, store)
    [mismatch] = recheck(log)
    assert (mismatch.index, mismatch.kind) == (7, kind)
    assert "entry 7" in mismatch.detail
    assert re.search(text, mismatch.detail), mismatch.detail
    events = [entry.event for entry in log.entries()]
    kept = [entry.event for entry in filled]
    assert events[:7] + events[8:] == kept[:7] + kept[8:]
    if kind in ("payload_object_missing", "payload_missing"):
        assert events[7] is None
    elif kind == "payload_head_changed":
        assert events[7] == kept[7]
    else:
        with pytest.raises(InvalidEvent):
            decode_event(events[7] or b"")


def test_a_store_that_is_away_is_an_error_and_never_a_finding(
    log: Log, under_test: LogUnderTest, filled: list[NewEntry], store: MemoryStore
) -> None:
    for error in (PayloadStoreUnavailable("no route"), ConfigurationError("access denied")):

        def refuse(what: str, digest: Digest, error: Exception = error) -> None:
            raise error

        store.before = refuse
        for read in (log.entry, lambda _: list(recheck(log)), lambda _: list(log.entries())):
            with pytest.raises(PayloadsUnavailable, match=str(error)):
                read(3)
        with pytest.raises(PayloadsUnavailable, match=str(error)):
            log.append(make_entries(SIZE, SIZE + 3), (), under_test.lease)
        with pytest.raises(PayloadsUnavailable, match=str(error)):
            log.payloads.check()
    assert log.size() == SIZE
    assert log.known(SOURCE, range(99)) == set(range(SIZE))
    assert log.event_ids(SOURCE, [3]) == {3: make_event(3).event_id}  # no store is asked for that


def test_a_log_whose_store_nobody_names_says_so(
    under_test: LogUnderTest, filled: list[NewEntry]
) -> None:
    with pytest.raises(PayloadsUnavailable, match=r"log\.payloads names none: set it"):
        list(under_test.log.entries())
    assert under_test.append(make_entries(SIZE, SIZE + 1)) == 1  # into the database
    assert [entry.index for entry in under_test.log.entries(SIZE)] == [SIZE]


def test_a_row_that_names_an_object_in_a_log_without_a_store_was_edited(
    under_test: LogUnderTest,
) -> None:
    under_test.append(make_entries(0, 9))
    under_test.edit("UPDATE payloads SET object_digest = ? WHERE log_index = 7", bytes(32))
    [mismatch] = recheck(under_test.log)
    assert (mismatch.index, mismatch.kind) == (7, "payload_object_missing")
    assert "the log has no payload store" in mismatch.detail


def test_another_store_is_not_taken_for_one_that_lost_everything(
    log: Log, under_test: LogUnderTest, filled: list[NewEntry], store: MemoryStore
) -> None:
    other = place_in_memory()
    elsewhere = Log(under_test.url, clock=under_test.clock, timeout_s=1, payloads=other)
    with pytest.raises(PayloadsUnavailable, match=r"is not this log's, or was emptied"):
        list(recheck(elsewhere))
    with pytest.raises(PayloadsUnavailable, match="is not this log's"):
        elsewhere.payloads.check()
    with pytest.raises(PayloadsUnavailable, match="is not this log's"):
        elsewhere.append(make_entries(SIZE, SIZE + 3), (), under_test.lease)
    assert other.store.objects == {}
    assert log.size() == SIZE
    other.store.objects.update(store.objects)  # it was moved
    assert list(recheck(elsewhere)) == []
    elsewhere.payloads.check()
    elsewhere.close()


@both_databases
def test_two_that_mark_a_store_at_once_agree(under_test: LogUnderTest) -> None:
    place = place_in_memory()
    logs = [
        Log(under_test.url, clock=under_test.clock, timeout_s=30, payloads=place) for _ in range(2)
    ]
    both = threading.Barrier(2)

    def wait_for_the_other(what: str, digest: Digest) -> None:
        if what == "put":
            both.wait(20)

    place.store.before = wait_for_the_other
    threads = [threading.Thread(target=log.payloads.put, args=([], _wait)) for log in logs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    for log in logs:
        log.payloads.check()
        log.close()
    assert len(place.store.objects) == 2


def _wait() -> None:
    pass


def test_what_the_log_holds_is_not_put_again(
    log: Log, under_test: LogUnderTest, filled: list[NewEntry], store: MemoryStore
) -> None:
    before = len(store.puts)
    assert log.append(make_entries(30, 45), [progress(45)], under_test.lease) == 5
    assert len(store.puts) == before + 5
    assert log.append(make_entries(0, 45), [progress(45)], under_test.lease) == 0
    assert len(store.puts) == before + 5


def test_a_store_that_refuses_now_and_then_takes_all_in_the_end_and_each_once(
    log: Log, under_test: LogUnderTest, store: MemoryStore
) -> None:
    asked = iter(range(10_000))
    lock = threading.Lock()

    def refuse_each_fifth(what: str, digest: Digest) -> None:
        with lock:
            if what == "put" and next(asked) % 5 == 4:
                raise PayloadStoreUnavailable("slow down")

    store.before = refuse_each_fifth
    made = make_entries(0, 200)
    for _ in range(100):
        try:
            log.append(made, [progress(200)], under_test.lease)
        except PayloadsUnavailable:
            assert log.size() == 0
        else:
            break
    assert log.size() == 200
    assert sorted(store.puts) == sorted(set(store.puts))
    assert len(store.objects) == 201
    assert list(recheck(log)) == []


def test_requests_run_at_once_but_not_too_many_and_entries_stay_in_order(
    log: Log, under_test: LogUnderTest, store: MemoryStore
) -> None:
    several = threading.Event()

    def wait_for_others(what: str, digest: Digest) -> None:
        if store.at_once >= 4:
            several.set()
        assert not store.gets or several.wait(20)  # what comes before is the mark

    store.before = wait_for_others
    made = make_entries(0, 700)
    log.append(made, [progress(700)], under_test.lease)
    assert 4 <= store.at_once <= 16
    store.at_once = 0
    several.clear()
    assert [entry.event for entry in log.entries()] == [entry.event for entry in made]
    assert 4 <= store.at_once <= 16
    store.gets.clear()
    assert next(log.entries()).index == 0
    assert len(store.gets) <= 256  # no more is fetched than is soon asked for


def test_the_lease_can_be_kept_while_the_store_is_slow(
    log: Log, under_test: LogUnderTest, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chain_client.log.payload_objects._WAIT_S", 0.01)
    kept = threading.Event()

    def hang(what: str, digest: Digest) -> None:
        if what == "put" and store.puts:  # the mark is there
            assert kept.wait(20)

    store.before = hang
    assert log.append(make_entries(0, 3), (), under_test.lease, on_wait=kept.set) == 3


def test_who_may_not_write_any_more_puts_nothing_more(
    log: Log, under_test: LogUnderTest, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chain_client.log.payload_objects._WAIT_S", 0.0)

    lost = threading.Event()

    def hang(what: str, digest: Digest) -> None:
        assert len(store.puts) < 5 or lost.wait(20)

    def lose_the_lease() -> None:
        lost.set()
        raise AnotherRelay("taken over")

    store.before = hang

    with pytest.raises(AnotherRelay) as caught:
        log.append(make_entries(0, 2000), (), under_test.lease, on_wait=lose_the_lease)
    there = len(store.puts)
    assert there < 100
    assert [t for t in threading.enumerate() if "payloads" in t.name] == []
    assert caught.value is not None
    assert (log.size(), len(store.puts)) == (0, there)


def test_a_process_pool_finds_the_store_by_its_place(
    under_test: LogUnderTest, tmp_path: Path
) -> None:
    (tmp_path / "payloads").mkdir()
    place = PayloadPlace("file:payloads", tmp_path)
    log = Log(under_test.url, clock=under_test.clock, timeout_s=1, payloads=place)
    log.append(make_entries(0, 20), (), under_test.lease)
    object_path = next((tmp_path / "payloads").glob(f"*/{digest_of(under_test, 7).hex()}"))
    object_path.unlink()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        check = pool.submit(recheck_range, under_test.url, 0, 20, (), place).result(60)
    assert [(m.index, m.kind) for m in check.mismatches] == [(7, "payload_object_missing")]
    log.close()


def test_a_store_that_hangs_counts_as_away_and_no_more_threads_wait_for_it(
    log: Log, under_test: LogUnderTest, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chain_client.log.payload_objects._PATIENCE_S", 0.2)
    monkeypatch.setattr("chain_client.log.payload_objects._WAIT_S", 0.05)
    log.append(make_entries(0, 1), [progress(1)], under_test.lease)
    goes_on, asked = threading.Event(), len(store.gets)
    began = threading.Semaphore(0)

    def hang(what: str, digest: Digest) -> None:
        if what == "put":
            began.release()
            assert goes_on.wait(30)

    store.before = hang
    made = make_entries(1, 20)
    for _ in range(2):
        with pytest.raises(PayloadsUnavailable, match="it hangs"):
            log.append(made, [progress(20)], under_test.lease)
    assert began.acquire(timeout=10)
    assert sum(1 for _ in iter(lambda: began.acquire(blocking=False), False)) == 15
    goes_on.set()
    store.before = lambda what, digest: None
    hanging = log.payloads._hanging
    for thread in hanging:
        thread.join(30)
    assert log.append(made, [progress(20)], under_test.lease) == 19
    assert len(store.puts) == len(set(store.puts))  # what they stored is not stored again
    assert len(store.gets) == asked
