"""Notices that some observers were told, and others were not yet."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from chain_client.observing import Ticket


@dataclass(frozen=True, slots=True)
class OpenNotice:
    """A notice, until all observers have it.

    Args:
        notice_id: of the notice.
        known: observers who were told before this process began.
        tickets: of the others.
    """

    notice_id: str
    known: frozenset[str]
    tickets: tuple[Ticket, ...]

    @property
    def is_settled(self) -> bool:
        """Whether nobody has to be told any more."""
        return all(ticket.outcome is not None for ticket in self.tickets)

    @property
    def told(self) -> frozenset[str]:
        """Observers for whom it is settled."""
        return self.known | {one.observer for one in self.tickets if one.outcome is not None}


class ToldNotices:
    """Who was told what, beyond the cursors: these wait for the last one, others go on.

    Args:
        text: what `show` gave last; None where nothing was ever told.
    """

    def __init__(self, text: str | None) -> None:
        self._before = _parse(text)

    def take(self, notice_id: str) -> frozenset[str]:
        """Observers who were told a notice before this process began."""
        return self._before.pop(notice_id, frozenset())

    def show(self, notices: Iterable[OpenNotice], *, is_complete: bool) -> str:
        """What is to be remembered.

        Args:
            notices: that are open.
            is_complete: whether all that were open before are among them, or are told.
        """
        if is_complete:
            self._before.clear()
        told = {one.notice_id: sorted(one.told) for one in notices if one.told}
        told |= {notice_id: sorted(names) for notice_id, names in self._before.items()}
        return json.dumps(told, sort_keys=True)


def _parse(text: str | None) -> dict[str, frozenset[str]]:
    """What `ToldNotices.show` gave; nothing for what is none."""
    try:
        found = json.loads(text or "{}")
        return {str(key): frozenset(map(str, names)) for key, names in found.items()}
    except (ValueError, TypeError, AttributeError):
        return {}
