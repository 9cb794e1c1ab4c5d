"""A history of what was done to files, written down by hand, and what verification makes of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count

from chain_client.events import Actor, Event, Json, OutcomeStatus, Subject, Timing, new_event_id
from chain_client.hosts import Finding, Remark, Scope, Unchecked
from chain_client.types import SourceId
from mlflow_chain.files.bracket import KIND, LOGGED, READ_BACK, UPLOADED
from mlflow_chain.files.locations import Storage
from mlflow_chain.verifying.compare_files import FileComparison
from mlflow_chain.verifying.file_doubts import FileDoubts
from mlflow_chain.verifying.replay import replay

SERVER, CLIENT, RELAY = (SourceId(bytes([n]) * 16) for n in (1, 2, 3))
"""Three processes of one machine."""


def digest(data: bytes) -> tuple[int, str]:
    """Size and SHA-256, as recorded."""
    return len(data), hashlib.sha256(data).hexdigest()


@dataclass
class History:
    """Events, each of which ended before the next one began."""

    events: list[Event] = field(default_factory=list)
    clock_us: Iterable[int] = field(default_factory=lambda: count(1_000, 10))

    def __post_init__(self) -> None:
        self._sequences = {source: count() for source in (SERVER, CLIENT, RELAY)}
        for source in (SERVER, CLIENT, RELAY):
            self.add(source, "source.opened", Subject("", "source", ""), {"boot": "b"})

    def add(
        self,
        source: SourceId,
        type_: str,
        subject: Subject,
        payload: Mapping[str, Json],
        status: OutcomeStatus = OutcomeStatus.DONE,
        result: Mapping[str, Json] | None = None,
        detail: Mapping[str, Json] | None = None,
    ) -> None:
        """One more event."""
        started = next(iter(self.clock_us))
        sequence = next(self._sequences[source])
        done = status is OutcomeStatus.DONE
        timing = Timing(started, started + 5 if done else None, sequence + 1 if done else None)
        self.events.append(
            Event(
                new_event_id(),
                type_,
                source,
                sequence,
                started,
                status,
                subject,
                Actor(),
                timing,
                payload,
                result=result,
                detail=detail,
            )
        )

    def run(self, status: str, *, new: bool = False) -> None:
        """The run ``r`` is created, or gets another status."""
        subject = Subject("s", "run", "r")
        if new:
            payload: dict[str, Json] = {"experiment_id": "0", "user_id": "u"}
            minted: dict[str, Json] = {"name": "n", "artifact_uri": "/", "start_time": 1}
            self.add(SERVER, "run.created", subject, payload, result=minted)
        else:
            self.add(SERVER, "run.updated", subject, {"status": status})

    def uploaded(self, root: str, path: str, data: bytes | None, **more: Json) -> None:
        """A server took a file; without its bytes, it was in parts."""
        result: dict[str, Json] | None = None
        if data is not None:
            result = dict(zip(("size", "sha256"), digest(data), strict=True))
        payload = {"path": path, **more}
        self.add(SERVER, UPLOADED, Subject("s", KIND, root), payload, result=result)

    def logged(self, root: str, path: str, data: bytes, **more: Json) -> None:
        """A client gave a file to the storage."""
        payload: dict[str, Json] = {"files": [[path, *digest(data)]], **more}
        self.add(CLIENT, LOGGED, Subject("s", KIND, root), payload)

    def read_back(
        self, root: str, files: Mapping[str, bytes], *, whole: bool = True, **wanted: Json
    ) -> None:
        """The relay read files; ``whole``: nothing else below the root is new."""
        result: dict[str, Json] = {"files": [[path, *digest(data)] for path, data in files.items()]}
        if whole:
            result["whole"] = True
        payload: dict[str, Json] = {"wanted": wanted or {"run": "r"}}
        self.add(RELAY, READ_BACK, Subject("s", KIND, root), payload, result=result)

    def compare(self, storage: Storage, *roots: str) -> list[Finding | Unchecked | Remark]:
        """What verification says of all below some roots of the run ``r``."""
        state = replay(self.events, Scope())
        files = FileComparison(state, storage, FileDoubts(state, storage, ()), lambda *step: None)
        return list(files.compare(dict.fromkeys(roots, ("run r", False))))

    def kinds(self, storage: Storage, *roots: str) -> list[tuple[str, str]]:
        """Kind and file of each finding."""
        return [
            (found.kind, found.subject.partition("/artifact ")[2])
            for found in self.compare(storage, *roots)
            if isinstance(found, Finding)
        ]
