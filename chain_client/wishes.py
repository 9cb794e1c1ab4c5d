"""Wishes: small files of the home by which a process asks the relay to read files back.

A wish is on disk before the host's call that makes it necessary; the relay removes it once what
it asks for is recorded. So a death anywhere leads to another reading, never to none.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chain_client.errors import HomeNotWritable


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be read back, and the call that asked for it.

    Args:
        store_id: whose files.
        wanted: which, in the adapter's words.
        source_id: source of the call's event, in hex; None if the call was not recorded.
        sequence: the event's place in it.
        tries: how often it was tried in vain.
        not_before_us: wall time before which it is not tried again.
    """

    store_id: str
    wanted: Mapping[str, str]
    source_id: str | None = None
    sequence: int | None = None
    tries: int = 0
    not_before_us: int = 0

    def to_name(self) -> str:
        """Name of its file: each call has one of its own, and asking twice changes nothing."""
        parts = [self.store_id, sorted(self.wanted.items()), self.source_id, self.sequence]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:40]


class Wishes:
    """The wishes of a home.

    Args:
        folder: where they lie; made when it is first needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, wish: Wish) -> None:
        """Remember a wish; it is on disk when this returns.

        Raises:
            HomeNotWritable: it can't be written.
        """
        target = self._folder / f"{wish.to_name()}.json"
        temporary = target.with_suffix(f".tmp{os.getpid()}-{threading.get_ident()}")
        content = {
            "store_id": wish.store_id,
            "wanted": dict(wish.wanted),
            "source_id": wish.source_id,
            "sequence": wish.sequence,
            "tries": wish.tries,
            "not_before_us": wish.not_before_us,
        }
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(content, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
            folder = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as exc:
            raise HomeNotWritable(f"{target} can't be written ({exc.strerror or exc})") from exc

    def remove(self, wish: Wish) -> None:
        """Forget a wish; one that is not there is no error."""
        (self._folder / f"{wish.to_name()}.json").unlink(missing_ok=True)

    def read(self) -> list[Wish]:
        """Every wish; a file that is none of ours, or can't be read, is passed over."""
        found = []
        for file in sorted(self._folder.glob("*.json")):
            try:
                content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
                wish = Wish(**content)
                if wish.to_name() == file.stem:
                    found.append(wish)
            except (OSError, ValueError, TypeError, AttributeError):
                continue
        return found

    def by_store(self) -> dict[str, list[Mapping[str, str]]]:
        """What is wanted of each store."""
        found: defaultdict[str, list[Mapping[str, str]]] = defaultdict(list)
        for wish in self.read():
            found[wish.store_id].append(wish.wanted)
        return found
