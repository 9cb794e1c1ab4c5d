"""Whether what was recorded so far is anchored: a mark of it, and how far that has come.

Signatures here are stable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from chain_client.client import ChainClient
from chain_client.errors import InvalidInput
from chain_client.events import Json
from chain_client.ledger.base import BlockTag
from chain_client.relay.held_lease import LEASE
from chain_client.relay.lock import is_relay_running
from chain_client.types import SourceId
from chain_client.verify import read_spooled

NO_RELAY = (
    "no relay is running for the home, so nothing of it will be anchored: start one as a service "
    "(`mlops-chain relay`, see the how-to on running a relay), and try again"
)


class Until(StrEnum):
    """How far it has to have come."""

    INCLUDED = "included"
    """A head that covers it is in a block."""
    FINALIZED = "finalized"
    """… and that block is final."""

    @classmethod
    def parse(cls, text: str) -> Until:
        """The one of that name.

        Raises:
            InvalidInput: there is none.
        """
        try:
            return cls(text)
        except ValueError:
            raise InvalidInput(f"expected included or finalized, got {text[:40]!r}") from None


@dataclass(frozen=True, slots=True)
class Mark:
    """What was recorded when it was made.

    Args:
        size: entries that the log had; an anchored head of that size covers those.
        spooled: sequences that stood in this home's spools and not in the log, as ranges (both
            ends included) by source in hex; settled calls only.
        in_flight: calls that had begun and whose outcome was not known: they are not waited for.
    """

    size: int
    spooled: Mapping[str, tuple[tuple[int, int], ...]]
    in_flight: int = 0

    def to_json(self) -> dict[str, Json]:
        """As `from_json` takes it."""
        spooled: dict[str, Json] = {
            source: [list(pair) for pair in ranges] for source, ranges in self.spooled.items()
        }
        return {"size": self.size, "spooled": spooled, "in_flight": self.in_flight}

    @classmethod
    def from_json(cls, document: Any) -> Mark:
        """The mark that `to_json` gave.

        Raises:
            InvalidInput: it is none.
        """
        try:
            spooled = {
                bytes.fromhex(source).hex(): tuple((int(a), int(b)) for a, b in ranges)
                for source, ranges in document["spooled"].items()
            }
            return cls(int(document["size"]), spooled, int(document["in_flight"]))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise InvalidInput("expected a mark of what was recorded") from None


@dataclass(frozen=True, slots=True)
class Anchored:
    """How far a mark has come.

    Args:
        mark: what is left of it: what has come to the log stands in its size alone.
        is_anchored: whether it has come as far as was asked.
        size: entries that a head has to cover; None while some are not in the log.
        anchored_size: entries that the head on chain covers.
        block_number: block of that head; None if there is none.
        has_relay: whether a relay runs for this home, on this machine or another.
    """

    mark: Mark
    is_anchored: bool
    size: int | None
    anchored_size: int
    block_number: int | None
    has_relay: bool

    @property
    def text(self) -> str:
        """One line for people."""
        if self.is_anchored:
            return f"anchored: the head on chain covers {self.anchored_size} entries"
        if self.size is None:
            count = sum(b - a + 1 for ranges in self.mark.spooled.values() for a, b in ranges)
            told = f"{count} recorded events are not in the log yet"
        else:
            told = f"the head on chain covers {self.anchored_size} of {self.size} entries"
        return told if self.has_relay else f"{told}; {NO_RELAY}"


def mark(client: ChainClient) -> Mark:
    """What was recorded so far: in this home's spools, and in its log.

    Guarantee: an event whose outcome was recorded before the call, by a process of this home, is
    in the mark. What another machine has not brought to the log is not this home's to know.

    Raises:
        Unavailable: spool or log can't be read.
    """
    # In this order: what leaves the spool meanwhile is in the log when its size is read.
    spooled = read_spooled(client.folder.spool, client.log, client.deployment_id)
    size = client.log.size()
    ranges = {
        source.hex(): to_ranges(sequences)
        for source, sequences in spooled.settled.items()
        if sequences
    }
    settled = sum(len(sequences) for sequences in spooled.settled.values())
    return Mark(size, ranges, len(spooled.events) - settled)


def look(client: ChainClient, marked: Mark, until: Until) -> Anchored:
    """How far a mark has come. The chain itself is asked, not what the log says of it.

    Raises:
        Unavailable: log or chain do not answer.
    """
    log = client.log
    left = {}
    for source, ranges in marked.spooled.items():
        source_id = SourceId(bytes.fromhex(source))
        sequences = [number for a, b in ranges for number in range(a, b + 1)]
        missing = set(sequences) - log.known(source_id, sequences)
        if missing:
            left[source] = to_ranges(missing)
    # What has just come to the log is covered by its size now, whatever came after it.
    size = marked.size if not marked.spooled else log.size()
    rest = replace(marked, size=size, spooled=left)
    at: BlockTag = "finalized" if until is Until.FINALIZED else "latest"
    head = client.contract.head(client.deployment.log_id, at)
    return Anchored(
        mark=rest,
        is_anchored=not left and head.size >= size,
        size=None if left else size,
        anchored_size=head.size,
        block_number=head.block_number if head.size else None,
        has_relay=has_relay(client),
    )


def has_relay(client: ChainClient) -> bool:
    """Whether a relay runs for this home: on this machine, or anywhere with the anchoring lease."""
    return is_relay_running(client.folder.relay_lock) or client.log.holder(LEASE) is not None


def to_ranges(sequences: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Numbers as ranges, both ends included, in order.

    Example:
        >>> to_ranges([5, 1, 2, 3])
        ((1, 3), (5, 5))
    """
    ranges: list[tuple[int, int]] = []
    for number in sorted(sequences):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return tuple(ranges)
