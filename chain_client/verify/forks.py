"""Sources that are forks: what the log's own events say of them, and its rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from chain_client import records
from chain_client.errors import InvalidEvent
from chain_client.event_codec import decode_event
from chain_client.hosts import Finding
from chain_client.log import Log, SourceState
from chain_client.verify.sequences import SequenceTracker


@dataclass(frozen=True, slots=True)
class Fork:
    """A source whose spool is a copy of another one's that went on.

    Args:
        source_id: hex digits of the source.
        forked_from: hex digits of the other one.
        forked_at: the first event of the other one that it does not share.
        host: where the other one was recorded; empty if that is not known.
        time_us: when the relay found it.
    """

    source_id: str
    forked_from: str
    forked_at: int
    host: str
    time_us: int

    def to_text(self) -> str:
        """One clause for people."""
        on = f" (recorded on {self.host})" if self.host else ""
        return (
            f"source {self.source_id} is a copy of {self.forked_from}{on} that went on from event "
            f"{self.forked_at} on"
        )


def read_forks(log: Log, source_ids: Collection[bytes]) -> list[Fork]:
    """What the opening notes of these sources say; one that can't be read is left out.

    Raises:
        LogUnavailable: the log can't be read.
    """
    found = []
    for source_id in sorted(source_ids):
        for entry in log.find_events(f"/{records.SOURCE}:{source_id.hex()}"):
            fork = _fork(source_id, entry.event)
            if fork is not None:
                found.append(fork)
                break
    return found


def _fork(source_id: bytes, stored: bytes | None) -> Fork | None:
    if stored is None:
        return None
    try:
        event = decode_event(stored)
    except InvalidEvent:
        return None
    payload = event.payload
    forked_from, forked_at = payload.get("forked_from"), payload.get("forked_at")
    is_note = event.type == records.SOURCE_FORKED and event.source_id == source_id
    if not is_note or not isinstance(forked_from, str) or not isinstance(forked_at, int):
        return None
    origin = payload.get("origin")
    host = origin.get("host") if isinstance(origin, dict) else None
    shown = host if isinstance(host, str) else ""
    return Fork(source_id.hex(), forked_from, forked_at, shown, event.time_us)


def find_misnoted(
    before: Sequence[SourceState],
    after: Sequence[SourceState],
    trackers: Mapping[bytes, SequenceTracker],
    forks: Collection[Fork],
    waiting: Collection[bytes],
) -> Iterator[Finding]:
    """Rows of sources that say something else than the entries of the log do.

    A relay that works meanwhile writes a row with the entries that it is about: what a row said
    ``before`` the entries were read they must show, and what they show a row must say ``after``.

    Args:
        before: the rows, before.
        after: the rows, after.
        trackers: the sequences that the log holds, by source.
        forks: what the entries say of forks.
        waiting: sources that still have a spool.
    """
    origins = {bytes.fromhex(fork.source_id): fork.forked_from for fork in forks}
    ended = {source_id for source_id, tracker in trackers.items() if tracker.closed_at is not None}
    # What can't be read contradicts nothing; it is a finding of its own.
    may_have_ended = {source_id for source_id, tracker in trackers.items() if tracker.may_be_closed}
    may_be_forks = {source_id for source_id, tracker in trackers.items() if 0 in tracker.unread}
    wrong: dict[bytes, str] = {}
    for state in before:
        if state.forked_from is not None and state.source_id not in origins.keys() | may_be_forks:
            wrong[state.source_id] = "an origin that its entries do not name"
        elif _is_ended(state) and state.source_id not in may_have_ended | set(waiting):
            wrong[state.source_id] = "that it ended, and its entries do not"
    for state in after:
        origin = origins.get(state.source_id)
        if origin is not None and origin != (state.forked_from or b"").hex():
            wrong[state.source_id] = f"another origin than its entries, {origin}"
        elif not _is_ended(state) and state.source_id in ended - set(waiting):
            wrong[state.source_id] = "that it goes on, and its entries that it ended"
    for state in after:
        if state.source_id in wrong:
            yield Finding(
                "source_changed",
                f"source {state.source_id.hex()}",
                {"ended": state.source_id in ended, "forked_from": origins.get(state.source_id)},
                {"state": state.state, "forked_from": (state.forked_from or b"").hex() or None},
                f"the log's row of this source says {wrong[state.source_id]}: it was edited",
            )


def _is_ended(state: SourceState) -> bool:
    return state.state in ("closed", "lost")
