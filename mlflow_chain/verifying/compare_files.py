"""Comparing stored files with what was recorded of them, on all cores."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from chain_client.errors import HostUnavailable
from chain_client.events import Json
from chain_client.hosts import Finding, Progress, Remark, Unchecked
from mlflow_chain.files.locations import relative, to_location
from mlflow_chain.files.stored import (
    NO_FILE,
    FileUnreadable,
    Stored,
    find_stored_file,
    is_loading_note,
    list_stored_files,
)
from mlflow_chain.verifying.differences import missing, unexpected
from mlflow_chain.verifying.order import ABSENT, UNKNOWN, Register
from mlflow_chain.verifying.state import State

_PROXIED = "mlflow-artifacts:"


class FileComparison:
    """Compares the files below the roots of runs and logged models.

    Args:
        state: what was recorded.
        progress: told how many roots are done.
    """

    def __init__(self, state: State, progress: Progress) -> None:
        self._progress = progress
        self._by_root: dict[str, dict[str, Register]] = {}
        self._files = dict(state.files)
        self._unrecorded = 0
        self._undigested = 0

    def compare(self, roots: dict[str, tuple[str, bool]]) -> Iterator[Finding | Unchecked | Remark]:
        """Compare everything below some roots.

        Args:
            roots: by artifact URI, what it is the root of, and whether that is older than
                adoption: then files that nobody recorded are no finding.
        """
        self._assign(roots)
        proxied = 0
        # SHA-256 releases the interpreter's lock, so threads use every core.
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            for done, (root, (owner, before)) in enumerate(roots.items()):
                self._progress("comparing files", done, len(roots))
                if root.startswith(_PROXIED) and not self._by_root[root]:
                    proxied += 1
                    continue
                try:
                    yield from self._compare_root(pool, root, owner, before)
                except HostUnavailable as exc:
                    yield Unchecked(owner, str(exc))
        if proxied:
            yield Unchecked(
                f"files of {proxied} runs or models",
                "they lie behind a server (mlflow-artifacts:), and this version does not record "
                "files that a server takes",
            )
        if self._unrecorded:
            yield Remark(
                f"{self._unrecorded} files",
                "they lie in runs or models that are older than the adoption, or whose events "
                "can't be read; nobody recorded them, so they were not compared",
            )
        if self._undigested:
            yield Remark(
                f"{self._undigested} files",
                "they changed while they were recorded; it was compared that they are there, "
                "not what is in them",
            )

    def _assign(self, roots: dict[str, tuple[str, bool]]) -> None:
        """Give each recorded file to the root it lies below; the longest one wins."""
        known = {to_location(root): root for root in roots}
        self._by_root = {root: {} for root in roots}
        for location, register in self._files.items():
            folder = location
            while folder and folder not in known:
                shorter = folder.rpartition("/")[0]
                folder = shorter if shorter != folder else ""
            if folder:
                path = relative(folder, location)
                if path is not None:
                    self._by_root[known[folder]][path] = register

    def _compare_root(
        self, pool: ThreadPoolExecutor, root: str, owner: str, before: bool
    ) -> Iterator[Finding | Unchecked]:
        expected = self._by_root[root]
        listing = list_stored_files(root)
        present = listing.paths
        for folder in listing.unreadable:
            yield Unchecked(f"{owner}/artifact {folder}".rstrip(), "the folder can't be listed")
        hidden = tuple(f"{folder}/" if folder else "" for folder in listing.unreadable)
        wanted = [path for path in sorted(expected) if path in present]
        stored = dict(zip(wanted, pool.map(lambda path: _look_at(root, path), wanted)))
        for path, register in sorted(expected.items()):
            if path not in present and path.startswith(hidden):
                continue
            subject = f"{owner}/artifact {path}"
            found = stored.get(path)
            if isinstance(found, FileUnreadable):
                yield Unchecked(subject, str(found))
                continue
            finding = _compare_file(subject, register, found)
            if finding is not None and not is_loading_note(root, path):
                yield finding
            elif found is not None and UNKNOWN in register.values():
                self._undigested += 1
        unrecorded = sorted(present - expected.keys())
        if before:
            self._unrecorded += len(unrecorded)
            return
        for path in unrecorded:
            if not is_loading_note(root, path):
                yield unexpected("artifact", f"{owner}/artifact {path}", path)


def _look_at(root: str, path: str) -> Stored | FileUnreadable | None:
    try:
        return find_stored_file(root, path)
    except FileUnreadable as exc:
        return exc


def _compare_file(subject: str, register: Register, stored: Stored | None) -> Finding | None:
    actual = ABSENT if stored is None else stored
    # Whatever bytes a recorded file has, it is a file.
    if stored != NO_FILE and register.allows(actual):
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
