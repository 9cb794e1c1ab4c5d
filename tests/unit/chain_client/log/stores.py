"""A payload store in memory that fails when it is told to, and a log's place in it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from chain_client.errors import PayloadDamaged, PayloadMissing
from chain_client.log.payload_place import PayloadPlace
from chain_client.types import Digest


class MemoryStore:
    """Keeps objects, and notes what it is asked."""

    uri = "memory:"

    def __init__(self) -> None:
        self.objects: dict[Digest, bytes] = {}
        self.puts: list[Digest] = []
        self.gets: list[Digest] = []
        self.longest = 0
        """Most bytes that a reader was ready to take."""
        self.at_once = 0
        self.before: Callable[[str, Digest], None] = lambda what, digest: None
        """Called before each put and get; may raise."""
        self._running = 0
        self._lock = threading.Lock()

    def put(self, digest: Digest, data: bytes) -> None:
        assert hashlib.sha256(data).digest() == digest
        self._enter("put", digest)
        with self._lock:
            self.objects[digest] = data
            self.puts.append(digest)
            self._running -= 1

    def get(self, digest: Digest, longest: int = 1 << 30) -> bytes:
        self._enter("get", digest)
        with self._lock:
            self._running -= 1
            self.gets.append(digest)
            self.longest = max(self.longest, longest)
            data = self.objects.get(digest)
        if data is None:
            raise PayloadMissing("nothing is there")
        if len(data) > longest or hashlib.sha256(data).digest() != digest:
            raise PayloadDamaged("something else is there")
        return data

    def erase(self, digest: Digest) -> None:
        self.objects.pop(digest, None)

    def check(self) -> None:
        self.before("check", Digest(bytes(32)))

    def _enter(self, what: str, digest: Digest) -> None:
        with self._lock:
            self._running += 1
            self.at_once = max(self.at_once, self._running)
        try:
            self.before(what, digest)
        except BaseException:
            with self._lock:
                self._running -= 1
            raise


@dataclass(frozen=True, slots=True)
class PlaceInMemory(PayloadPlace):
    """A log's place in a store that the test holds."""

    store: MemoryStore = field(default_factory=MemoryStore)

    def open(self) -> MemoryStore:
        return self.store


def place_in_memory(from_bytes: int = 0) -> PlaceInMemory:
    """A place in a new store."""
    return PlaceInMemory("memory:", Path("/nowhere"), from_bytes)
