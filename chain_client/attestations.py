"""Attestations: what the log says that the files of a version are.

One is an event ``files.attested`` whose subject is the canonical location of the files. The index
of its leaf stands on chain with the version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from chain_client.errors import InvalidEvent, InvalidInput, LogCorrupt
from chain_client.event_codec import decode_event
from chain_client.events import Actor, Event, Json, Subject
from chain_client.hosts import AttestedFiles, Recorded
from chain_client.log import Log
from chain_client.log.entry_check import read_whole
from chain_client.manifests import ModelManifest, model_digest, openssf_root
from chain_client.types import Digest, EventId, from_hex, to_hex

FILES_ATTESTED: Final = "files.attested"
KIND: Final = "attestation"
"""Kind of the subject; its id is the location."""

_VERSION: Final = 1


class Notes(Protocol):
    """What is needed of a `chain_client.recorder.Recorder`."""

    def note(
        self,
        type: str,
        subject: Subject,
        payload: Mapping[str, Json],
        *,
        actor: Actor = ...,
        required: bool = False,
    ) -> None:
        """Record what needs no bracket."""


@dataclass(frozen=True, slots=True)
class Attestation:
    """What the log has of attested files.

    Args:
        files: as they were read.
        leaf_index: of the event in the log; stands on chain with the version.
        event_id: of the event.
        time_us: claimed time, in µs since the epoch.
        name: of the model whose version was asked for.
        version: its number.
        workspace: of the model; empty where the host has none.
    """

    files: AttestedFiles
    leaf_index: int
    event_id: EventId
    time_us: int
    name: str
    version: int
    workspace: str


def attestation_subject(store_id: str, location: str) -> Subject:
    """The subject under which the attestations of a location stand in the log."""
    return Subject(store_id, KIND, location)


def note_attestation(
    records: Notes,
    store_id: str,
    files: AttestedFiles,
    *,
    name: str,
    version: int,
    workspace: str = "",
    actor: Actor | None = None,
) -> None:
    """Record what the files of a version are; once the log has it, `find_attestation` gives it.

    Args:
        records: of this process.
        store_id: the database of the version.
        files: what `Governs.attest` gave.
        name: of the model.
        version: its number.
        workspace: of the model; empty where the host has none.
        actor: who asked for it.

    Raises:
        SpoolUnavailable: it can't be recorded.
    """
    payload: dict[str, Json] = {
        "format": _VERSION,
        "digest": to_hex(files.digest),
        "openssf_root": to_hex(files.openssf_root),
        "manifest": [dict(entry) for entry in files.manifest],
        "fingerprint": files.fingerprint,
        "model": [workspace, name, version],
    }
    if files.versions:
        payload["versions"] = list(files.versions)
    records.note(
        FILES_ATTESTED,
        attestation_subject(store_id, files.location),
        payload,
        actor=actor or Actor(),
        required=True,
    )


def find_attestation(log: Log, store_id: str, location: str) -> Attestation | None:
    """The latest attestation of a location; None if there is none.

    Raises:
        LogUnavailable: the log does not answer.
        LogCorrupt: the event is not what was recorded, or was erased: nothing can be said.
    """
    latest: Attestation | None = None
    for found in attestations_of(log, store_id, location):
        latest = found
    return latest


def attestations_of(log: Log, store_id: str, location: str) -> Iterator[Attestation]:
    """Every attestation of a location, the oldest first.

    Raises:
        LogUnavailable, LogCorrupt: as `find_attestation`.
    """
    key = attestation_subject(store_id, location).to_key()
    for entry in log.find_events(key, exact=True):
        event = read_whole(entry)
        if event.type == FILES_ATTESTED:
            yield to_attestation(event, entry.index)


def recorded_in(log: Log, *store_ids: str, whole: bool = False) -> Recorded:
    """What `Governs.attest` asks the log: the events of a subject, whichever store has it.

    Args:
        log: of the home.
        store_ids: the stores.
        whole: raise LogCorrupt at an entry that is not what was sealed, in place of passing over
            what it says.
    """

    def recorded(kind: str, subject_id: str, below: bool) -> Iterator[Event]:
        for store_id in store_ids:
            key = Subject(store_id, kind, subject_id).to_key()
            for entry in log.find_events(key, exact=not below):
                if whole:
                    yield read_whole(entry)
                    continue
                try:
                    yield decode_event(entry.event or b"")
                except InvalidEvent:
                    continue  # verification names it

    return recorded


def to_attestation(event: Event, leaf_index: int) -> Attestation:
    """The attestation that an event is.

    Guarantee: digest and OpenSSF root are those of its manifest.

    Raises:
        LogCorrupt: they are not, or it is no attestation.
    """
    payload: Any = event.payload
    try:
        manifest = ModelManifest.from_json(payload["manifest"])
        workspace, name, version = payload["model"]
        files = AttestedFiles(
            event.subject.id,
            Digest(from_hex(payload["digest"], size=32)),
            manifest.to_json(),
            Digest(from_hex(payload["openssf_root"], size=32)),
            payload["fingerprint"],
            _to_versions(payload.get("versions", [])),
        )
    except (KeyError, TypeError, ValueError, InvalidInput) as exc:
        raise LogCorrupt(f"entry {leaf_index} of the log is no attestation of files") from exc
    if len(files.versions) not in (0, len(manifest.files)):
        raise LogCorrupt(f"entry {leaf_index} of the log: its versions are not those of its files")
    is_whole = files.digest == model_digest(manifest)
    if not is_whole or files.openssf_root != openssf_root(manifest.files):
        raise LogCorrupt(f"entry {leaf_index} of the log: its manifest is not that of its digest")
    return Attestation(
        files, leaf_index, event.event_id, event.time_us, str(name), int(version), str(workspace)
    )


def _to_versions(value: Any) -> tuple[str, ...]:
    # A decoded list may be a tuple, as in the manifest.
    if not isinstance(value, (list, tuple)) or not all(type(v) is str and v for v in value):
        raise TypeError("versions are texts")
    return tuple(value)
