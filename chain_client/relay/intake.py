"""What a relay takes in: its home's spool, and what was handed over to it."""

from __future__ import annotations

from pathlib import Path

from chain_client.log import Lease
from chain_client.relay.inbox import Inbox
from chain_client.relay.ingest import Ingester
from chain_client.relay.round import Round
from chain_client.spool import remove_taken, remove_unborn


class Intake:
    """Both, one after the other, under the lease of the spool.

    Args:
        spool: folder of the home's sources.
        ingester: of that folder.
        inbox: where sources arrive.
    """

    def __init__(self, spool: Path, ingester: Ingester, inbox: Inbox) -> None:
        self._spool = spool
        self._ingester = ingester
        self._inbox = inbox

    def begin(self) -> None:
        """Clear away what those who died have left half made, or half removed.

        Raises:
            SpoolUnavailable: the disk refuses.
        """
        remove_unborn(self._spool)
        remove_taken(self._spool)

    def run_round(self, lease: Lease) -> Round:
        """Read what there is, and commit it.

        Raises:
            AnotherRelay: the lease was taken over.
            LogUnavailable: the next round reads it again.
        """
        done = self._ingester.run_round(lease)
        done.add(self._inbox.run_round(lease))
        return done

    def look_now(self) -> None:
        """Begin to fetch what was handed over elsewhere, if anything is."""
        self._inbox.look_now()

    def is_looking(self, wait_s: float) -> bool:
        """Whether that is under way, also after ``wait_s``."""
        return self._inbox.is_looking(wait_s)

    @property
    def has_moved(self) -> bool:
        """Whether the last look elsewhere, as `run_round` has noted it, found anything to do."""
        return self._inbox.has_moved

    def end(self) -> None:
        """Let another relay have the inbox."""
        self._inbox.end()
