"""Making an object record: it gets a class of its own, a subclass of the one it had.

So it stays what it was to everybody who looks. Stores and artifact repositories alike.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeAlias

from mlflow_chain.stores.recording import Recording
from mlflow_chain.stores.remote import RemoteRecording

RECORDING = "_mlops_chain_recording"
"""Attribute of an object that records: its `RecordingSource`."""

RecordingSource: TypeAlias = Recording | RemoteRecording
"""Gives the recording of the call under way; None if somebody else records it."""

_classes: dict[tuple[type, Hashable], type] = {}


def find_recording(thing: object) -> RecordingSource | None:
    """Where an object records to; None for a plain one."""
    found: RecordingSource | None = getattr(thing, RECORDING, None)
    return found


def reclass(thing: Any, recording: RecordingSource, made: type) -> None:
    """Let an object record, in place.

    Args:
        thing: a plain one.
        recording: where to.
        made: of `subclass_of` its class.
    """
    setattr(thing, RECORDING, recording)
    thing.__class__ = made


def subclass_of(
    plain: type, members: Callable[[], Mapping[str, Any]], variant: Hashable = None
) -> type:
    """The subclass of a class that records; always the same one for the same variant.

    Args:
        plain: the class of objects that do not record.
        members: gives what the subclass has of its own.
        variant: tells several subclasses of one class apart.
    """
    key = (plain, variant)
    made = _classes.get(key)
    if made is None:
        named = {"__module__": plain.__module__, "__doc__": plain.__doc__}
        fresh = type(f"Chain{plain.__name__}", (plain,), named | dict(members()))
        made = _classes.setdefault(key, fresh)
    return made
