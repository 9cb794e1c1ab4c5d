"""Whether the files of a version are still those that were attested: a look, never a hash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chain_client.attestations import attestation_subject, find_attestation
from chain_client.errors import ChainError, InvalidInput
from chain_client.gate.question import Files, FilesCheck
from mlflow_chain.attesting.fingerprints import fingerprint_of
from mlflow_chain.attesting.locating import location_of
from mlflow_chain.files.attested import Attested
from mlflow_chain.files.locations import to_location

if TYPE_CHECKING:
    from chain_client.client import ChainClient
    from chain_client.events import Json
    from chain_client.log import Log
    from chain_client.types import Digest

_MOST = 10_000
"""How many locations are kept in mind."""


class SeenAttestations:
    """What the log says of locations; an entry of the log is read and checked once.

    Threads and forked children may share an instance.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[int, Digest, Json]] = {}

    def find(self, log: Log, store_id: str, location: str) -> tuple[Digest, Json] | None:
        """The digest and fingerprint that were attested last; None if none were.

        Raises:
            LogUnavailable: the log does not answer.
            LogCorrupt: the event is not what was recorded.
        """
        indexes = log.subject_indexes(attestation_subject(store_id, location).to_key())
        if not indexes:
            return None
        known = self._known.get((store_id, location))
        if known is not None and known[0] == indexes[-1]:
            return known[1:]
        found = find_attestation(log, store_id, location)
        if found is None:
            return None
        if len(self._known) >= _MOST:
            self._known.clear()
        seen = (found.files.digest, found.files.fingerprint)
        self._known[store_id, location] = (indexes[-1], *seen)
        return seen


def check_files(
    client: ChainClient,
    seen: SeenAttestations,
    store_id: str,
    uri: str,
    shown: str,
    workspace: str = "",
) -> FilesCheck:
    """What is known of the files of a version.

    Args:
        client: the home, with the log.
        seen: what was read of the log before.
        store_id: the database of the version.
        uri: where the version says that its files are.
        shown: the version, for people.
        workspace: of its model; empty for the default one.
    """
    try:
        storage = Attested(client, store_id).storage
        location = location_of(uri, storage, shown, workspace)
        attested = seen.find(client.log, store_id, location)
        if attested is None:
            return FilesCheck(Files.NOT_ATTESTED)
        found = fingerprint_of(location, storage, attested[1])
    except InvalidInput as exc:
        return FilesCheck(Files.NOT_ATTESTED, None, str(exc))
    except ChainError as exc:
        return FilesCheck(Files.UNREACHABLE, None, str(exc))
    digest, fingerprint = attested
    if found != fingerprint:
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
