"""What an operator wants to see at a glance."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chain_client.client import ChainClient
from chain_client.errors import ChainError
from chain_client.events import Json
from chain_client.log import EntryStatus, Log
from chain_client.relay.announcing import FIGURES as OBSERVERS
from chain_client.relay.held_lease import INGEST, LEASE, ingests_only
from chain_client.relay.lock import is_relay_running
from chain_client.spool import list_sources
from chain_client.verify import read_spooled


@dataclass(frozen=True, slots=True)
class Status:
    """State of a home; parts that could not be read are None, and `trouble` says why."""

    home: str
    deployment_id: str
    stores: list[dict[str, str]]
    spooled_events: int | None
    in_flight_calls: int | None
    live_sources: int
    forked_sources: int | None
    spool_bytes: int
    counts: dict[str, int] | None
    oldest_waiting_s: float | None
    head: dict[str, Json] | None
    payloads: dict[str, Json] | None
    cross: dict[str, Json] | None
    relay: dict[str, Json] | None
    observers: list[dict[str, Json]] | None
    alarms: list[dict[str, Json]]
    trouble: list[str]

    def to_json(self) -> dict[str, Any]:
        """All fields by name, and ``ok``."""
        document: dict[str, Any] = {"ok": not self.trouble and not self.alarms}
        document.update({name: getattr(self, name) for name in self.__slots__})
        return document


def read_status(client: ChainClient) -> Status:
    """Read everything that can be read; nothing is written and nothing raised for what can't."""
    trouble: list[str] = []
    spooled: int | None = None
    in_flight: int | None = None
    counts: dict[str, int] | None = None
    oldest: float | None = None
    relay: dict[str, Json] | None = None
    observers: list[dict[str, Json]] | None = None
    head: dict[str, Json] | None = None
    alarms: list[dict[str, Json]] = []
    forked: int | None = None
    payloads: dict[str, Json] | None = None
    cross: dict[str, Json] | None = None
    live, spool_bytes = 0, 0
    try:
        live = sum(reader.is_live() for reader in list_sources(client.folder.spool))
        spool_bytes = _size_bytes(client.folder.spool)
    except ChainError as exc:
        trouble.append(f"spool: {exc}")
    stores: list[dict[str, str]] = []
    try:
        bindings = client.folder.bindings()
        stores = [
            {"store_id": b.store_id, "adapter": b.adapter, "uri": b.to_shown_uri()}
            for b in bindings
        ]
    except ChainError as exc:
        trouble.append(f"stores: {exc}")
    try:
        log = client.log
        alarms = [
            {"kind": a.kind, "subject": a.subject, "detail": a.detail, "count": a.count}
            for a in log.alarms()
        ]
        forked = sum(1 for state in log.sources() if state.forked_from is not None)
        relay = _read_relay(client, log)
        observers = json.loads(log.cursor(OBSERVERS) or "[]")
        found = read_spooled(
            client.folder.spool, log, client.deployment_id, inbox=client.settings.inbox_path
        )
        in_flight = sum(1 for e in found.events.values() if e.timing.ended_us is None)
        spooled = len(found.events) - in_flight
        counts = {str(status): count for status, count in log.counts().items()}
        counts[EntryStatus.SPOOLED] = spooled
        oldest_us = log.oldest_unfinal_us()
        if found.events:
            first_us = min(event.time_us for event in found.events.values())
            oldest_us = first_us if oldest_us is None else min(oldest_us, first_us)
        if oldest_us is not None:
            oldest = max(0.0, time.time() - oldest_us / 1e6)
    except (ChainError, ValueError) as exc:
        trouble.append(f"log: {exc}")
    try:
        on_chain = client.contract.head(client.deployment.log_id)
        head = {
            "size": on_chain.size,
            "root": "0x" + on_chain.root.hex(),
            "block": on_chain.block_number,
            "chain_id": client.deployment.chain_id,
        }
    except ChainError as exc:
        trouble.append(f"chain: {exc}")
    try:
        payloads = _read_payloads(client)
    except ChainError as exc:
        trouble.append(f"payloads: {exc}")
    try:
        cross = _read_cross(client)
    except ChainError as exc:
        trouble.append(f"second chain: {exc}")
    return Status(
        home=str(client.home),
        deployment_id=client.deployment_id,
        stores=stores,
        spooled_events=spooled,
        in_flight_calls=in_flight,
        live_sources=live,
        forked_sources=forked,
        spool_bytes=spool_bytes,
        counts=counts,
        oldest_waiting_s=oldest,
        head=head,
        payloads=payloads,
        cross=cross,
        relay=relay,
        observers=observers,
        alarms=alarms,
        trouble=trouble,
    )


def _read_payloads(client: ChainClient) -> dict[str, Json] | None:
    """The payload store, if there is one; it was asked whether it is there."""
    kept = client.log.payloads
    if kept.place is None:
        return None
    kept.check()
    return {"store": kept.store().uri, "from_bytes": kept.place.from_bytes}


def _read_cross(client: ChainClient) -> dict[str, Json] | None:
    from chain_client.cross.standing import read_cross_head

    place = client.find_cross_place()
    if place is None:
        return None
    found = read_cross_head(place)
    return {
        "size": found.size,
        "block": found.block_number,
        "chain_id": found.chain_id,
        "age_s": None if found.since_s is None else max(0, round(time.time()) - found.since_s),
    }


def _read_relay(client: ChainClient, log: Log) -> dict[str, Json]:
    """Who anchors for the log, and which other relays feed it."""
    anchors = log.holder(LEASE)
    holder = anchors.holder if anchors is not None else None
    others = [lease.holder for lease in log.holders(INGEST) if lease.holder != holder]
    return {
        "running": is_relay_running(client.folder.relay_lock),
        "holder": holder,
        "stands_by": [name for name in others if not ingests_only(name)],
        "ingests_only": [name for name in others if ingests_only(name)],
    }


def _size_bytes(folder: Path) -> int:
    total = 0
    for file in folder.rglob("*"):
        # A relay removes files meanwhile.
        with contextlib.suppress(FileNotFoundError):
            total += file.stat().st_size if file.is_file() else 0
    return total
