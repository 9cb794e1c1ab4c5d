"""Shipping what lies in a spool: every source whose owner is gone."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

from chain_client.errors import (
    ChainError,
    NotInTime,
    ShippingUnavailable,
    SpoolUnavailable,
)
from chain_client.owners import find_opening, is_lock_conclusive
from chain_client.shipping.base import IsOver, Shipment, Shipper
from chain_client.spool import SourceReader, list_sources, remove_taken, seize
from chain_client.steps import step
from chain_client.types import SourceId

_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Sent:
    """What was handed over, and what was not."""

    shipped: list[SourceId] = field(default_factory=list)
    left: dict[SourceId, str] = field(default_factory=dict)
    """Sources that stay where they are, and why."""


def ship_sources(
    spool: Path, shipper: Shipper, is_over: IsOver, *, first: SourceId | None = None
) -> Sent:
    """Hand over every source of a spool whose owner is known to be gone.

    Guarantee: a source is removed here only after the shipper said that it is there; it is met
    whole or not at all by whoever comes next. Sources whose owner lives, or may live on another
    machine, are not touched. One that can't be shipped stops no other.

    Args:
        spool: the folder of the sources.
        shipper: brings them.
        is_over: whether the time for it is over.
        first: the source that is shipped before all others.

    Raises:
        SpoolUnavailable: the folder can't be read.
    """
    sent = Sent()
    remove_taken(spool)
    for reader in sorted(list_sources(spool), key=lambda r: (r.source_id != first, r.source_id)):
        try:
            _ship(reader, shipper, is_over, sent, is_own=reader.source_id == first)
        except (NotInTime, ShippingUnavailable, SpoolUnavailable) as exc:
            sent.left[reader.source_id] = str(exc)
        except ChainError as exc:
            sent.left[reader.source_id] = type(exc).__name__
    return sent


def _ship(
    reader: SourceReader, shipper: Shipper, is_over: IsOver, sent: Sent, *, is_own: bool
) -> None:
    if not reader.directory.exists():
        return  # another process has just handed it over
    if not is_lock_conclusive(reader.directory.parent, find_opening(reader)):
        sent.left[reader.source_id] = "its owner may live on another machine"
        return
    with seize(reader) as source:
        if source is None:
            if is_own:
                sent.left[reader.source_id] = "it is still held open"
            return
        step("shipping.seized")
        segments = source.segments()
        if segments:
            if is_over():
                raise NotInTime("the time for shipping is over")
            shipper.ship(Shipment(reader.source_id, segments), is_over)
            step("shipping.confirmed")
        source.remove()
        step("shipping.removed")
        if segments:
            sent.shipped.append(reader.source_id)
            _logger.debug("source %s was handed over", reader.source_id.hex())
