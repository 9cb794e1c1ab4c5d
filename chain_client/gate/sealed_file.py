"""Small files of the gate that only somebody with the home's seal could have written.

One file holds one JSON document with an HMAC under a key that never leaves the home, unlike the
salt, which approvers may have. It is private (0600) and written
whole or not at all, so that servers, relay and commands may read and write it side by side.
"""

from __future__ import annotations

import contextlib
import fcntl
import hmac
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chain_client.canonical import encode
from chain_client.errors import ChainError, ConfigurationError, HomeNotWritable, InvalidEvent
from chain_client.events import Json
from chain_client.home import write_private
from chain_client.registry.secret_file import create_secret, read_secret

SCHEMA_VERSION = 2
"""Version of the files' format."""


class SealBroken(ConfigurationError):
    """A file of the gate was not written by this deployment, or was changed."""


class Seal:
    """The key in ``<home>/keys/gate-seal``; made when something is sealed first.

    Args:
        path: of its file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def provide(self) -> None:
        """See that there is a key.

        Raises:
            ConfigurationError: it is damaged.
            HomeNotWritable: it can't be made.
        """
        create_secret(self._path)

    def make(self, kind: str, body: Json) -> str:
        """The seal of a document.

        Raises:
            ConfigurationError: the key is damaged.
            HomeNotWritable: it can't be made.
        """
        return _mac(create_secret(self._path), kind, body)

    def fits(self, kind: str, body: Json, found: str) -> bool:
        """Whether a seal was made with this key, of this document.

        Raises:
            ConfigurationError: the key is missing or damaged.
        """
        return hmac.compare_digest(found, _mac(read_secret(self._path), kind, body))


def write_sealed(path: Path, kind: str, body: Json, seal: Seal) -> None:
    """Write a document, durably.

    Args:
        path: the file; its folder is made if it is missing.
        kind: what it is; a document of one kind never passes for another.
        body: the document.
        seal: the home's.

    Raises:
        HomeNotWritable: it can't be written.
        ConfigurationError: the home's seal is damaged.
    """
    content = {
        "schema_version": SCHEMA_VERSION,
        "kind": kind,
        "body": body,
        "seal": seal.make(kind, body),
    }
    text = json.dumps(content, ensure_ascii=False) + "\n"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise HomeNotWritable(f"{path} can't be written ({exc.strerror or exc})") from exc
    write_private(path, text)


def read_sealed(path: Path, kind: str, seal: Seal) -> Any:
    """The document in a file; None if there is no file.

    Raises:
        SealBroken: it is damaged, or was not written with this seal and as this kind.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:
        raise SealBroken(f"{path} can't be read") from exc
    try:
        content = json.loads(text)
        found, body = content["seal"], content["body"]
        known = content["schema_version"] == SCHEMA_VERSION and content["kind"] == kind
        if known and seal.fits(kind, body, str(found)):
            return body
    except (ValueError, KeyError, TypeError, RecursionError, ChainError) as exc:
        raise SealBroken(f"{path} is damaged") from exc
    raise SealBroken(f"{path} was changed, or is of another deployment")


@contextlib.contextmanager
def lock_beside(path: Path) -> Iterator[None]:
    """Hold the lock of a file, so that what is read and then written is one step.

    Raises:
        HomeNotWritable: it can't be locked.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = path.with_name(f".{path.name}.lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise HomeNotWritable(f"{path} can't be locked ({exc.strerror or exc})") from exc
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _mac(key: bytes, kind: str, body: Json) -> str:
    """HMAC-SHA-256 (RFC 2104)."""
    try:
        return hmac.digest(key, encode(["gate file", kind, body]), "sha256").hex()
    except InvalidEvent as exc:
        raise SealBroken(f"a {kind} that has no canonical form") from exc
