"""Small files that hold one secret of 32 bytes, as hex."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from chain_client.errors import ConfigurationError, HomeNotWritable

SECRET_BYTES = 32


def read_secret(path: Path) -> bytes:
    """The secret in a file of 64 hex digits.

    Raises:
        ConfigurationError: the file is missing, can't be read or holds something else.
    """
    try:
        value = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except FileNotFoundError:
        raise ConfigurationError(
            f"there is no {path}, and no command makes it anew: put it back from your backup"
        ) from None
    except OSError as exc:
        raise ConfigurationError(f"{path} can't be read: {exc.strerror or exc}") from exc
    except ValueError:
        raise ConfigurationError(f"{path} is damaged: expected 64 hex digits") from None
    if len(value) != SECRET_BYTES:
        raise ConfigurationError(f"{path} is damaged: expected 64 hex digits")
    return value


def create_secret(path: Path) -> bytes:
    """The secret in a file, made if there is none; whole or not at all, and never replaced.

    Raises:
        ConfigurationError: the file is there and damaged.
        HomeNotWritable: the file can't be written.
    """
    if path.exists():
        return read_secret(path)
    value = secrets.token_bytes(SECRET_BYTES)
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(value.hex() + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)  # unlike a rename, it never replaces a file
        finally:
            Path(temporary).unlink(missing_ok=True)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except FileExistsError:
        return read_secret(path)
    except OSError as exc:
        raise HomeNotWritable(f"{path} can't be written ({exc.strerror or exc})") from exc
    return value
