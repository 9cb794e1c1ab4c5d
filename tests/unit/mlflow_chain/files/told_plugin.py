"""A plugin whose artifact store answers as a test tells it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

from chain_client.artifact_stores import StoredObject
from chain_client.hookspecs import ArtifactStoreFactory, hookimpl
from chain_client.types import Digest


class Told:
    """Files in memory; some methods may be replaced.

    Args:
        location: of the files.
    """

    files: ClassVar[dict[str, list[bytes]]] = {}
    """Versions of each file; the last one is current."""
    instead: ClassVar[dict[str, Callable[..., Any]]] = {}
    """What a method does instead, by its name."""
    holds_digests = True
    keeps_versions = True
    opened: ClassVar[list[tuple[str, str | None]]] = []

    def __init__(self, location: str) -> None:
        self.location = location

    def list(self) -> Iterator[StoredObject]:
        """See `ArtifactStore`."""
        if "list" in Told.instead:
            yield from Told.instead["list"]()
            return
        for path in Told.files:
            yield self._told(path, None)

    def find(self, path: str, version: str | None = None) -> Any:
        """See `ArtifactStore`."""
        if "find" in Told.instead:
            return Told.instead["find"](path, version)
        return self._told(path, version) if path in Told.files else None

    def open(self, path: str, version: str | None = None) -> Any:
        """See `ArtifactStore`."""
        Told.opened.append((path, version))
        if "open" in Told.instead:
            return Told.instead["open"](path, version)
        return io.BytesIO(self._bytes(path, version)) if path in Told.files else None

    def _bytes(self, path: str, version: str | None) -> bytes:
        return Told.files[path][-1 if version is None else int(version.removeprefix("v"))]

    def _told(self, path: str, version: str | None) -> StoredObject:
        content = self._bytes(path, version)
        named = version or f"v{len(Told.files[path]) - 1}"
        return StoredObject(
            path,
            len(content),
            named if Told.keeps_versions else None,
            Digest(hashlib.sha256(content).digest()) if Told.holds_digests else None,
        )


@hookimpl
def artifact_stores() -> Mapping[str, ArtifactStoreFactory]:
    """``told:`` is in memory."""
    return {"told": Told}
