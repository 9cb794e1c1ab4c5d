"""The identity of a model's bytes: its manifest, its digest, and the root of OpenSSF's tools.

Pure. The digest binds the path, size and content of every file: nothing is ignored, so a renamed
or added file gives another one. The OpenSSF root binds no names and leaves out some of git's files;
it is computed only so that the tools of OpenSSF Model Signing recognise our models.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import rfc8785

from chain_client.errors import InvalidInput
from chain_client.events import Json
from chain_client.types import Digest

_SHA256 = re.compile("[0-9a-f]{64}")

_LEFT_OUT = (".git", ".gitattributes", ".github", ".gitignore")
"""At the top of a model, what `model_signing.hashing.Config` leaves out, and all below it."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a model.

    Args:
        path: below the model's root, with ``/``.
        size: in bytes.
        sha256: of its content, in lower-case hex.
    """

    path: str
    size: int
    sha256: str

    def to_json(self) -> dict[str, Json]:
        """As it stands in the manifest."""
        return {"path": self.path, "size": self.size, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class ModelManifest:
    """Every file of a model, in the order of paths.

    Args:
        files: at least one; use `of` for any order.

    Raises:
        InvalidInput: no file, two of one path, an order that is not the canonical one, or an entry
            that names no file below the root.
    """

    files: tuple[FileEntry, ...]

    def __post_init__(self) -> None:
        if not self.files:
            raise InvalidInput("a model without any file has no digest")
        for entry in self.files:
            _check(entry)
        paths = [entry.path for entry in self.files]
        if sorted(set(paths)) != paths:
            raise InvalidInput("expected the files of a manifest in the order of their paths, once")

    @classmethod
    def of(cls, files: Iterable[FileEntry]) -> ModelManifest:
        """The manifest of files in any order.

        Raises:
            InvalidInput: as the class.
        """
        return cls(tuple(sorted(files, key=lambda entry: entry.path)))

    @classmethod
    def from_json(cls, value: Any) -> ModelManifest:
        """The inverse of `to_json`.

        Raises:
            InvalidInput: it is no manifest.
        """
        try:
            files = tuple(FileEntry(f["path"], f["size"], f["sha256"]) for f in value)
        except (TypeError, KeyError) as exc:
            raise InvalidInput("expected a manifest: a list of path, size and sha256") from exc
        return cls(files)

    def to_json(self) -> tuple[Mapping[str, Json], ...]:
        """``path``, ``size`` and ``sha256`` of each file, in the order of paths."""
        return tuple(entry.to_json() for entry in self.files)


def model_digest(manifest: ModelManifest) -> Digest:
    """SHA-256 of the RFC 8785 bytes of the manifest.

    Example:
        >>> model_digest(ModelManifest.of([FileEntry("MLmodel", 0, "e3b0c442…")])).hex()
    """
    return Digest(hashlib.sha256(rfc8785.dumps(list(manifest.to_json()))).digest())


def openssf_root(files: Iterable[FileEntry]) -> Digest:
    """What ``model_signing.hashing.hash`` (1.1) and its signatures give for the same files.

    SHA-256 over the files' digests in the order of their paths, part by part; `_LEFT_OUT` is not
    in it.
    """
    counted = [entry for entry in files if entry.path.partition("/")[0] not in _LEFT_OUT]
    hasher = hashlib.sha256()
    for entry in sorted(counted, key=lambda entry: entry.path.split("/")):
        hasher.update(bytes.fromhex(entry.sha256))
    return Digest(hasher.digest())


def _check(entry: FileEntry) -> None:
    path, size = entry.path, entry.size
    if type(path) is not str or not path or posixpath.normpath(path) != path:
        raise InvalidInput(f"expected the path of a file below a model, got {path!r}")
    if path.startswith(("/", "../")) or path in (".", ".."):
        raise InvalidInput(f"expected the path of a file below a model, got {path!r}")
    try:
        path.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"the file name {path!r} is not UTF-8; rename the file") from None
    if type(size) is not int or size < 0 or size > 2**53 - 1:
        raise InvalidInput(f"expected the size of {path!r} in bytes, got {size!r}")
    if type(entry.sha256) is not str or _SHA256.fullmatch(entry.sha256) is None:
        raise InvalidInput(f"expected the SHA-256 of {path!r} in lower-case hex")
