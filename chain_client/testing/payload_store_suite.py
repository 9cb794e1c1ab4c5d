"""What every payload store must do: subclass `PayloadStoreSuite`, give it a ``store`` by a fixture.

What is stored may be any bytes: that they are encrypted is no store's business.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import signal
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from chain_client.errors import (
    InvalidInput,
    PayloadDamaged,
    PayloadMissing,
    PayloadStoreUnavailable,
)
from chain_client.payloads import PayloadStore
from chain_client.types import Digest

MARK = b"only-the-payload-says-this"
"""Part of every payload here, so that it would show in an error's text."""


@dataclass(frozen=True, slots=True)
class StoreUnderTest:
    """A store that nobody else uses, and its administrator's means to go around us.

    Args:
        connect: makes a further store of the same place, which has done nothing yet.
        nowhere: makes a store of the kind whose place does not answer.
        replace: puts other bytes in the place of a payload: of every copy of it.
        take_away: removes a payload: every copy of it.
        count: how many copies of a payload there are, of whatever age or version, and of whatever
            else is kept under its digest.
    """

    connect: Callable[[], PayloadStore]
    nowhere: Callable[[], PayloadStore]
    replace: Callable[[Digest, bytes], object]
    take_away: Callable[[Digest], object]
    count: Callable[[Digest], int]


def make_payload(size: int = 300) -> tuple[Digest, bytes]:
    """A payload of any bytes, with its digest."""
    data = (MARK + secrets.token_bytes(size))[:size] if size else b""
    return Digest(hashlib.sha256(data).digest()), data


