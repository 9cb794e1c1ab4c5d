"""The sequenced log in SQL: entries, erasable payloads, tree tiles, heads, sources, leases.

`Log` is imported when it is first named, because SQLAlchemy takes long to import.
"""

from typing import TYPE_CHECKING, Any

from chain_client.log.model import (
    Alarm,
    Entry,
    EntryStatus,
    Lease,
    LogHead,
    NewEntry,
    SourceProgress,
    SourceState,
)

if TYPE_CHECKING:
    from chain_client.log.log import Log

__all__ = [
    "Alarm",
    "Entry",
    "EntryStatus",
    "Lease",
    "Log",
    "LogHead",
    "NewEntry",
    "SourceProgress",
    "SourceState",
]


def __getattr__(name: str) -> Any:
    if name == "Log":
        from chain_client.log.log import Log

        return Log
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
