"""Reading files back where they are kept: what to read, and what of it is known already.

A read-back says what was there when it was read, and nothing of who put it there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chain_client.errors import HostUnavailable
from chain_client.events import Event, Json, OutcomeStatus
from chain_client.hosts import Reading, Recorded
from mlflow_chain.files.bracket import DELETED, KIND, LOGGED, READ_BACK, UNVERIFIED, UPLOADED
from mlflow_chain.files.hashing import version_of
from mlflow_chain.files.locations import Storage, is_path, is_proxied, join, relative, to_location
from mlflow_chain.files.places import to_note
from mlflow_chain.files.stored import NO_FILE, FileUnreadable, StoredFiles
from mlflow_chain.reading.reader import Reader

_BATCH_FILES = 500
_BATCH_BYTES = 1 << 30
MAX_FILES = 100_000
"""More below one root are read by nobody: a version's source may be any folder of a machine."""

_APPLIED = frozenset({OutcomeStatus.DONE, OutcomeStatus.RECOVERED, OutcomeStatus.PARTLY_APPLIED})


@dataclass(frozen=True, slots=True)
class Known:
    """What the log has of a file.

    Args:
        size: in bytes; None if nobody knows.
        passed: whether its bytes passed us, rather than being read back.
        time_ns: wall time of the record.
    """

    size: int | None
    passed: bool
    time_ns: int


def read_back(
    wanted: Mapping[str, str],
    storage: Storage,
    open_reader: Callable[[], Reader],
    recorded: Recorded,
) -> Iterator[Reading]:
    """See `chain_client.hosts.ReadsBack`.

    Args:
        wanted: one of ``{"run": id}``, ``{"logged_model": id}``, ``{"source": uri, "by": …}`` and
            ``{"location": root, "path": path, "kept": destination}``, the last only behind a
            server.
        storage: where files are kept.
        open_reader: opens the database; called only if it is needed.
        recorded: what the log has.
    """
    if "location" in wanted:
        root = wanted["location"]
        files = _open(storage, root, wanted.get("kept"))
        yield from _Root(root, files, wanted).read_files([wanted["path"]])
        return
    found = _find_root(wanted, storage, open_reader, recorded)
    # What is behind a server has passed it.
    if found is not None and not is_proxied(storage.spell(found)):
        known = _known(found, recorded)
        yield from _Root(found, _open(storage, found), wanted).read_new(known)


def _open(storage: Storage, root: str, kept: str | None = None) -> StoredFiles:
    spots = storage.find(root)
    if kept is not None:
        spots = tuple(spot for spot in spots if to_note(spot.root) == kept)
    if not spots:
        raise HostUnavailable("nobody knows where the server keeps its clients' files")
    # Without a note, the server that was seen last.
    return StoredFiles(spots[-1], storage.tracking_uri)


def _find_root(
    wanted: Mapping[str, str],
    storage: Storage,
    open_reader: Callable[[], Reader],
    recorded: Recorded,
) -> str | None:
    if "source" in wanted:
        location = to_location(wanted["source"])
        if ".." in wanted["source"].split("/") or is_proxied(storage.spell(location)):
            return None
        if wanted.get("by") != "server" and _is_of_a_run(location, recorded):
            return None
        return location
    reader = open_reader()
    try:
        if "run" in wanted:
            run = reader.find_run(wanted["run"])
            uri = None if run is None else run.fields["artifact_uri"]
        else:
            model = reader.find_logged_model(wanted.get("logged_model", ""))
            uri = None if model is None else model.fields["artifact_location"]
    finally:
        reader.close()
    return to_location(uri) if isinstance(uri, str) and uri else None


def _is_of_a_run(location: str, recorded: Recorded) -> bool:
    """Whether files of it were hashed as they were logged: then those count, and no others."""
    folder = location
    while folder.strip("/") and not folder.endswith(":/"):
        if any(event.type in (LOGGED, UPLOADED) for event in recorded(KIND, folder, False)):
            return True
        shorter = folder.rpartition("/")[0]
        folder = shorter if shorter != folder else ""
    return False


def _known(root: str, recorded: Recorded) -> dict[str, Known]:
    """The files below a root that the log knows, by path."""
    found: dict[str, Known] = {}
    for event in recorded(KIND, root, True):
        base = event.subject.id
        if event.status not in _APPLIED or (base != root and relative(root, base) is None):
            continue
        if event.type == DELETED:
            _forget(found, relative(root, join(base, str(event.payload.get("path") or ""))))
            continue
        for path, size in _files_of(event):
            below = relative(root, join(base, path))
            if below is not None:
                passed = event.type != READ_BACK
                found[below] = Known(size, passed, event.time_us * 1_000)
    return found


