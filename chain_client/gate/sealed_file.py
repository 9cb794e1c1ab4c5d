"""Small files of the gate that only somebody with the registry's salt could have written.

One file holds one JSON document with an HMAC under the salt. It is private (0600) and written
whole or not at all, so that servers, relay and commands may read and write it side by side.
"""

from __future__ import annotations

import contextlib
import fcntl
import hmac
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chain_client.canonical import encode
from chain_client.errors import ChainError, ConfigurationError, HomeNotWritable, InvalidEvent
from chain_client.events import Json
from chain_client.registry.identity import Salt

SCHEMA_VERSION = 2
"""Version of the files' format."""


class SealBroken(ConfigurationError):
    """A file of the gate was not written by this deployment, or was changed."""


def write_sealed(path: Path, kind: str, body: Json, salt: Salt) -> None:
    """Write a document, durably.

    Args:
        path: the file; its folder is made if it is missing.
        kind: what it is; a document of one kind never passes for another.
        body: the document.
        salt: the deployment's.

    Raises:
        HomeNotWritable: it can't be written.
    """
    content = {
        "schema_version": SCHEMA_VERSION,
        "kind": kind,
        "body": body,
        "seal": _seal(kind, body, salt),
    }
    text = json.dumps(content, ensure_ascii=False) + "\n"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as exc:
        raise HomeNotWritable(f"{path} can't be written ({exc.strerror or exc})") from exc


def read_sealed(path: Path, kind: str, salt: Salt) -> Any:
    """The document in a file; None if there is no file.

    Raises:
        SealBroken: it is damaged, or was not written with this salt and as this kind.
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
        if known and hmac.compare_digest(str(found), _seal(kind, body, salt)):
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


def _seal(kind: str, body: Json, salt: Salt) -> str:
    """HMAC-SHA-256 (RFC 2104); what it is taken of begins like no other use of the salt."""
    try:
        return hmac.digest(salt.value, encode(["gate file", kind, body]), "sha256").hex()
    except InvalidEvent as exc:
        raise SealBroken(f"a {kind} that has no canonical form") from exc
