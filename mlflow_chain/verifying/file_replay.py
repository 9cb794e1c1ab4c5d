"""Replaying what was done to stored files. Pure."""

from __future__ import annotations

import sys
from typing import Any

from chain_client.events import Event
from mlflow_chain.files.locations import join
from mlflow_chain.verifying.event_parts import Apply, Parts
from mlflow_chain.verifying.file_readings import FileReading, Owner
from mlflow_chain.verifying.order import ABSENT, UNKNOWN, Stamp
from mlflow_chain.verifying.state import State


def _files_logged(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    root = event.subject.id
    for path, size, digest in parts.get("files") or ():
        changed = bool((event.result or {}).get("changed_meanwhile"))
        value: Any = UNKNOWN if changed else (size, digest)
        _write(state, join(root, path), stamp, value)
        _note_kept(state, event, join(root, path))
    for path, size, digest in parts.get("torn") or ():
        _write(state, join(root, path), stamp, (size, digest))


def _file_uploaded(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    if not parts.get("path"):
        return
    # Of an upload that nobody knows the end of, what was there when somebody looked.
    result = event.result or event.detail or {}
    known = "sha256" in result
    value: Any = (result["size"], result["sha256"]) if known else UNKNOWN
    _write(state, join(event.subject.id, parts["path"]), stamp, value)
    _note_kept(state, event, join(event.subject.id, parts["path"]))


def _note_kept(state: State, event: Event, location: str) -> None:
    kept = event.payload.get("kept")
    if isinstance(kept, str):
        state.kept[location] = sys.intern(kept)


def _write(state: State, location: str, stamp: Stamp, value: object) -> None:
    state.files[location].write(stamp, value)
    if value is not UNKNOWN:
        state.unverified.pop(location, None)


def _files_deleted(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    state.removals.append((join(event.subject.id, parts.get("path") or ""), stamp))


def _files_read_back(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    root = event.subject.id
    result: Any = event.result or {}
    found: Any = result.get("files") or ()
    owner = _owner(parts)
    for path, size, digest in found:
        location = join(root, path)
        state.unverified.pop(location, None)
        _ = state.files[location]  # it may be removed before it is known whether this counts
        state.readings.add(location, FileReading(stamp, (size, digest), root, owner))
    if result.get("whole"):
        state.readings.note_look(root, stamp)
    if found:
        # What stood for all that is below the root is no longer unreadable as a whole.
        state.unverified.pop(root, None)


def _owner(parts: Parts) -> Owner | None:
    wanted: Any = parts.get("wanted") or {}
    return next(((kind, wanted[kind]) for kind in ("run", "logged_model") if kind in wanted), None)


def settle_files(state: State) -> None:
    """Once every event was replayed: what was removed, and which read-backs count."""
    for removed, stamp in state.removals:
        below = removed.rstrip("/") + "/"
        for location, register in state.files.items():
            if location == removed or location.startswith(below):
                register.write(stamp, ABSENT)
    state.read_back = state.readings.write(state.files)


def _files_unverified(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    root = event.subject.id
    for path, reason in parts.get("files") or ():
        state.unverified[join(root, path)] = str(reason)


FILES: dict[str, Apply] = {
    "artifacts.logged": _files_logged,
    "artifacts.uploaded": _file_uploaded,
    "artifacts.deleted": _files_deleted,
    "artifacts.read_back": _files_read_back,
    "artifacts.unverified": _files_unverified,
}
"""By type of event."""
