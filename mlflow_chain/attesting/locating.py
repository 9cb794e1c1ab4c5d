"""Where the files of a version lie: one canonical location for each place. Reads nothing of them.

What MLflow loads is at the version's download URI; a location is what that URI means at the
server, with every symbolic link followed, so that no second spelling names the same place.
"""

from __future__ import annotations

from chain_client.errors import InvalidInput
from mlflow_chain.attesting.sources import why_unclear
from mlflow_chain.files.canonical import canonical
from mlflow_chain.files.locations import Storage, in_workspace, to_location
from mlflow_chain.files.stored import StoredFiles
from mlflow_chain.mapping.workspaces import to_bare, to_key
from mlflow_chain.reading.reader import Reader


def resolve_location(
    reader: Reader, storage: Storage, name: str, version: int, workspace: str = ""
) -> str:
    """The canonical location of a version's files.

    Args:
        reader: the database, or server, of the version.
        storage: where its files are kept.
        name: of the model.
        version: its number.
        workspace: of the model; empty where there is none.

    Raises:
        InvalidInput: there is no such version, or its files can't be pinned to one place.
        HostUnavailable: MLflow does not answer.
    """
    shown = f"version {version} of model {name!r}"
    found = reader.find_version(to_key(workspace, name), version)
    if found is None:
        raise InvalidInput(f"there is no {shown}")
    uri = str(found.fields["storage_location"] or found.fields["source"] or "")
    return location_of(uri, storage, shown, to_bare(workspace))


def location_of(uri: str, storage: Storage, shown: str, workspace: str = "") -> str:
    """The canonical location of what a version names as the place of its files.

    Args:
        uri: its download URI.
        storage: where files are kept.
        shown: the version, for people.
        workspace: of its model: a server puts what lies behind it into the workspace of who asks;
            empty for the default one, and where there is none.

    Raises:
        InvalidInput: it can't be pinned to one place.
    """
    if not uri:
        raise InvalidInput(f"{shown} has no source, so it has no files")
    reason = why_unclear(uri)
    if reason is not None:
        raise InvalidInput(f"the source of {shown} {reason}, so its files can't be attested")
    location = to_location(uri)
    scoped = in_workspace(location, workspace)
    if scoped is None:
        raise InvalidInput(f"the source of {shown} lies in another workspace than its model")
    return canonical(scoped, storage)


def files_at(location: str, storage: Storage) -> StoredFiles:
    """What is kept at a canonical location.

    Raises:
        InvalidInput: nobody knows where the server keeps its clients' files.
    """
    spots = storage.find(location)
    if not spots:
        raise InvalidInput(
            "nobody knows where the server keeps its clients' files; start it once with "
            "--backend-store-uri chain+…"
        )
    # Of several destinations, the server that was seen last.
    return StoredFiles(spots[-1], storage.tracking_uri)


__all__ = ["canonical", "files_at", "location_of", "resolve_location"]
