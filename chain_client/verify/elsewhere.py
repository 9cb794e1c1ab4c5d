"""Sources whose spool lies on another machine: what the log shows of them, and of who feeds them.

An unfinished source of another machine can't be told here from one whose end was removed. So it is
never called whole; and it is called cut only if nobody has been there to feed it for a day.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from chain_client.log import Lease, Log, SourceState
from chain_client.log.holders import INGEST, host_of, ingester_of

RECENTLY_US = 86_400_000_000
"""How long after its relay was last seen a source may still be waited for: a day."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A source that the relay of another home feeds.

    Args:
        source_id: the source.
        place: machine and program, as the source's opening record names them.
        ingester: id of the home; empty if the log does not know it.
        since_us: when the log first met the source.
        seen_us: when its relay was last seen, by its lease or by what it wrote.
        is_fed: whether its relay holds its lease now.
        is_recent: whether that relay works, or did within the last day.
        has_ended: whether the log has noted its end.
    """

    source_id: bytes
    place: str
    ingester: str
    since_us: int
    seen_us: int
    is_fed: bool
    is_recent: bool
    has_ended: bool

    def to_text(self) -> str:
        """One clause for people: that it goes on, where, and since when."""
        relay = "its relay works"
        if not self.is_fed:
            relay = f"its relay was last seen {_when(self.seen_us)}"
        return (
            f"source {self.source_id.hex()} of {self.place} goes on since {_when(self.since_us)}; "
            f"{relay}"
        )

    def to_lost_text(self) -> str:
        """One clause for people: that nobody brings its end."""
        return (
            f"the source has no closing record, and the relay of {self.place} that fed it was last "
            f"seen {_when(self.seen_us)}: start that relay; if it brings nothing, the end was "
            "removed"
        )


def find_elsewhere(
    log: Log, own: str | None, waiting: Collection[bytes], now_us: int
) -> dict[bytes, Elsewhere]:
    """Every source that is fed by another home than this one, by its id.

    Args:
        log: the log.
        own: the ingester's id of this home; None if it never fed a log.
        waiting: sources that have a spool here.
        now_us: wall time.

    Raises:
        LogUnavailable: the log can't be read.
        ValueError: a row of a source was edited so that it says nothing.
    """
    held = {lease.name for lease in log.holders(INGEST)}
    leases = {ingester_of(lease.name): lease for lease in log.known_leases(INGEST)}
    hosts = {host_of(lease.holder) for name, lease in leases.items() if name != own}
    if own is not None:
        hosts.discard(socket.gethostname())
    found = {}
    for state in log.sources():
        if state.source_id in waiting or not _is_elsewhere(state, own, hosts):
            continue
        lease = leases.get(state.ingester) if state.ingester else _of_host(state, leases)
        is_fed = lease is not None and lease.name in held
        seen_us = now_us if is_fed else _seen_us(state, lease, now_us)
        found[bytes(state.source_id)] = Elsewhere(
            state.source_id,
            _place(state, lease),
            state.ingester or "",
            _number(state.created_us),
            seen_us,
            is_fed,
            now_us - seen_us < RECENTLY_US,
            state.state in ("closed", "lost"),
        )
    return found


def _is_elsewhere(state: SourceState, own: str | None, hosts: Collection[str]) -> bool:
    if state.ingester:
        return state.ingester != own
    # From before it was noted: the machine's name has to do.
    return _host(state) in hosts


def _of_host(state: SourceState, leases: Mapping[str | None, Lease]) -> Lease | None:
    found = [lease for lease in leases.values() if host_of(lease.holder) == _host(state)]
    return max(found, key=lambda lease: lease.expires_us, default=None)


def _seen_us(state: SourceState, lease: Lease | None, now_us: int) -> int:
    signs = [state.updated_us] if lease is None else [state.updated_us, lease.expires_us]
    return min(max(_number(sign) for sign in signs), now_us)


def _host(state: SourceState) -> str:
    host = state.info.get("host") if isinstance(state.info, dict) else None
    return host if isinstance(host, str) else ""


def _place(state: SourceState, lease: Lease | None) -> str:
    host = _host(state) or (host_of(lease.holder) if lease is not None else "") or "another machine"
    process = state.info.get("process") if isinstance(state.info, dict) else None
    return f"{host} ({process})" if isinstance(process, str) and process else host


def _number(value: object) -> int:
    """The number that is stored, for SQLite keeps whatever is put into a column."""
    return value if isinstance(value, int) and value >= 0 else 0


def _when(time_us: int) -> str:
    try:
        return datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return "at a time that no clock shows"
