"""Comparing stored files with what was recorded of them, on all cores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from chain_client.events import Json
from chain_client.hosts import Finding, Progress, Remark, Unchecked
from mlflow_chain.files.locations import (
    PROXIED,
    Storage,
    join,
    relative,
    to_location,
    upwards,
    without_workspace,
)
from mlflow_chain.files.stored import NO_FILE, FileUnreadable, Stored, StoredFiles
from mlflow_chain.verifying.differences import missing, unexpected
from mlflow_chain.verifying.file_doubts import FileDoubts
from mlflow_chain.verifying.file_root import FileRoot
from mlflow_chain.verifying.gone_folders import find_gone_folders
from mlflow_chain.verifying.on_all_cores import on_all_cores
from mlflow_chain.verifying.order import ABSENT, UNKNOWN, Register
from mlflow_chain.verifying.state import State

_Look = tuple[FileRoot, str | None]
"""A file to be looked at; None behind the last one of its root."""


class FileComparison:
    """Compares the files below the roots of runs, logged models and versions.

    Args:
        state: what was recorded.
        storage: where the files are kept.
        doubts: which files somebody still has to read back, or could not read.
        progress: told how many recorded files are done.
    """

    def __init__(
        self, state: State, storage: Storage, doubts: FileDoubts, progress: Progress
    ) -> None:
        self._storage = storage
        self._doubts = doubts
        self._progress = progress
        self._files: dict[str, Register] = {}
        self._kept = state.kept
        for location, register in state.files.items():
            spelled = storage.spell(location)
            known = self._files.get(spelled)
            self._files[spelled] = register if known is None else known.merge(register)
        self._done = 0
        self._counts: Counter[str] = Counter()

    def compare(self, roots: dict[str, tuple[str, bool]]) -> Iterator[Finding | Unchecked | Remark]:
        """Compare everything below some roots.

        Args:
            roots: by artifact URI, what it is the root of, and whether that is older than
                adoption: then files that nobody recorded are no finding.
        """
        found, unknown = self._find_roots(roots)
        if unknown:
            yield Unchecked(
                f"files of {unknown} runs or models",
                "they lie behind a server (mlflow-artifacts:), and nobody knows where it keeps "
                "them; start the server once with --backend-store-uri chain+…",
            )
        yield from find_gone_folders(found)
        total = sum(len(root.expected) for root in found)
        with on_all_cores() as cores:
            listed = cores.in_order(_list, found)
            waiting: dict[str, list[Stored | FileUnreadable]] = {}
            for (root, path), stored in cores.in_order(_look_at, _looks(listed)):
                if path is not None:
                    waiting[path] = stored
                    self._done += 1
                    self._progress("comparing files", self._done, total)
                    continue
                yield from self._compare_root(root, waiting)
                waiting = {}
        yield from self._remarks()

    def _find_roots(self, roots: dict[str, tuple[str, bool]]) -> tuple[list[FileRoot], int]:
        spelled = {root: self._storage.spell(to_location(root)) for root in roots}
        known = {spelled[root]: about for root, about in reversed(roots.items())}
        expected: dict[str, dict[str, Register]] = {location: {} for location in known}
        kept: dict[str, dict[str, str]] = {location: {} for location in known}
        scoped: dict[str, list[str]] = {}
        for written, register in self._files.items():
            place = folder = _root_of(written, known)
            location = written
            within = without_workspace(written) if folder is None else None
            if within is not None:
                location, prefix = within
                folder = _root_of(location, known)
                if folder is not None:
                    # Its owner's files, if they are in that workspace. Anybody may put files
                    # there, so they stand beside those at the root itself and never for them.
                    place = f"{PROXIED}/{prefix}{folder.removeprefix(PROXIED)}"
                    if place not in expected:
                        expected[place], kept[place] = {}, {}
                        scoped.setdefault(folder, []).append(place)
            path = None if folder is None else relative(folder, location)
            if place is not None and path is not None:
                expected[place][path] = register
                if written in self._kept:
                    kept[place][path] = self._kept[written]
        found: list[FileRoot] = []
        unknown = 0
        for location in spelled.values():
            owner, before = known.pop(location, ("", False))
            if not owner:
                continue
            for place in (location, *scoped.get(location, ())):
                spots = self._storage.find(place)
                if not spots:
                    unknown += 1
                    break
                copies = tuple(StoredFiles(spot, self._storage.tracking_uri) for spot in spots)
                found.append(FileRoot(place, owner, before, copies, expected[place], kept[place]))
        _nest(found)
        return found, unknown

    def _compare_root(
        self, root: FileRoot, stored: dict[str, list[Stored | FileUnreadable]]
    ) -> Iterator[Finding | Unchecked | Remark]:
        for trouble in root.unavailable():
            yield Unchecked(root.owner, str(trouble))
        if not root.readable():
            return
        paths = root.paths()
        self._counts["unfinished"] += sum(len(listing.unfinished) for listing in root.readable())
        for path in sorted({path for listing in root.readable() for path in listing.leftover}):
            yield Remark(f"{root.owner}/artifact {path}", _LEFTOVER)
        unreadable = [folder for listing in root.readable() for folder in listing.unreadable]
        for folder in unreadable:
            yield Unchecked(
                f"{root.owner}/artifact {folder}".rstrip(), "the folder can't be listed"
            )
        hidden = tuple(f"{folder}/" if folder else "" for folder in unreadable)
        if root.unavailable():
            hidden = ("",)
        self._counts["told"] += sum(files.told for files in root.copies)
        left_out: Counter[str] = Counter()
        for path, register in sorted(root.expected.items()):
            if path not in paths and path.startswith(hidden):
                continue
            subject = f"{root.owner}/artifact {path}"
            found = stored.get(path, [])
            denied = [copy for copy in found if isinstance(copy, FileUnreadable)]
            if denied:
                yield Unchecked(subject, str(denied[0]))
                continue
            copies = [copy for copy in found if not isinstance(copy, FileUnreadable)]
            looked: list[Stored | None] = [*copies] if copies else [None]
            findings = (_compare_file(subject, register, copy) for copy in looked)
            finding = next((finding for finding in findings if finding is not None), None)
            location = join(root.location, path)
            if finding is None:
                if copies and UNKNOWN in register.values():
                    reason = self._doubts.of_undigested(root.owner, location)
                    if reason is None:
                        self._counts["undigested"] += 1
                    else:
                        left_out[reason] += 1
            elif not root.is_loading_note(path):
                reason = None
                if finding.kind == "artifact_changed":
                    reason = self._doubts.of_changed(root.owner, location)
                if reason is None:
                    yield finding
                else:
                    left_out[reason] += 1
        for path in sorted(paths - root.expected.keys()):
            if root.before and not self._doubts.is_wanted(root.owner, join(root.location, path)):
                self._counts["unrecorded"] += 1
            elif not root.is_loading_note(path):
                reason = self._doubts.of_unrecorded(root.owner, join(root.location, path))
                if reason is None:
                    yield unexpected("artifact", f"{root.owner}/artifact {path}", path)
                else:
                    left_out[reason] += 1
        for reason, count in left_out.items():
            yield Unchecked(f"{_files(count)} of {root.owner}", reason)

    def _remarks(self) -> Iterator[Remark]:
        for what, text in _REMARKS.items():
            if self._counts[what]:
                yield Remark(_files(self._counts[what]), text)


_LEFTOVER = (
    "it is called like an upload under way, which MLflow shows nobody, and is older than a day: "
    "a server that died left it, or somebody put it there"
)

_REMARKS = {
    "unrecorded": (
        "in runs or models that are older than the adoption, or whose events can't be read; nobody "
        "recorded what is in there, so it was not compared"
    ),
    "undigested": (
        "changed while being recorded: that nothing is gone was compared, not the content"
    ),
    "told": (
        "compared by the SHA-256 that their storage computed when it took them; their bytes were "
        "not read"
    ),
    "unfinished": "still being uploaded, or left by a server that died",
}


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _list(root: FileRoot) -> None:
    root.look()


def _looks(listed: Iterable[tuple[FileRoot, None]]) -> Iterator[_Look]:
    for root, _ in listed:
        present = root.paths()
        yield from ((root, path) for path in sorted(root.expected) if path in present)
        yield root, None


def _look_at(look: _Look) -> list[Stored | FileUnreadable]:
    root, path = look
    return [] if path is None else root.look_at(path)


def _nest(roots: list[FileRoot]) -> None:
    """Tell each root which others lie below it."""
    known = {root.location: root for root in roots}
    for root in roots:
        for folder in upwards(root.location):
            if folder != root.location and folder in known:
                known[folder].inner[root.location] = root


def _root_of(location: str, known: dict[str, tuple[str, bool]]) -> str | None:
    """The root that a recorded file lies below; the longest one wins."""
    return next((folder for folder in upwards(location) if folder in known), None)


def _compare_file(subject: str, register: Register, stored: Stored | None) -> Finding | None:
    values = register.values()
    if stored is None:
        # A file whose digest nobody knows was recorded all the same.
        if not values or ABSENT in values:
            return None
    elif register.allows(stored) and stored != NO_FILE:
        # Whatever bytes a recorded file has, it is a file.
        return None
    expected = _shown(register.expected())
    if stored is None:
        detail = "the file was recorded and is not there"
        return missing("artifact", subject, expected, detail)
    if register.expected() is ABSENT:
        return Finding(
            "artifact_unexpected",
            subject,
            None,
            _shown(stored),
            "the file was deleted and is there",
        )
    return Finding(
        "artifact_changed",
        subject,
        expected,
        _shown(stored),
        "the file is not the one that was recorded",
    )


def _shown(value: object) -> Json:
    if value is ABSENT or value is UNKNOWN or not isinstance(value, tuple):
        return None
    return {"size": value[0], "sha256": value[1]}