class PayloadStoreSuite:
    """The tests."""

    @pytest.mark.parametrize("size", [0, 1, 300, 3_000_000], ids=str)
    def test_what_is_put_is_got_byte_for_byte_by_everyone(
        self, store: StoreUnderTest, size: int
    ) -> None:
        digest, data = make_payload(size)
        first = store.connect()
        first.put(digest, data)
        assert first.get(digest) == data
        assert store.connect().get(digest) == data
        first.erase(digest)

    def test_what_is_put_twice_is_there_once(self, store: StoreUnderTest) -> None:
        digest, data = make_payload()
        first = store.connect()
        first.put(digest, data)
        first.put(digest, data)
        store.connect().put(digest, data)
        assert first.get(digest) == data
        assert store.count(digest) == 1

    def test_many_that_put_the_same_at_once_all_succeed_and_store_it_once(
        self, store: StoreUnderTest
    ) -> None:
        digest, data = make_payload(100_000)
        shared = store.connect()
        failed = _at_once(
            [lambda: shared.put(digest, data)] * 3 + [lambda: store.connect().put(digest, data)] * 3
        )
        assert failed == []
        assert shared.get(digest) == data
        assert store.count(digest) == 1

    def test_threads_share_one_store(self, store: StoreUnderTest) -> None:
        shared = store.connect()
        payloads = [make_payload() for _ in range(12)]

        def use(digest: Digest, data: bytes) -> None:
            shared.put(digest, data)
            assert shared.get(digest) == data
            shared.erase(digest)
            shared.put(digest, data)

        assert _at_once([lambda p=payload: use(*p) for payload in payloads]) == []  # type: ignore[misc]
        assert [shared.get(digest) for digest, _ in payloads] == [data for _, data in payloads]

    def test_a_digest_that_is_not_the_datas_is_refused_and_nothing_is_stored(
        self, store: StoreUnderTest
    ) -> None:
        digest, data = make_payload()
        with pytest.raises(InvalidInput):
            store.connect().put(digest, data + b"!")
        assert store.count(digest) == 0

    def test_what_was_never_put_or_was_taken_away_is_missing(self, store: StoreUnderTest) -> None:
        kept, taken, never = make_payload(), make_payload(), make_payload()
        opened = store.connect()
        opened.put(*kept)
        opened.put(*taken)
        store.take_away(taken[0])
        for digest in (taken[0], never[0]):
            with pytest.raises(PayloadMissing) as raised:
                opened.get(digest)
            assert digest.hex() in str(raised.value), "it says which one"
        assert opened.get(kept[0]) == kept[1]
        opened.put(*taken)
        assert opened.get(taken[0]) == taken[1]

    def test_what_was_changed_is_damaged_and_never_returned(self, store: StoreUnderTest) -> None:
        digest, data = make_payload()
        opened = store.connect()
        opened.put(digest, data)
        flipped = bytes([data[0] ^ 1]) + data[1:]
        for other in (flipped, data[:-1], data + b"\0", b"", make_payload(4000)[1]):
            store.replace(digest, other)
            with pytest.raises(PayloadDamaged) as raised:
                opened.get(digest)
            assert digest.hex() in str(raised.value), "it says which one"
            assert MARK.decode() not in str(raised.value)

    def test_what_is_longer_than_it_can_be_is_damaged(self, store: StoreUnderTest) -> None:
        digest, data = make_payload()
        opened = store.connect()
        opened.put(digest, data)
        assert opened.get(digest, len(data)) == data
        with pytest.raises(PayloadDamaged):
            opened.get(digest, len(data) - 1)

    def test_a_put_over_what_was_changed_mends_it_or_says_so(self, store: StoreUnderTest) -> None:
        digest, data = make_payload()
        opened = store.connect()
        opened.put(digest, data)
        store.replace(digest, data[:-1])
        try:
            store.connect().put(digest, data)
        except PayloadDamaged:
            with pytest.raises(PayloadDamaged):
                opened.get(digest)
        else:
            assert opened.get(digest) == data

    def test_what_is_erased_is_gone_and_nothing_else(self, store: StoreUnderTest) -> None:
        erased, kept = make_payload(), make_payload()
        opened = store.connect()
        for payload in (erased, kept):
            opened.put(*payload)
        store.connect().erase(erased[0])
        with pytest.raises(PayloadMissing):
            opened.get(erased[0])
        assert store.count(erased[0]) == 0
        assert opened.get(kept[0]) == kept[1]

    def test_to_erase_what_is_gone_is_success(self, store: StoreUnderTest) -> None:
        kept, erased, never = make_payload(), make_payload(), make_payload()
        opened = store.connect()
        opened.put(*kept)
        opened.put(*erased)
        opened.erase(erased[0])
        opened.erase(erased[0])
        store.connect().erase(never[0])
        assert store.count(erased[0]) == 0

    def test_what_was_changed_or_erased_before_can_be_erased(self, store: StoreUnderTest) -> None:
        digest, data = make_payload()
        opened = store.connect()
        for _ in range(2):
            opened.put(digest, data)
            store.replace(digest, data[:-1])
            opened.erase(digest)
            assert store.count(digest) == 0

    def test_a_store_that_is_away_raises_one_kind_of_error(self, store: StoreUnderTest) -> None:
        away = store.nowhere()  # making it reaches for nothing
        digest, data = make_payload()
        for use in (
            lambda: away.put(digest, data),
            lambda: away.get(digest),
            lambda: away.erase(digest),
            away.check,
        ):
            with pytest.raises(PayloadStoreUnavailable) as raised:
                use()
            assert MARK.decode() not in str(raised.value)

    def test_a_store_that_is_fit_passes_its_check_and_keeps_nothing_of_it(
        self, store: StoreUnderTest
    ) -> None:
        opened = store.connect()
        opened.check()
        digest, data = make_payload()
        opened.put(digest, data)
        opened.check()
        assert opened.get(digest) == data
        assert store.count(digest) == 1

    def test_it_is_used_before_and_after_a_fork_in_both_processes(
        self, store: StoreUnderTest
    ) -> None:
        before, child, parent = make_payload(), make_payload(), make_payload()
        opened = store.connect()
        opened.put(*before)

        def use() -> None:
            assert opened.get(before[0]) == before[1]
            opened.put(*child)

        assert _in_child(use) == 0
        opened.put(*parent)
        assert [opened.get(p[0]) for p in (child, parent)] == [child[1], parent[1]]

    def test_killed_at_any_moment_of_a_put_it_is_there_whole_or_not_at_all(
        self, store: StoreUnderTest
    ) -> None:
        opened = store.connect()
        opened.put(*make_payload())
        whole_s = _put_in_child(store.connect(), make_payload(400_000))
        for part in range(5):
            digest, data = make_payload(400_000)
            _put_in_child(store.connect(), (digest, data), die_after_s=whole_s * (part + 0.5) / 5)
            try:
                assert opened.get(digest) == data
            except PayloadMissing:
                assert store.count(digest) == 0, "what was broken off is seen by nobody"
            opened.put(digest, data)
            assert opened.get(digest) == data
            assert store.count(digest) == 1

    def test_it_says_where_it_stores(self, store: StoreUnderTest) -> None:
        assert ":" in store.connect().uri


def _at_once(actions: Sequence[Callable[[], object]]) -> list[BaseException]:
    """Run all in threads that start together; what was raised."""
    failed: list[BaseException] = []
    start = threading.Barrier(len(actions))

    def run(action: Callable[[], object]) -> None:
        try:
            start.wait(30)
            action()
        except BaseException as exc:
            failed.append(exc)

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed


def _put_in_child(
    store: PayloadStore, payload: tuple[Digest, bytes], die_after_s: float | None = None
) -> float:
    """Put it in a forked child, which may be killed on the way; how long that took."""
    read, write = os.pipe()

    def put() -> None:
        store.check()  # now it has whatever it needs
        os.write(write, b"!")
        store.put(*payload)

    child = _fork(put)
    os.read(read, 1)
    begun = time.monotonic()
    if die_after_s is not None:
        time.sleep(die_after_s)  # any moment will do
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == 0 or die_after_s is not None
    for end in (read, write):
        os.close(end)
    return time.monotonic() - begun


def _in_child(action: Callable[[], object]) -> int:
    """Run it in a forked child; its exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(_fork(action), 0)[1])


def _fork(action: Callable[[], object]) -> int:
    with warnings.catch_warnings():
        # Python 3.12 warns of threads: those of the test's own process take no part in it
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        code = 1
        try:
            action()
            code = 0
        except BaseException as exc:
            os.write(2, repr(exc).encode())
        finally:
            os._exit(code)
    return child
