"""A private copy of a version's files, checked before anybody reads a line of them.

The steps of the check, in this order; nothing of the model is imported before the last:

1. the URI names a version, an alias or a stage;
2. the home is that of MLflow's registry;
3. MLflow says which version it has there, and where its files are;
4. the chain approves of that version: a policy stands, it is current, and it was not revoked;
5. the files are copied into a folder of this process's user alone; where their storage keeps
   versions, exactly those that were attested, whatever is current there by now;
6. every file of the copy is read: no symbolic links, nothing ignored;
7. the salted digest of these bytes is the one on chain;
8. no ``MLmodel`` among them leads out of the copy.

What is loaded is the copy that was read, so there is no moment in which it could be exchanged.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chain_client.errors import ChainError, InvalidInput, Unavailable, VerificationFailed
from chain_client.manifests import model_digest
from mlflow_chain.attesting.attest import read_manifest
from mlflow_chain.attesting.descriptions import DescriptionRefused, check_descriptions
from mlflow_chain.files.locations import Spot
from mlflow_chain.files.stored import LOADING_NOTE, StoredFiles
from mlflow_chain.loading.approved import approved_for, commitment_of, registered
from mlflow_chain.loading.model_uris import ModelUri
from mlflow_chain.loading.pinned import copy_pinned, find_pinned
from mlflow_chain.loading.registry_of import ask_mlflow, open_home

_FOLDER = "mlops-chain-model-"


class BytesDiffer(VerificationFailed):
    """The files are not those that were approved."""

    def __init__(self, text: str) -> None:
        super().__init__("digest", text)


class LeadsOut(VerificationFailed):
    """The approved files have MLflow load others, which nobody approved."""

    def __init__(self, text: str) -> None:
        super().__init__("description", text)


def download_verified(
    uri: str,
    dst_path: str | None = None,
    tracking_uri: str | None = None,
    registry_uri: str | None = None,
) -> str:
    """Copy the files that a URI names, if the chain approves of their bytes.

    Args:
        uri: such as ``models:/fraud@champion``.
        dst_path: an existing, empty folder for the copy; by default one that is removed when the
            process ends.
        tracking_uri: MLflow's; by default the process's own.
        registry_uri: likewise.

    Returns:
        the path of the copy, or of what the URI names in it.

    Raises:
        MlflowException: ``PERMISSION_DENIED`` if they are not approved, ``RESOURCE_CONFLICT`` if
            nobody can tell now, ``INVALID_PARAMETER_VALUE`` for a URI that nobody can approve;
            MLflow's own if there is no such version. Nothing is left at ``dst_path``.
    """
    with refusals(uri):
        return str(_download(ModelUri.parse(uri), dst_path, tracking_uri, registry_uri))


def _download(
    uri: ModelUri, dst_path: str | None, tracking_uri: str | None, registry_uri: str | None
) -> Path:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
    from mlflow.tracking._model_registry.utils import _get_store

    if dst_path is not None and not Path(dst_path).is_dir():
        raise InvalidInput(f"there is no folder {dst_path}; make it first")
    if dst_path is not None and any(Path(dst_path).iterdir()):
        raise InvalidInput(
            f"the folder {dst_path} is not empty; what lies there would be loaded with the model"
        )
    store = _get_store(store_uri=registry_uri, tracking_uri=tracking_uri)
    client, store_id = open_home(store)
    asked = ask_mlflow(store, store_id, uri)
    if uri.target is None:
        wanted = registered(client, asked.model, asked.version)
    else:
        wanted = approved_for(client, asked.model, uri.target, asked.version)
    folder = Path(tempfile.mkdtemp(prefix=_FOLDER))
    _remove_at_exit(folder)
    copy = folder / "model"
    copy.mkdir()
    pinned = find_pinned(client, store_id, asked, wanted)
    if pinned is None or not copy_pinned(pinned, copy):
        repository = get_artifact_repository(
            asked.download_uri, tracking_uri=tracking_uri, registry_uri=registry_uri
        )
        _copy(repository, copy)
    files = StoredFiles(Spot(str(copy)))
    manifest = read_manifest(files)
    found = commitment_of(client, asked.model, asked.version, model_digest(manifest))
    if found != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        raise BytesDiffer(
            f"the files of version {asked.version} of model {asked.model.name!r} are not those "
            "that were approved; nothing of them was loaded. Run: mlops-chain verify"
        )
    try:
        check_descriptions(files, manifest)
    except DescriptionRefused as exc:
        shutil.rmtree(folder, ignore_errors=True)
        raise LeadsOut(f"{exc}. Nothing of the version was loaded") from exc
    if dst_path is not None:
        for entry in list(copy.iterdir()):
            shutil.move(entry, Path(dst_path, entry.name))
        copy = Path(dst_path)
    return copy / uri.path if uri.path else copy


def _copy(repository: Any, folder: Path) -> None:
    repository.download_artifacts("", str(folder))
    note = StoredFiles(Spot(str(folder)))
    # MLflow writes it beside a local model whenever that is loaded; it is no file of the version.
    if note.is_loading_note(LOADING_NOTE):
        (folder / LOADING_NOTE).unlink()


def _remove_at_exit(folder: Path) -> None:
    owner = os.getpid()

    def remove() -> None:
        # A fork of this process ends earlier, and is not the owner.
        if os.getpid() == owner:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)


@contextmanager
def refusals(uri: str) -> Iterator[None]:
    """Turn our errors into the MlflowException that says why a model is not loaded."""
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import (
        INVALID_PARAMETER_VALUE,
        PERMISSION_DENIED,
        RESOURCE_CONFLICT,
    )

    try:
        yield
    except InvalidInput as exc:
        raise MlflowException(f"{uri} was not loaded: {exc}", INVALID_PARAMETER_VALUE) from exc
    except Unavailable as exc:
        raise MlflowException(f"{uri} was not loaded: {exc}", RESOURCE_CONFLICT) from exc
    except ChainError as exc:
        raise MlflowException(f"{uri} was not loaded: {exc}", PERMISSION_DENIED) from exc
