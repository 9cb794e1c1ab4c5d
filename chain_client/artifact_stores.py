"""Artifact stores: what a storage itself can tell of the files that a host keeps there.

A host reads its files through its own clients, which tell names and sizes. A storage may know more:
the digest of an object without sending it, and which version of it is current. Plugins bring that,
by the hook `artifact_stores`; where a location's scheme has none, the host's own client is used.

What a store says of a digest is believed as far as the storage is (docs/explanation/the-gate.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from chain_client.types import Digest


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One file, as its storage tells of it.

    Args:
        path: below the store's location, with ``/``, as the storage spells it; in it ``?``, ``#``
            and ``%`` are parts of names.
        size: in bytes.
        version: names these bytes for ever: nobody can put others under it. None where the storage
            keeps no versions, or may put others under the same name.
        sha256: of all its bytes, computed by the storage when it took them; None if it holds none,
            or if it was not asked.
    """

    path: str
    size: int
    version: str | None = None
    sha256: Digest | None = None


class ArtifactStream(Protocol):
    """The bytes of one object, from the first to the last."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, at most ``size``; empty at the end.

        Raises:
            HostUnavailable: the connection broke; never fewer bytes than there are.
        """

    def close(self) -> None:
        """Give the connection back, also before the end."""


@runtime_checkable
class ArtifactStore(Protocol):
    """The files below one location. Threads may share it; making one does no I/O.

    Every method raises `HostUnavailable` if the storage does not answer, or does not let us; the
    text names the permission that is missing, and never a key or a token.
    """

    def list(self) -> Iterator[StoredObject]:
        """Every file below the location that is current, in any order, and nothing else.

        Not what was deleted, nor an empty object that only stands for a folder. ``sha256`` may be
        None although the storage holds one: `find` asks for it.
        """

    def find(self, path: str, version: str | None = None) -> StoredObject | None:
        """What the storage tells of one file, without reading it; None if it is not there.

        Args:
            path: as `StoredObject`.
            version: of it; None: the current one. One that is no longer current is found as long
                as the storage keeps it.
        """

    def open(self, path: str, version: str | None = None) -> ArtifactStream | None:
        """The bytes of one file; None if it is not there. Arguments as `find`."""


ArtifactStoreFactory = Callable[[str], ArtifactStore]
"""Called with a location, such as ``s3://bucket/prefix``; does no I/O.

Raises:
    ConfigurationError: it is no location of such a storage.
"""

__all__ = ["ArtifactStore", "ArtifactStoreFactory", "ArtifactStream", "StoredObject"]
