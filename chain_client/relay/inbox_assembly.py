"""Putting an inbox together from a home's settings."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Collection

from chain_client.clock import Clock
from chain_client.config import Settings
from chain_client.errors import ConfigurationError, ShippingUnavailable
from chain_client.log import Log
from chain_client.relay.held_lease import HeldLease
from chain_client.relay.inbox import Inbox
from chain_client.relay.ingest import Ingester
from chain_client.relay.receiving import Receiving
from chain_client.relay.unfinished import UnfinishedShipments
from chain_client.shipping import open_shipper
from chain_client.shipping.base import Receiver
from chain_client.types import SourceId

_LEASE = "inbox:"
_MOST_COUNTED = 1000


def make_inbox(settings: Settings, log: Log, clock: Clock, ingester: Ingester) -> Inbox:
    """The inbox of a home, not yet looked into.

    Args:
        settings: of the home.
        log: the home's log.
        clock: time.
        ingester: of the inbox's folder.

    Raises:
        ConfigurationError: `relay.inbox` names a store that is not known, or gives nothing back.
    """

    def standing(kind: str) -> Collection[str]:
        return {alarm.subject for alarm in log.alarms() if alarm.kind == kind}

    unfinished = UnfinishedShipments(clock, log.raise_alarm, log.clear_alarm, standing)
    return Inbox(
        settings.inbox_path,
        ingester,
        clock,
        log.raise_alarm,
        log.clear_alarm,
        unfinished,
        _make_receiving(settings, log, clock, unfinished),
    )


def open_receiver(settings: Settings) -> Receiver | None:
    """The store that `relay.inbox` names; None if that is a folder. Nobody is asked yet.

    Raises:
        ConfigurationError: it is not known, or gives nothing back.
    """
    if settings.inbox_uri is None:
        return None
    found = open_shipper(settings.inbox_uri, base=settings.home)
    if not isinstance(found, Receiver):
        scheme = settings.inbox_uri.partition(":")[0]
        raise ConfigurationError(
            f"relay.inbox: what is handed over to {scheme}: can't be fetched from there by a relay"
        )
    return found


def examine_inbox(settings: Settings) -> tuple[bool, str]:
    """Whether there is a problem in seeing what was handed over, and how much waits in the store.

    Raises:
        ConfigurationError: `relay.inbox` names a store that is not known, or gives nothing back.
    """
    receiver = open_receiver(settings)
    if receiver is None:
        return False, f"{settings.inbox_path}, if it is there"
    try:
        count = sum(1 for _ in itertools.islice(receiver.arrived(), _MOST_COUNTED))
    except ShippingUnavailable as exc:
        return True, f"{receiver.uri} does not show what arrived: {exc}"
    most = " or more" if count == _MOST_COUNTED else ""
    return False, f"{receiver.uri}: {count}{most} sources wait there"


def _make_receiving(
    settings: Settings, log: Log, clock: Clock, unfinished: UnfinishedShipments
) -> Receiving | None:
    receiver = open_receiver(settings)
    if receiver is None:
        return None
    aside = settings.inbox_path / "aside"

    def is_known(source_id: SourceId) -> bool:
        return any(aside.glob(f"{source_id.hex()}.*")) or log.source(source_id) is not None

    place = hashlib.sha256(receiver.uri.encode()).hexdigest()[:32]
    return Receiving(
        receiver,
        settings.inbox_path,
        HeldLease(log, _LEASE + place, settings.relay_lease_s, clock),
        is_known,
        unfinished,
        clock,
        log.raise_alarm,
        log.clear_alarm,
    )