def _forget(found: dict[str, Known], path: str | None) -> None:
    for known in list(found):
        if path is None or known == path or known.startswith(path + "/"):
            del found[known]


def _files_of(event: Event) -> Iterator[tuple[str, int | None]]:
    result: Any = event.result or {}
    if event.type == LOGGED and not result.get("changed_meanwhile"):
        files: Any = event.payload.get("files") or ()
        if event.status is OutcomeStatus.PARTLY_APPLIED:
            files = (event.detail or {}).get("files") or ()
        yield from ((path, size) for path, size, _ in files)
    elif event.type == UPLOADED and "size" in result:
        yield str(event.payload["path"]), int(result["size"])
    elif event.type == READ_BACK:
        yield from ((path, size) for path, size, _ in result.get("files") or ())


class _Root:
    """Reads files below one root, batch by batch."""

    def __init__(self, root: str, files: StoredFiles, wanted: Mapping[str, str]) -> None:
        self._root = root
        self._files = files
        self._wanted: dict[str, Json] = dict(wanted)
        self._is_whole = True

    def read_new(self, known: Mapping[str, Known]) -> Iterator[Reading]:
        """Everything below it that is not known."""
        try:
            listing = self._files.list()
        except HostUnavailable as exc:
            yield self._unverified([["", type(exc.__cause__ or exc).__name__]], unread=True)
            return
        if listing.unreadable:
            denied: list[Json] = [[path, "FolderUnreadable"] for path in listing.unreadable]
            yield self._unverified(denied, unread=True)
        new = [path for path in sorted(listing.paths) if not self._is_known(path, known.get(path))]
        if len(new) > MAX_FILES:
            yield self._unverified([["", "TooManyFiles"]], unread=False)
            return
        is_whole = not listing.unreadable
        yield from self.read_files(new, is_whole=is_whole)
        if not new and is_whole and not all(file.passed for file in known.values()):
            # From now on, what was read before is known to be there still.
            yield from self._read_batch([], is_last=True)

    def _is_known(self, path: str, known: Known | None) -> bool:
        if known is None or known.passed:
            # Of what passed us, no read-back changes what is expected.
            return known is not None
        if not is_path(self._files.root):
            # Whether it was overwritten since, a service does not say in a way that all share.
            return False
        version = version_of(Path(join(self._files.root, path)))
        return version is not None and version[1] == known.size and version[0] < known.time_ns

    def read_files(self, paths: list[str], *, is_whole: bool = False) -> Iterator[Reading]:
        """These files, whatever is known of them.

        Args:
            paths: below the root.
            is_whole: whether everything else below it is known.
        """
        self._is_whole = is_whole
        batch: list[str] = []
        size = 0
        for path in paths:
            batch.append(path)
            if is_path(self._files.root):
                size += (version_of(Path(join(self._files.root, path))) or (0, 0, 0))[1]
            if len(batch) >= _BATCH_FILES or size >= _BATCH_BYTES:
                yield from self._read_batch(batch)
                batch, size = [], 0
        if batch or (paths and is_whole):
            yield from self._read_batch(batch, is_last=True)

    def _read_batch(self, paths: list[str], *, is_last: bool = False) -> Iterator[Reading]:
        denied: list[Json] = []
        odd: list[Json] = []

        def read() -> Mapping[str, Json]:
            found: list[Json] = []
            for path in paths:
                try:
                    stored = self._files.find(path)
                except FileUnreadable as exc:
                    denied.append([path, type(exc.__cause__ or exc).__name__])
                    continue
                if stored == NO_FILE:
                    odd.append([path, "NoRegularFile"])
                elif stored is not None:
                    found.append([path, *stored])
            self._is_whole = self._is_whole and not denied
            if is_last and self._is_whole:
                return {"files": found, "whole": True}
            return {"files": found}

        yield Reading(READ_BACK, KIND, self._root, {"wanted": self._wanted}, read)
        if odd:
            yield self._unverified(odd, unread=False)
        if denied:
            yield self._unverified(denied, unread=True)

    def _unverified(self, files: list[Json], *, unread: bool) -> Reading:
        payload: dict[str, Json] = {"wanted": self._wanted, "files": files}
        return Reading(UNVERIFIED, KIND, self._root, payload, unread=unread)
