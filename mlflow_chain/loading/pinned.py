"""The versions of a model's files that were attested, where their storage keeps versions.

What is current in the storage may have been overwritten or deleted since; these can still be got.
The log says which they are. It is not believed: the bytes are compared with the chain all the same.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

from chain_client.artifact_stores import ArtifactStore
from chain_client.attestations import Attestation, attestations_of
from chain_client.client import ChainClient
from chain_client.errors import ChainError, HostUnavailable, VerificationFailed
from chain_client.manifests import FileEntry, ModelManifest
from chain_client.types import Digest
from mlflow_chain.attesting.locating import files_at, location_of
from mlflow_chain.files.attested import Attested
from mlflow_chain.files.locations import is_path
from mlflow_chain.files.storages import copy_told
from mlflow_chain.loading.approved import commitment_of
from mlflow_chain.loading.registry_of import Asked
from mlflow_chain.verifying.on_all_cores import on_all_cores

_logger = logging.getLogger(__name__)


class VersionGone(VerificationFailed):
    """The storage no longer has a version that was attested: somebody deleted it for ever."""

    def __init__(self, text: str) -> None:
        super().__init__("version", text)


@dataclass(frozen=True, slots=True)
class Pinned:
    """Files of which each has its version in the storage.

    Args:
        location: of the files.
        store: asks their storage.
        files: path, size and digest of each.
        versions: of each, in their order.
    """

    location: str
    store: ArtifactStore
    files: tuple[FileEntry, ...]
    versions: tuple[str, ...]

    def copy_to(self, folder: Path) -> None:
        """Copy exactly these versions; the caller compares what came.

        Raises:
            VersionGone: the storage no longer has one.
            HostUnavailable: it can't be asked now, or does not let us.
        """

        def copy(item: tuple[FileEntry, str]) -> bool:
            entry, version = item
            target = folder / entry.path
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                return copy_told(self.store, entry.path, version, entry.size, file)

        with on_all_cores() as cores:
            wanted = zip(self.files, self.versions, strict=True)
            for (entry, version), is_there in cores.in_order(copy, wanted):
                if not is_there:
                    raise VersionGone(
                        f"{self.location} no longer has version {version} of {entry.path!r}, which "
                        "was attested: somebody deleted it for ever. If what is current has the "
                        "same bytes, propose the version again, so that its files are attested anew"
                    )


def find_pinned(client: ChainClient, store_id: str, asked: Asked, wanted: Digest) -> Pinned | None:
    """The attested versions of the very bytes that a digest on chain commits to.

    Args:
        client: the home.
        store_id: the registry's.
        asked: what MLflow says of the model's version.
        wanted: what stands on chain for it.

    Returns:
        None where nothing here knows any: no plugin asks the storage, it keeps no versions, or
        this home's log does not tell. The log is asked only where a plugin is.
    """
    found: Attestation | None = None
    try:
        storage = Attested(client, store_id).storage
        shown = f"version {asked.version} of model {asked.model.name!r}"
        location = location_of(asked.download_uri, storage, shown, asked.model.workspace)
        store = None if is_path(location) else files_at(location, storage).store
        if store is None:
            return None
        for attestation in attestations_of(client.log, store_id, location):
            digest = attestation.files.digest
            if attestation.files.versions and wanted == commitment_of(
                client, asked.model, asked.version, digest
            ):
                found = attestation
    except ChainError as exc:
        _logger.info("which versions of the files were attested is not known here: %s", exc)
        return None
    if found is None:
        return None
    manifest = ModelManifest.from_json(found.files.manifest)
    return Pinned(location, store, manifest.files, found.files.versions)


def copy_pinned(pinned: Pinned, folder: Path) -> bool:
    """Copy the attested versions; False, with nothing copied, if the storage does not let us.

    Then what is current is as good, if it has the same bytes.

    Raises:
        VersionGone: one is there no longer.
    """
    try:
        pinned.copy_to(folder)
    except HostUnavailable as exc:
        _logger.warning("the versions that were attested can't be got: %s", exc)
        shutil.rmtree(folder)
        folder.mkdir()
        return False
    return True
