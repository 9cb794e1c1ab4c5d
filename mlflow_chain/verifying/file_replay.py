"""Replaying what was done to stored files. Pure."""

from __future__ import annotations

from typing import Any

from chain_client.events import Event
from mlflow_chain.files.locations import join
from mlflow_chain.verifying.event_parts import Apply, Parts
from mlflow_chain.verifying.order import UNKNOWN, Stamp
from mlflow_chain.verifying.state import State


def _files_logged(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    root = event.subject.id
    for path, size, digest in parts.get("files") or ():
        changed = bool((event.result or {}).get("changed_meanwhile"))
        value: Any = UNKNOWN if changed else (size, digest)
        _write(state, join(root, path), stamp, value)
    for path, size, digest in parts.get("torn") or ():
        _write(state, join(root, path), stamp, (size, digest))


def _file_uploaded(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    if not parts.get("path"):
        return
    result = event.result or {}
    known = "sha256" in result
    value: Any = (result["size"], result["sha256"]) if known else UNKNOWN
    _write(state, join(event.subject.id, parts["path"]), stamp, value)


def _write(state: State, location: str, stamp: Stamp, value: object) -> None:
    state.files[location].write(stamp, value)
    if value is not UNKNOWN:
        state.unverified.pop(location, None)
        state.read_back.discard(location)


def _files_deleted(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    state.removals.append((join(event.subject.id, parts.get("path") or ""), stamp))


def _files_read_back(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    root = event.subject.id
    found: Any = (event.result or {}).get("files") or ()
    for path, size, digest in found:
        location = join(root, path)
        _write(state, location, stamp, (size, digest))
        state.read_back.add(location)
    if found:
        # What stood for all that is below the root is no longer unreadable as a whole.
        state.unverified.pop(root, None)


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
