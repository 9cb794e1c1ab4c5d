"""Workers that are thrown away: their spool lies beside the home whose relay takes it in."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from chain_client import ChainClient
from chain_client.event_codec import decode_event
from chain_client.events import Event, Subject
from chain_client.hosts import StoreBinding
from chain_client.shipping import Sent, Shipper, open_shipper, ship_sources
from tests.faults import toy_host
from tests.faults.toy_host import STORE, Toy


def worker(home: Path, spool: Path) -> ChainClient:
    """The home as a worker has it: its spool lies elsewhere."""
    spool.mkdir(exist_ok=True)
    return toy_host.open_client(
        home,
        MLOPS_CHAIN_SPOOL_FOLDER=str(spool),
        MLOPS_CHAIN_SPOOL_SEGMENT_BYTES=1000,
    )


def work(home: Path, spool: Path, database: Path, count: int, name: str) -> None:
    """A task that changes a host's items, and closes its source."""
    client = worker(home, spool)
    client.bind_store(StoreBinding(STORE, "toy", str(database)))
    toy = Toy(database)
    for number in range(count):
        key, value = f"key-{number % 4}", f"{name}-{number}"
        intent = client.recorder.begin(
            "item.put", Subject(STORE, "item", key), {"value": value}, required=True
        )
        toy.put(intent.event_id, key, value)
        client.recorder.done(intent, subject_id=key)
    toy.close()
    client.recorder.close()


def note(client: ChainClient, count: int, name: str = "task", first: int = 0) -> None:
    """Record plain events, which concern no host."""
    for number in range(first, first + count):
        client.recorder.note("task.seen", Subject("", "task", name), {"number": number})


def ship(spool: Path, inbox: Path) -> Sent:
    """Hand everything over, with all the time in the world."""
    inbox.mkdir(exist_ok=True)
    return ship_sources(spool, open_inbox(inbox), lambda: False)


def open_inbox(inbox: Path) -> Shipper:
    return open_shipper(f"folder:{inbox}", base=inbox)


def events_of(home: Path) -> list[Event]:
    """Everything that the log holds."""
    client = toy_host.open_client(home)
    try:
        return [decode_event(e.event) for e in client.log.entries() if e.event is not None]
    finally:
        client.close()


def seen(home: Path, name: str = "task") -> list[int]:
    """Numbers of the plain events in the log, in order."""
    return sorted(
        int(str(event.payload["number"]))
        for event in events_of(home)
        if event.type == "task.seen" and event.subject.id == name
    )


def alarms_of(home: Path) -> list[str]:
    """Kinds of the alarms that stand."""
    client = toy_host.open_client(home)
    try:
        return sorted(alarm.kind for alarm in client.log.alarms())
    finally:
        client.close()


def types_of(home: Path) -> Counter[str]:
    """How many events of each type the log holds."""
    return Counter(event.type for event in events_of(home))
