"""What every adoption shares: one process at a time, one whole baseline, and how to tell."""

from __future__ import annotations

import fcntl
import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from chain_client.errors import HomeNotWritable
from chain_client.event_codec import decode_event
from chain_client.events import Json, Subject
from mlflow_chain.adopting.baseline import FINISHED, STARTED, baseline_notes
from mlflow_chain.reading.opening import open_reader

if TYPE_CHECKING:
    from chain_client.client import ChainClient

_logger = logging.getLogger(__name__)

ADAPTER = "mlflow"


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Hold the home's adoption lock.

    Raises:
        HomeNotWritable: it can't be taken.
    """
    path = home / "adoption.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise HomeNotWritable(f"{path} can't be written ({exc.strerror or exc})") from exc
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        # Not by closing alone: a process forked meanwhile has the descriptor too.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def was_recorded(client: ChainClient, store_id: str) -> bool:
    """Whether a whole baseline of that store stands in the home's spool or log."""
    from chain_client.verify import read_spooled

    spooled = read_spooled(client.folder.spool, client.log).events.values()
    if any(e.type == FINISHED and e.subject.id == store_id for e in spooled):
        return True
    logged = client.log.find_events(Subject(store_id, "store", store_id).to_key())
    return any(e.event and decode_event(e.event).type == FINISHED for e in logged)


def record_baseline(client: ChainClient, uri: str, store_id: str) -> None:
    """Record all that the store at ``uri`` holds.

    Raises:
        HomeNotWritable: the baseline can't be written.
        HostUnavailable: the store does not answer.
    """
    recorder = client.recorder
    baseline_id = uuid.uuid4().hex
    store = Subject(store_id, "store", store_id)
    recorder.note(STARTED, store, {"baseline": baseline_id}, required=True)
    count = 0
    with closing(open_reader(uri)) as reader:
        for type_, kind, subject_id, payload in baseline_notes(reader, baseline_id):
            recorder.note(type_, Subject(store_id, kind, subject_id), payload)
            count += 1
    done: dict[str, Json] = {"baseline": baseline_id, "notes": count}
    recorder.note(FINISHED, store, done, required=True)
    _logger.info("adopted MLflow's database as store %s: %d entities", store_id, count)
