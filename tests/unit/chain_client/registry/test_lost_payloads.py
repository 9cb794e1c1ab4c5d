"""Facts of governance of which one object was taken out of the payload store.

Whoever may delete there may not bring back what a later entry took back.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chain_client.attestations import find_attestation, note_attestation, recorded_in
from chain_client.errors import LogCorrupt, UnknownName
from chain_client.events import Subject
from chain_client.hosts import AttestedFiles
from chain_client.ledger.deployment import Deployment
from chain_client.log import Log
from chain_client.manifests import FileEntry, ModelManifest, model_digest, openssf_root
from chain_client.registry.users import bind, bindings, resolve_address
from chain_client.types import Address, Digest, LogId
from tests.embedded_chains import KeyInMemory
from tests.unit.chain_client.log.stores import MemoryStore, PlaceInMemory, place_in_memory
from tests.unit.chain_client.registry.office import LoggedRecords

OWNER, OLD, NEW = (KeyInMemory(number) for number in (41, 42, 43))
MANIFEST = ModelManifest.of([FileEntry("MLmodel", 0, "0" * 64)])


@pytest.fixture
def place() -> PlaceInMemory:
    return place_in_memory()


@pytest.fixture
def log(tmp_path: Path, place: PlaceInMemory) -> Iterator[Log]:
    opened = Log(f"sqlite:///{tmp_path / 'log.db'}", payloads=place)
    opened.create()
    yield opened
    opened.close()


@pytest.fixture
def deployment() -> Deployment:
    nobody, none = Address(bytes(20)), Digest(bytes(32))
    owner = OWNER.address()
    return Deployment("d" * 32, "chain:", 1, nobody, none, LogId(bytes(32)), owner, owner, 1)


def lose(store: MemoryStore, log: Log, index: int, how: str) -> None:
    """Take what the store keeps of an entry away, or put something else there."""
    stored = log.entry(index).stored
    assert stored is not None
    if how == "missing":
        del store.objects[stored.digest]
    else:
        store.objects[stored.digest] = b"something else"


@pytest.mark.parametrize("how", ["missing", "damaged"])
@pytest.mark.parametrize("last", [NEW.address(), None], ids=["bound", "removed"])
def test_a_lost_binding_gives_a_name_no_earlier_address_back(
    log: Log, place: PlaceInMemory, deployment: Deployment, last: Address | None, how: str
) -> None:
    records: Any = LoggedRecords(log)
    bind(records, deployment, OWNER, "alice", OLD.address())
    bind(records, deployment, OWNER, "bob", OLD.address())
    bind(records, deployment, OWNER, "alice", last)
    assert bindings(log, deployment).get("alice") == last
    lose(place.store, log, log.size() - 1, how)
    found = bindings(log, deployment)
    assert found == {"bob": OLD.address()}
    with pytest.raises(LogCorrupt, match=rf"'alice': entry {log.size() - 1}: .*use the address"):
        resolve_address("alice", found)
    with pytest.raises(UnknownName):
        resolve_address("carol", found)
    # Nor does signing again help, as what was signed before can be put there again by anybody.
    bind(records, deployment, OWNER, "alice", OLD.address())
    assert "alice" not in bindings(log, deployment)


@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_what_was_recorded_of_files_and_is_lost_lets_nobody_attest_others(
    log: Log, place: PlaceInMemory, how: str
) -> None:
    records: Any = LoggedRecords(log)
    subject = Subject("store", "file", "s3://models/1/MLmodel")
    records.note("files.uploaded", subject, {"sha256": "0" * 64})
    lose(place.store, log, 0, how)
    assert list(recorded_in(log, "store")("file", "s3://models/1", True)) == []
    with pytest.raises(LogCorrupt, match=r"entry 0: .*payload store"):
        list(recorded_in(log, "store", whole=True)("file", "s3://models/1", True))


@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_a_lost_attestation_leaves_no_earlier_one_in_its_place(
    log: Log, place: PlaceInMemory, how: str
) -> None:
    records: Any = LoggedRecords(log)
    root, digest = openssf_root(MANIFEST.files), Digest(model_digest(MANIFEST))
    for fingerprint in ("first", "second"):
        files = AttestedFiles("s3://models/1", digest, MANIFEST.to_json(), root, fingerprint)
        note_attestation(records, "store", files, name="fraud", version=1)
    lose(place.store, log, 1, how)
    with pytest.raises(LogCorrupt, match="entry 1: "):
        find_attestation(log, "store", "s3://models/1")
