"""One writer: who lost the lease is refused in every write."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chain_client.errors import AnotherRelay
from chain_client.log import EntryStatus, Lease, Log
from chain_client.types import Digest
from tests.unit.chain_client.log.logs import LogUnderTest, both_databases, make_entry, progress
from tests.unit.chain_client.spool.journals import in_threads

pytestmark = both_databases

ROOT = Digest(b"\x01" * 32)


def test_a_held_lease_is_refused_and_names_its_holder(under_test: LogUnderTest) -> None:
    with pytest.raises(AnotherRelay, match=r"one holds the lease 'relay' for another (30|2\d) s"):
        under_test.log.acquire_lease("relay", "two", ttl_s=30)
    assert under_test.log.holder("relay") == under_test.lease
    assert under_test.log.acquire_lease("key:0x01", "two", ttl_s=30).token == 1


def test_an_expired_lease_is_taken_over_with_a_higher_token(under_test: LogUnderTest) -> None:
    under_test.clock.turn(20)
    with pytest.raises(AnotherRelay):
        under_test.log.acquire_lease("relay", "two", ttl_s=30)
    under_test.clock.turn(10)
    assert under_test.log.holder("relay") is None
    taken = under_test.log.acquire_lease("relay", "two", ttl_s=30)
    assert (taken.holder, taken.token) == ("two", under_test.lease.token + 1)
    assert under_test.log.holder("relay") == taken


def _writes(log: Log, lease: Lease) -> dict[str, Callable[[], object]]:
    return {
        "append": lambda: log.append([make_entry(0)], [progress(1)], lease),
        "append nothing": lambda: log.append([], (), lease),
        "put_source": lambda: log.put_source(progress(1), lease),
        "add_head": lambda: log.add_head(1, ROOT, lease),
        "set_head_status": lambda: log.set_head_status(1, EntryStatus.INCLUDED, lease),
        "renew": lambda: log.renew(lease, ttl_s=30),
    }


@pytest.mark.parametrize("name", list(_writes(Log("sqlite:///x"), Lease("", "", 0, 0))))
def test_every_write_is_refused_once_the_lease_was_taken_over(
    under_test: LogUnderTest, name: str
) -> None:
    log = under_test.log
    slept = under_test.lease
    under_test.clock.turn(31)
    taken = log.acquire_lease("relay", "two", ttl_s=30)
    log.add_head(1, Digest(b"\x02" * 32), taken)
    before = (log.size(), log.sources(), log.heads(), log.holder("relay"))
    with pytest.raises(AnotherRelay, match="nothing was written"):
        _writes(log, slept)[name]()
    assert (log.size(), log.sources(), log.heads(), log.holder("relay")) == before


def test_an_expired_lease_that_nobody_took_still_writes_and_renews(
    under_test: LogUnderTest,
) -> None:
    under_test.clock.turn(3_600)
    assert under_test.append([make_entry(0)]) == 1
    renewed = under_test.log.renew(under_test.lease, ttl_s=10)
    assert renewed.token == under_test.lease.token
    assert abs(renewed.expires_us - under_test.now_us() - 10_000_000) < 5_000_000
    assert under_test.log.holder("relay") == renewed


def test_a_lease_given_back_is_free_and_its_token_is_never_used_again(
    under_test: LogUnderTest,
) -> None:
    log = under_test.log
    log.release(under_test.lease)
    assert log.holder("relay") is None
    taken = log.acquire_lease("relay", "two", ttl_s=30)
    assert taken.token == under_test.lease.token + 1
    log.release(under_test.lease)  # no longer its own
    assert log.holder("relay") == taken


def test_the_same_holder_takes_no_lease_twice(under_test: LogUnderTest) -> None:
    with pytest.raises(AnotherRelay):
        under_test.log.acquire_lease("relay", "one", ttl_s=30)


def test_a_dead_holder_is_replaced_at_once(under_test: LogUnderTest) -> None:
    asked: list[str] = []

    def is_dead(holder: str) -> bool:
        asked.append(holder)
        return len(asked) > 1

    with pytest.raises(AnotherRelay):
        under_test.log.acquire_lease("relay", "two", 30, replace_dead=is_dead)
    taken = under_test.log.acquire_lease("relay", "two", 30, replace_dead=is_dead)
    assert asked == ["one", "one"]
    with pytest.raises(AnotherRelay):
        under_test.append([make_entry(0)])
    assert under_test.log.append([make_entry(0)], (), taken) == 1
    under_test.log.release(taken)
    under_test.log.acquire_lease("relay", "three", 30, replace_dead=is_dead)
    assert len(asked) == 2  # nobody held it


def test_of_many_that_want_a_free_lease_one_gets_it(under_test: LogUnderTest) -> None:
    under_test.log.release(under_test.lease)
    taken: list[Lease] = []
    refused: list[AnotherRelay] = []

    def take(number: int) -> None:
        log = Log(under_test.url, clock=under_test.clock, timeout_s=60)
        try:
            taken.append(log.acquire_lease("relay", str(number), 30))
        except AnotherRelay as exc:
            refused.append(exc)
        finally:
            log.close()

    in_threads(5, take)
    assert (len(taken), len(refused)) == (1, 4)
    assert under_test.log.holder("relay") == taken[0]
