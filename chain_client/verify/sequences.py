"""Whether every source's sequence is whole: opened, gap-free, closed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from chain_client.hosts import Finding
from chain_client.verify.elsewhere import Elsewhere


@dataclass(slots=True)
class SequenceTracker:
    """Sequences of one source, taken in any order, with memory for what is out of order only."""

    next: int = 0
    ahead: set[int] = field(default_factory=set)
    closed_at: int | None = None
    repeated: set[int] = field(default_factory=set)
    unread: set[int] = field(default_factory=set)
    """Those whose events can't be read: findings of their own."""

    @property
    def end(self) -> int:
        """The sequence after the greatest one that the log holds."""
        return max(self.ahead, default=self.next - 1) + 1

    @property
    def may_be_closed(self) -> bool:
        """Whether it is closed, or its end is there and nobody can read whether it closes."""
        return self.closed_at is not None or self.end - 1 in self.unread

    def take(self, sequence: int) -> None:
        """Note that the log holds this sequence."""
        if sequence < self.next or sequence in self.ahead:
            self.repeated.add(sequence)
            return
        if sequence != self.next:
            self.ahead.add(sequence)
            return
        self.next += 1
        while self.next in self.ahead:
            self.ahead.remove(self.next)
            self.next += 1

    def missing(self, waiting: Collection[int], count: int) -> Iterator[tuple[int, int]]:
        """First and last of each run of sequences that are neither in the log nor still waiting.

        Args:
            waiting: sequences in the spool.
            count: how many the source has given at least; an edited row may say any number.
        """
        end = max(self.end, count)
        first = self.next
        for known in sorted(n for n in self.ahead.union(waiting) if self.next <= n < end):
            if known > first:
                yield first, known - 1
            first = known + 1
        if first < end:
            yield first, end - 1


def find_gaps(
    trackers: Mapping[bytes, SequenceTracker],
    waiting: Mapping[bytes, Collection[int]],
    promised: Mapping[bytes, int],
    elsewhere: Mapping[bytes, Elsewhere] | None = None,
) -> Iterator[Finding]:
    """What is missing in the sources.

    Args:
        trackers: what the log holds, by source id.
        waiting: sequences that are still in the spool, by source id; a source that still has
            a spool need not be closed.
        promised: how many sequences the log has once noted for a source.
        elsewhere: sources whose spool lies on another machine; while that one's relay was seen of
            late, what they lack is `find_unfinished`'s.
    """
    elsewhere = elsewhere or {}
    for source_id, count in promised.items():
        tracker = trackers.get(source_id, SequenceTracker())
        still_waiting = waiting.get(source_id, ())
        name = f"source {source_id.hex()}"
        yield from _contradictions(name, tracker)
        other = elsewhere.get(source_id)
        if other is not None and other.is_recent:
            continue
        for first, last in tracker.missing(still_waiting, count):
            one = first == last
            span = f"event {first}" if one else f"events {first} to {last}"
            yield Finding(
                "event_missing",
                f"{name}/{span}",
                {"first": first, "last": last},
                None,
                f"{span} of this source {'was' if one else 'were'} recorded and "
                f"{'is' if one else 'are'} not in the log",
            )
        if not tracker.may_be_closed and source_id not in waiting:
            yield Finding(
                "source_not_closed",
                name,
                "a closing record",
                None,
                "the source has neither a spool nor a closing record: its end was removed"
                if other is None
                else other.to_lost_text(),
            )


def find_unfinished(
    trackers: Mapping[bytes, SequenceTracker],
    promised: Mapping[bytes, int],
    elsewhere: Mapping[bytes, Elsewhere],
) -> Iterator[Elsewhere]:
    """Sources of other machines that lack something which those may still bring.

    Args:
        trackers: what the log holds, by source id.
        promised: how many sequences the log has once noted for a source.
        elsewhere: the sources whose spool lies on another machine.
    """
    for source_id, other in elsewhere.items():
        tracker = trackers.get(source_id, SequenceTracker())
        if other.is_recent and (
            tracker.closed_at is None
            or next(tracker.missing((), promised.get(source_id, 0)), None) is not None
        ):
            yield other


def find_understated(
    trackers: Mapping[bytes, SequenceTracker], promised: Mapping[bytes, int]
) -> Iterator[Finding]:
    """Sources of which the log has noted fewer sequences than it holds.

    Args:
        trackers: what the log holds, by source id.
        promised: how many sequences it has noted, read after that.
    """
    for source_id, tracker in trackers.items():
        count = promised.get(source_id, 0)
        if count < tracker.end:
            yield Finding(
                "source_changed",
                f"source {source_id.hex()}",
                {"events": tracker.end},
                {"events": count},
                "the log has noted fewer events of this source than it holds: its row was edited",
            )


def _contradictions(name: str, tracker: SequenceTracker) -> Iterator[Finding]:
    for first, last in _ranges(sorted(tracker.repeated)):
        span = f"event {first}" if first == last else f"events {first} to {last}"
        yield Finding(
            "event_repeated",
            f"{name}/{span}",
            {"entries": 1},
            None,
            f"{span} of this source stand in the log more than once",
        )
    closed_at = tracker.closed_at
    if closed_at is not None and tracker.end > closed_at + 1:
        yield Finding(
            "source_continued",
            name,
            {"events": closed_at + 1},
            {"events": tracker.end},
            "the log holds events of this source from after its closing record",
        )


def _ranges(numbers: list[int]) -> Iterator[tuple[int, int]]:
    start: int | None = None
    previous = 0
    for number in numbers:
        if start is None:
            start = number
        elif number != previous + 1:
            yield start, previous
            start = number
        previous = number
    if start is not None:
        yield start, previous
