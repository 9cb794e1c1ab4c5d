"""Storages that tell of their files by themselves, where a plugin brings that for their scheme.

What such a storage says of a digest is taken for it; what is loaded verified is hashed all the
same. Whatever a plugin's store raises or answers amiss is a `HostUnavailable` here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from chain_client.artifact_stores import ArtifactStore, ArtifactStream, StoredObject
from chain_client.errors import ChainError, HostUnavailable
from chain_client.shown_uri import to_shown_uri
from mlflow_chain.files.locations import Spot, is_path, is_proxied, join

_BLOCK = 1024 * 1024
_HOOK = "artifact_stores"


def find_store(spot: Spot) -> ArtifactStore | None:
    """What asks the storage of a spot itself; None if only MLflow's own client can read there.

    Raises:
        HostUnavailable: several plugins want the scheme, or the plugin does not take the location.
    """
    root = spot.root
    scheme, colon, _ = root.partition(":")
    # MLflow takes a root for a URI, and cuts off what stands behind these.
    if is_path(root) or is_proxied(root) or not colon or not {"?", "#"}.isdisjoint(root):
        return None
    from chain_client.plugin_host import get_plugin_host

    with _answering(root):
        host = get_plugin_host()
        if all(scheme not in plugin.schemes.get(_HOOK, ()) for plugin in host.plugins()):
            return None
        store: ArtifactStore = host.factory(_HOOK, scheme, "artifact store")(join(root, spot.below))
        return store


def list_told(store: ArtifactStore, root: str) -> Iterator[StoredObject]:
    """Every file that is current; ``root`` is for people.

    Raises:
        HostUnavailable: the storage does not answer, or not with a list of files.
    """
    with _answering(root):
        for found in store.list():
            _check(found)
            yield found


def find_told(store: ArtifactStore, path: str, version: str | None) -> tuple[int, str, bool] | None:
    """Size and SHA-256 of one file; None if it is not there.

    Returns:
        also whether the storage said so; else the bytes were read, because it holds no digest.

    Raises:
        HostUnavailable: it can't be asked, or not be read; or it sent more or less than it says.
    """
    with _answering(path):
        found = store.find(path, version)
        if found is None:
            return None
        _check(found)
        if version is not None and found.version != version:
            raise HostUnavailable("the plugin answered with another version than the one asked for")
        if found.sha256 is not None:
            return found.size, found.sha256.hex(), True
        with _opened(store, path, found.version or version) as stream:
            if stream is None:
                return None
            digest, size = hashlib.sha256(), 0
            while block := stream.read(_BLOCK):
                digest.update(block)
                size += len(block)
    if size != found.size:
        raise HostUnavailable(f"{path!r} has not the size that its storage says; try again")
    return size, digest.hexdigest(), False


def read_told(store: ArtifactStore, path: str, longest: int, version: str | None) -> bytes | None:
    """The bytes of one file; None if it is not there, or longer.

    Raises:
        HostUnavailable: it can't be read.
    """
    with _answering(path), _opened(store, path, version) as stream:
        if stream is None:
            return None
        content = b""
        while len(content) <= longest and (block := stream.read(longest + 1 - len(content))):
            content += block
    return content if len(content) <= longest else None


def copy_told(store: ArtifactStore, path: str, version: str, size: int, target: IO[bytes]) -> bool:
    """Copy one version of a file, and never more bytes than it should have.

    Returns:
        False if the storage has it no longer.

    Raises:
        HostUnavailable: it can't be read.
    """
    with _answering(path):
        stream = store.open(path, version)
    if stream is None:
        return False
    try:
        # One byte more, so that a longer one does not pass for it.
        left = size + 1
        while left > 0:
            with _answering(path):
                block = stream.read(min(left, _BLOCK))
            if not block:
                break
            target.write(block)
            left -= len(block)
    finally:
        stream.close()
    return True


def _check(found: StoredObject) -> None:
    fits = type(found.path) is str and type(found.size) is int and found.size >= 0
    if found.sha256 is not None:
        fits = fits and type(found.sha256) is bytes and len(found.sha256) == 32
    if not fits or not (found.version is None or (type(found.version) is str and found.version)):
        raise HostUnavailable("the plugin answered with what is no file of a storage")


@contextmanager
def _opened(
    store: ArtifactStore, path: str, version: str | None
) -> Iterator[ArtifactStream | None]:
    stream = store.open(path, version)
    try:
        yield stream
    finally:
        if stream is not None:
            stream.close()


@contextmanager
def _answering(place: str) -> Iterator[None]:
    """Turn whatever a plugin raises into our error."""
    try:
        yield
    except HostUnavailable:
        raise
    except ChainError as exc:
        raise HostUnavailable(f"{to_shown_uri(place)} can't be read: {exc}") from exc
    except Exception as exc:
        raise HostUnavailable(
            f"{to_shown_uri(place)} can't be read: the plugin raised {type(exc).__name__}"
        ) from exc
