"""What an attestation says of versions in the storage, and what it can't say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chain_client.attestations import FILES_ATTESTED, note_attestation, to_attestation
from chain_client.errors import LogCorrupt
from chain_client.events import Actor, Event, Json, OutcomeStatus, Subject, Timing
from chain_client.hosts import AttestedFiles
from chain_client.manifests import FileEntry, ModelManifest, model_digest, openssf_root
from chain_client.types import EventId, SourceId

MANIFEST = ModelManifest.of([FileEntry("MLmodel", 0, "0" * 64), FileEntry("data.bin", 1, "1" * 64)])


class Noted:
    """Keeps what is noted."""

    def note(self, type: str, subject: Subject, payload: dict[str, Json], **_: Any) -> None:
        """As a recorder."""
        self.event = Event(
            EventId(bytes(16)),
            type,
            SourceId(bytes(16)),
            0,
            1,
            OutcomeStatus.DONE,
            subject,
            Actor(),
            Timing(0, 1),
            payload,
        )


def noted(*versions: str) -> Event:
    """The event of files that have these versions in their storage."""
    files = AttestedFiles(
        "s3://models/1",
        model_digest(MANIFEST),
        MANIFEST.to_json(),
        openssf_root(MANIFEST.files),
        ["versions", "00"],
        versions,
    )
    records: Any = Noted()
    note_attestation(records, "store", files, name="fraud", version=1)
    event: Event = records.event
    return event


def test_versions_are_recorded_and_read_again() -> None:
    event = noted("v1", "v2")
    assert event.type == FILES_ATTESTED
    assert to_attestation(event, 0).files.versions == ("v1", "v2")


def test_without_versions_the_event_says_nothing_of_them() -> None:
    event = noted()
    assert "versions" not in event.payload
    assert to_attestation(event, 0).files.versions == ()


@pytest.mark.parametrize("versions", [["v1"], ["v1", ""], ["v1", 2], "v1", 3, None])
def test_versions_that_are_not_those_of_the_files_are_refused(versions: Any) -> None:
    event = noted("v1", "v2")
    with pytest.raises(LogCorrupt):
        to_attestation(replace(event, payload={**event.payload, "versions": versions}), 0)
