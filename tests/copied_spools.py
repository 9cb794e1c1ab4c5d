"""Recording processes whose spool is written byte by byte, so that it can be put back."""

from __future__ import annotations

import socket
from pathlib import Path

from chain_client import records
from chain_client.events import Actor, Json, OutcomeStatus, Subject, new_event_id
from chain_client.spool import Kind
from chain_client.types import SourceId
from tests.faults.toy_host import STORE, Toy
from tests.unit.chain_client.spool.journals import make_source

SOURCE = SourceId(b"\x07" * 16)
_A_SEGMENT = 5


class CopiedProcess:
    """A process that died, as its spool tells it.

    Args:
        deployment: for whom it says that it records; nothing by default, as older versions.
        host: on which machine; this one by default.
    """

    def __init__(self, *, deployment: str | None = None, host: str | None = None) -> None:
        self._frames: list[tuple[Kind, int, int, bytes]] = []
        self._given = 0
        opening: dict[str, Json] = {"host": host or socket.gethostname(), "boot": "b", "pid": 1}
        if deployment is not None:
            opening["deployment"] = deployment
        self._note(records.SOURCE_OPENED, records.SOURCE, opening)

    def snapshot(self) -> CopiedProcess:
        """The same process as it is now; the two go on apart."""
        twin = object.__new__(CopiedProcess)
        twin._frames, twin._given = list(self._frames), self._given
        return twin

    def see(self, *numbers: int) -> None:
        """Record plain events, which concern no host."""
        for number in numbers:
            self._note("item.seen", "item", {"number": number})

    def begin(self, toy: Toy, key: str, value: str, *, commits: bool = True) -> int:
        """Overwrite an item of the host; its outcome stays open."""
        event_id = new_event_id()
        subject = Subject(STORE, "item", key)
        body = records.encode_intent(
            event_id, "item.put", 1, self._given, subject, Actor(), {"value": value}
        )
        self._frames.append((Kind.INTENT, self._given, 0, body))
        self._given += 1
        if commits:
            toy.put(event_id, key, value)
        return self._given - 1

    def done(self, sequence: int) -> None:
        """Record the outcome of a call."""
        outcome = records.encode_outcome(records.Outcome(OutcomeStatus.DONE, self._given))
        self._frames.append((Kind.OUTCOME, sequence, self._given, outcome))

    def close(self) -> None:
        """Record the end."""
        self._note(records.SOURCE_CLOSED, records.SOURCE, {"events": self._given})

    def put_spool(self, home: Path) -> None:
        """Put the whole spool into a home's folder."""
        parts = [self._frames[n : n + _A_SEGMENT] for n in range(0, len(self._frames), _A_SEGMENT)]
        make_source(home / "spool", *parts, source_id=SOURCE)

    def _note(self, type_: str, kind: str, payload: dict[str, Json]) -> None:
        subject = Subject("", kind, "" if kind == records.SOURCE else "n")
        body = records.encode_intent(
            new_event_id(), type_, 1, self._given, subject, Actor(), payload
        )
        self._frames.append((Kind.NOTE, self._given, self._given + 1, body))
        self._given += 1
