"""What became of calls about files whose outcome nobody wrote down: by looking at the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chain_client.errors import HostUnavailable
from chain_client.events import Event, Json, OutcomeStatus
from chain_client.hosts import Resolution
from mlflow_chain.files.bracket import LOGGED, READ_BACK, UPLOADED
from mlflow_chain.files.hashing import version_of
from mlflow_chain.files.locations import Storage, is_path, join
from mlflow_chain.files.places import to_note
from mlflow_chain.files.stored import StoredFiles


class FilesInDoubt:
    """Resolves events about the files of one database.

    Args:
        storage: where they are kept.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def resolve(self, event: Event) -> Resolution:
        """What became of one event.

        Raises:
            HostUnavailable: the files can't be looked at now.
        """
        if event.type == LOGGED:
            return self._look_at_files(event)
        if event.type == UPLOADED:
            return self._look_at_upload(event)
        if event.type == READ_BACK:
            # The wish is still there: its files are read again.
            return Resolution(event.event_id, OutcomeStatus.NOT_APPLIED)
        # Part of a folder may be gone: nobody can tell, and verification accepts either.
        return Resolution(event.event_id, OutcomeStatus.UNDETERMINED)

    def _look_at_files(self, event: Event) -> Resolution:
        files: Any = event.payload.get("files") or ()
        if not files:
            # Nothing of it could be read.
            return Resolution(event.event_id, OutcomeStatus.UNDETERMINED)
        stored_files = self._files(event)
        same: list[Json] = []
        torn: list[Json] = []
        missing = 0
        for path, size, digest in files:
            stored = stored_files.find(path)
            if stored is None:
                missing += 1
            elif stored == (size, digest):
                same.append([path, size, digest])
            else:
                torn.append([path, *stored])
        if not missing and not torn:
            return Resolution(event.event_id, OutcomeStatus.RECOVERED)
        if not same and not torn:
            return Resolution(event.event_id, OutcomeStatus.NOT_APPLIED)
        detail: dict[str, Json] = {"files": same, "torn": torn}
        return Resolution(event.event_id, OutcomeStatus.PARTLY_APPLIED, detail=detail)

    def _look_at_upload(self, event: Event) -> Resolution:
        """A server's upload: MLflow puts it into its place whole, or not at all.

        If the very file is there that was there before, or none, it was not applied. If another
        one is, it may be of this upload or of a later one, and nobody saw the digest of this one:
        the leaf says what is there now, and claims nothing.
        """
        path = str(event.payload.get("path") or "")
        files = self._files(event)
        if "replaces" in event.payload and is_path(files.root):
            version = version_of(Path(join(files.root, path)))
            before: Any = event.payload["replaces"]
            if version is None and before is not None:
                # It was deleted since: whether the new one or the old one, nobody can tell.
                return Resolution(event.event_id, OutcomeStatus.UNDETERMINED)
            if version is None or (before is not None and list(version) == list(before)):
                return Resolution(event.event_id, OutcomeStatus.NOT_APPLIED)
        stored = files.find(path)
        if stored is None:
            return Resolution(event.event_id, OutcomeStatus.NOT_APPLIED)
        size, digest = stored
        detail: dict[str, Json] = {"size": size, "sha256": digest, "read_back": True}
        return Resolution(event.event_id, OutcomeStatus.UNDETERMINED, detail=detail)

    def _files(self, event: Event) -> StoredFiles:
        spots = self._storage.find(event.subject.id)
        kept = event.payload.get("kept")
        if kept is not None:
            spots = tuple(spot for spot in spots if to_note(spot.root) == kept)
        if len(spots) != 1:
            raise HostUnavailable(
                "nobody knows where the server keeps its clients' files; start it once with "
                "--backend-store-uri chain+…"
            )
        (spot,) = spots
        is_new = event.payload.get("kept_is_new") is True
        if spot.is_kept and not is_new and is_path(spot.root) and not Path(spot.root).is_dir():
            # Perhaps it is only not mounted here, or now.
            raise HostUnavailable(f"the folder {spot.root} of a server's files is not there")
        return StoredFiles(spot, self._storage.tracking_uri)
