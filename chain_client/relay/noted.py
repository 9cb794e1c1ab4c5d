"""What the log notes of a source, as a relay that writes there looks at it."""

from __future__ import annotations

from chain_client.events import Event
from chain_client.log import Log, SourceProgress
from chain_client.types import SourceId


def concluded(log: Log, abandoned: Event) -> SourceProgress:
    """The row of a source that a fork has taken the place of.

    Args:
        log: notes the source.
        abandoned: the relay's last event of it.

    Raises:
        LogUnavailable: the log does not answer.
    """
    known = log.source(abandoned.source_id)
    assert known is not None
    return SourceProgress(
        source_id=known.source_id,
        info={},
        segment=known.segment,
        offset=known.offset,
        next_sequence=abandoned.sequence + 1,
        state="lost",
    )


def was_lost(log: Log, source_id: SourceId) -> bool:
    """Whether its owner did not close it.

    Raises:
        LogUnavailable: the log does not answer.
    """
    known = log.source(source_id)
    return known is not None and known.state == "lost"


def is_noted(log: Log, progress: SourceProgress) -> bool:
    """Whether the log notes that it was read so far.

    Raises:
        LogUnavailable: the log does not answer.
    """
    known = log.source(progress.source_id)
    return known is not None and (known.segment, known.offset, known.state) == (
        progress.segment,
        progress.offset,
        progress.state,
    )
