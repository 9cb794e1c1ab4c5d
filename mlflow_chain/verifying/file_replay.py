"""Replaying what was done to stored files. Pure."""

from __future__ import annotations

from typing import Any

from chain_client.events import Event
from mlflow_chain.files.locations import join, to_location
from mlflow_chain.verifying.event_parts import Apply, Parts
from mlflow_chain.verifying.order import UNKNOWN, Stamp
from mlflow_chain.verifying.state import State


def _files_logged(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    root = to_location(event.subject.id)
    for path, size, digest in parts.get("files") or ():
        changed = bool((event.result or {}).get("changed_meanwhile"))
        value: Any = UNKNOWN if changed else (size, digest)
        state.files[join(root, path)].write(stamp, value)
    for path, size, digest in parts.get("torn") or ():
        state.files[join(root, path)].write(stamp, (size, digest))


def _files_deleted(state: State, event: Event, stamp: Stamp, parts: Parts) -> None:
    state.removals.append((join(to_location(event.subject.id), parts.get("path") or ""), stamp))


FILES: dict[str, Apply] = {
    "artifacts.logged": _files_logged,
    "artifacts.deleted": _files_deleted,
}
"""By type of event."""
