"""Processes that write to the toy host: ``writers_script.py MODE HOME DATABASE ACKNOWLEDGED``.

Each line of the file ACKNOWLEDGED is an event that its process was told to be recorded.
"""

from __future__ import annotations

import atexit
import os
import sys
from pathlib import Path

from chain_client import ChainClient, Settings
from chain_client.events import Subject
from chain_client.hosts import StoreBinding
from tests.faults.toy_host import STORE, Toy

WRITERS = 16
WRITES = 6


class Writer:
    """Writes items, and notes what it was told.

    Args:
        home: its own file says where chain and log are.
        database: of the host.
        acknowledged: file of the events that are promised.
    """

    def __init__(self, home: Path, database: Path, acknowledged: Path) -> None:
        self.client = ChainClient.open(Settings.from_environment({}, home.parent, home=home))
        self.client.bind_store(StoreBinding(STORE, "toy", str(database)))
        self.recorder = self.client.recorder  # what a fork inherits
        self._database = database
        self._acknowledged = acknowledged

    def write(self, name: str, count: int = WRITES) -> None:
        """Overwrite items that others overwrite too."""
        toy = Toy(self._database)
        for number in range(count):
            # Of two writers at once the host's order is not the clock's: each has keys of its own.
            key, value = f"{name}-{number % 2}", f"{name}-{number}"
            subject, payload = Subject(STORE, "item", key), {"value": value}
            intent = self.recorder.begin("item.put", subject, payload, required=True)
            toy.put(intent.event_id, key, value)
            self.recorder.done(intent, subject_id=key)
            line = f"{intent.event_id.hex()}\n".encode()
            fd = os.open(self._acknowledged, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.write(fd, line)
            os.close(fd)
        toy.close()


def fork(writer: Writer) -> None:
    """Sixteen children of a process that has recorded write at once, and it goes on beside them.

    Half of them end in order, half do not.
    """
    writer.write("before")
    ready, go = os.pipe()
    children = []
    for number in range(WRITERS):
        child = os.fork()
        if not child:
            os.close(go)
            os.read(ready, 1)  # ends when the parent closes its side
            writer.write(f"child-{number}")
            if number % 2:
                writer.recorder.close()
            os._exit(0)
        children.append(child)
    os.close(go)
    writer.write("parent")
    for child in children:
        os.waitpid(child, 0)
    writer.write("after")


def leave(writer: Writer) -> None:
    """The interpreter ends with a call under way, and an exit handler that still writes."""
    atexit.register(lambda: writer.write("at exit"))
    writer.write("before")
    writer.recorder.begin(
        "item.put", Subject(STORE, "item", "never"), {"value": "never"}, required=True
    )


if __name__ == "__main__":
    mode, *paths = sys.argv[1:]
    {"fork": fork, "leave": leave}[mode](Writer(*map(Path, paths)))
