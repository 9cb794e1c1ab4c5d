"""Sources whose owner did not close them: what the log shows of where they were recorded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from chain_client.log import SourceState

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Unclosed:
    """A source that was opened, and whose owner was gone before it closed it.

    Args:
        source_id: hex digits of the source.
        host: machine that its opening record names; empty if that is not known.
        process: program and number that it names; empty likewise.
        events: how many events of its owner the log has noted.
    """

    source_id: str
    host: str
    process: str
    events: int

    def to_text(self) -> str:
        """One clause for people."""
        where = f" on {self.host}" if self.host else ""
        who = f" by {self.process}" if self.process else ""
        opened = f", opened{where}{who}," if where or who else ""
        count = f"{self.events} event{'' if self.events == 1 else 's'}"
        return f"source {self.source_id}{opened} was not closed by its owner ({count})"


def find_unclosed(states: Iterable[SourceState]) -> list[Unclosed]:
    """Every such source of a log, in the order in which they were first met."""
    return [
        Unclosed(
            state.source_id.hex(),
            _text(state, "host"),
            _process(state),
            # The last one is the relay's own note that the owner was gone.
            max(0, state.next_sequence - 1) if isinstance(state.next_sequence, int) else 0,
        )
        for state in states
        if state.state == "lost"
    ]


def tell_unclosed(found: list[Unclosed]) -> str:
    """All of them in one text: the first few, and how many more; empty if there are none."""
    told = [source.to_text() for source in found[:_SHOWN]]
    if len(found) > _SHOWN:
        told.append(f"and {len(found) - _SHOWN} more were not closed")
    return "; ".join(told)


def _process(state: SourceState) -> str:
    name, number = _text(state, "process"), _text(state, "pid")
    return f"{name or 'process'} {number}".strip() if name or number else ""


def _text(state: SourceState, key: str) -> str:
    """What the opening record says; its row may have been edited."""
    value = state.info.get(key) if isinstance(state.info, dict) else None
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return str(value)[:100]
