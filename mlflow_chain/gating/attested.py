"""Whether the files of a version are still those that were attested: a look, never a hash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chain_client.attestations import find_attestation
from chain_client.errors import ChainError, InvalidInput
from chain_client.gate.question import Files, FilesCheck
from mlflow_chain.attesting.fingerprints import fingerprint_of
from mlflow_chain.attesting.locating import location_of
from mlflow_chain.files.attested import Attested
from mlflow_chain.files.locations import to_location

if TYPE_CHECKING:
    from chain_client.client import ChainClient


def check_files(client: ChainClient, store_id: str, uri: str, shown: str) -> FilesCheck:
    """What is known of the files of a version.

    Args:
        client: the home, with the log.
        store_id: the database of the version.
        uri: where the version says that its files are.
        shown: the version, for people.
    """
    try:
        storage = Attested(client, store_id).storage
        location = location_of(uri, storage, shown)
        attested = find_attestation(client.log, store_id, location)
        if attested is None:
            return FilesCheck(Files.NOT_ATTESTED)
        found = fingerprint_of(location, storage)
    except InvalidInput as exc:
        return FilesCheck(Files.NOT_ATTESTED, None, str(exc))
    except ChainError as exc:
        return FilesCheck(Files.UNREACHABLE, None, str(exc))
    digest = attested.files.digest
    if found != attested.files.fingerprint:
        return FilesCheck(Files.CHANGED, digest)
    return FilesCheck(Files.UNCHANGED, digest)


def find_attested(client: ChainClient, uri: str) -> str | None:
    """A location with attested files at, around or below what a URI names; None if there is none.

    Raises:
        ChainError: neither the log nor MLflow's database says.
    """
    target = to_location(uri)
    for binding in client.folder.bindings():
        attested = Attested(client, binding.store_id)
        found = attested.find_inside(target) or attested.find_below(target)
        if found is not None:
            return found
    return None
