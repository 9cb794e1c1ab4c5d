"""Reading back: the relay lets adapters read files that passed none of their processes.

What is found is recorded through a source of the relay's own, like anything else that is
recorded, and then the wish is removed. It is done in a thread of the relay's process, so that
large files hold up no anchoring.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

from chain_client.clock import Clock
from chain_client.errors import ChainError, InvalidEvent, Unavailable
from chain_client.event_codec import decode_event
from chain_client.events import Event, Json, Subject
from chain_client.home import Home
from chain_client.hosts import Host, Reading, ReadsBack, StoreBinding
from chain_client.log import Log
from chain_client.spool import list_sources
from chain_client.types import SourceId
from chain_client.wishes import Wish, Wishes

_logger = logging.getLogger(__name__)

MAX_TRIES = 6
_RETRY_FIRST_US = 2_000_000
_RETRY_FACTOR = 4


class Records(Protocol):
    """What is needed of a `chain_client.recorder.Recorder`."""

    def begin(self, type: str, subject: Subject, payload: Mapping[str, Json]) -> Any:
        """Record what is about to happen."""

    def done(self, intent: Any, *, result: Mapping[str, Json] | None = None) -> None:
        """Record that it happened."""

    def failed(self, intent: Any, error: BaseException, *, in_doubt: bool) -> None:
        """Record that it failed."""

    def note(
        self, type: str, subject: Subject, payload: Mapping[str, Json], *, required: bool = False
    ) -> None:
        """Record what needs no bracket."""

    def close(self) -> None:
        """Close the source."""


class ReadBack:
    """Grants the wishes of a home.

    Guarantee: a wish is removed only when what it led to is in a spool on disk; one whose call
    is still under way is left alone. Granting a wish twice changes nothing but the log's length.

    Args:
        home: holds the wishes, and what is bound.
        log: tells which calls are settled, and what is recorded already.
        load_host: gives adapters by name.
        records: gives this process's recorder.
        clock: tells when a wish is tried again.
    """

    def __init__(
        self,
        home: Home,
        log: Log,
        load_host: Callable[[str], Host],
        records: Callable[[], Records],
        clock: Clock,
    ) -> None:
        self._home = home
        self._wishes = Wishes(home.read_back)
        self._log = log
        self._load_host = load_host
        self._records = records
        self._clock = clock
        self._hosts: dict[str, Host] = {}
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._recorded = False

    def start_if_wanted(self, *, first_only: bool = False) -> bool:
        """See that what can be granted now is being granted; whether any work is under way.

        Args:
            first_only: leave out what was tried before.

        Raises:
            LogUnavailable: the log does not answer.
        """
        if self.is_busy():
            return True
        if not self._due(first_only=first_only):
            return False
        self._thread = threading.Thread(
            target=self._run, args=(first_only,), name="mlops-chain read-back", daemon=True
        )
        self._thread.start()
        return True

    def is_busy(self, wait_s: float = 0) -> bool:
        """Whether files are being read, also after ``wait_s``."""
        thread = self._thread
        if thread is None:
            return False
        thread.join(wait_s)
        if thread.is_alive():
            return True
        self._thread = None
        return False

    def stop(self) -> None:
        """End after the file that is being read; what is not done is done by the next relay."""
        self._stop.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def _run(self, first_only: bool) -> None:
        try:
            self._grant(first_only=first_only)
        except Exception:
            # Whatever an adapter raises, the relay lives on, and the wish stays.
            _logger.exception("files could not be read back")

    def _due(self, *, first_only: bool) -> list[Wish]:
        now_us = self._clock.time_us()
        found = [
            wish
            for wish in self._wishes.read()
            if wish.not_before_us <= now_us and not (first_only and wish.tries)
        ]
        if not found:
            return []
        spooled = {reader.source_id for reader in list_sources(self._home.spool)}
        return [wish for wish in found if self._is_settled(wish, spooled)]

    def _is_settled(self, wish: Wish, spooled: set[SourceId]) -> bool:
        if wish.source_id is None or wish.sequence is None:
            return True
        source_id = SourceId(bytes.fromhex(wish.source_id))
        # A spool that is gone was taken in, or was set aside: nothing is to be waited for.
        return source_id not in spooled or bool(self._log.known(source_id, [wish.sequence]))

    def _grant(self, *, first_only: bool) -> None:
        groups: dict[tuple[str, str], list[Wish]] = {}
        for wish in self._due(first_only=first_only):
            key = (wish.store_id, repr(sorted(wish.wanted.items())))
            groups.setdefault(key, []).append(wish)
        granted: list[Wish] = []
        try:
            bindings = {binding.store_id: binding for binding in self._home.bindings()}
            for (store_id, _), wishes in groups.items():
                if self._stop.is_set():
                    break
                if self._grant_one(bindings.get(store_id), wishes):
                    granted += wishes
        finally:
            if self._recorded:
                self._recorded = False
                # That puts it on disk; and an open source would keep the relay from ending.
                self._records().close()
        for wish in granted:
            self._wishes.remove(wish)

    def _grant_one(self, binding: StoreBinding | None, wishes: list[Wish]) -> bool:
        """Grant one; whether it is done with."""
        tries = min(wish.tries for wish in wishes)
        try:
            whole = self._read(binding, wishes[0].wanted, first=tries == 0)
        except Unavailable as exc:
            _logger.warning("files are read back later: %s", exc)
            self._put_off(wishes, tries, bounded=False)
            return False
        except ChainError as exc:
            _logger.warning("files are not read back: %s", exc)
            whole = False
        except Exception:
            # An adapter is foreign code here, and reads what anybody may have named.
            _logger.exception("files are not read back: the adapter failed")
            whole = False
        if whole or self._stop.is_set():
            return whole
        return self._put_off(wishes, tries, bounded=True)

    def _read(self, binding: StoreBinding | None, wanted: Mapping[str, str], first: bool) -> bool:
        """Read and record; whether everything could be read."""
        if binding is None:
            return True
        if binding.adapter not in self._hosts:
            self._hosts[binding.adapter] = self._load_host(binding.adapter)
        host = self._hosts[binding.adapter]
        if not isinstance(host, ReadsBack):
            return True

        def recorded(kind: str, subject_id: str, below: bool) -> Iterator[Event]:
            return self._events(Subject(binding.store_id, kind, subject_id).to_key(), below)

        whole = True
        for reading in host.read_back(binding, wanted, recorded):
            if self._stop.is_set():
                return False
            whole = whole and not reading.unread
            if first or not reading.unread:
                self._record(binding.store_id, reading)
        return whole

    def _record(self, store_id: str, reading: Reading) -> None:
        records = self._records()
        subject = Subject(store_id, reading.kind, reading.id)
        self._recorded = True
        if reading.read is None:
            records.note(reading.type, subject, reading.payload, required=True)
            return
        intent = records.begin(reading.type, subject, reading.payload)
        try:
            result = reading.read()
        except BaseException as exc:
            records.failed(intent, exc, in_doubt=False)
            raise
        records.done(intent, result=result)

    def _events(self, key: str, below: bool) -> Iterator[Event]:
        for entry in self._log.find_events(key, exact=not below):
            if entry.event is None:
                continue
            try:
                yield decode_event(entry.event)
            except InvalidEvent:
                continue  # verification names it

    def _put_off(self, wishes: list[Wish], tries: int, *, bounded: bool) -> bool:
        """Try again later; whether that is given up."""
        if bounded and tries + 1 >= MAX_TRIES:
            _logger.error(
                "files of store %s could not be read back in %d tries; verification names them",
                wishes[0].store_id,
                MAX_TRIES,
            )
            return True
        pause_us = _RETRY_FIRST_US * _RETRY_FACTOR ** min(tries, MAX_TRIES)
        for wish in wishes:
            self._wishes.put(
                replace(wish, tries=tries + 1, not_before_us=self._clock.time_us() + pause_us)
            )
        return False
