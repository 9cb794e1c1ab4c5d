"""Keys in encrypted files: the V3 keystore that every Ethereum tool reads.

A keystore made without a password is encrypted with a random one of 256 bits, kept in the file
``password`` beside it. That protects a copied keystore file, not a copied folder; whoever wants
more gives a password. All files are made with mode 0600 and are never overwritten.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chain_client.errors import ConfigurationError, InvalidInput
from chain_client.signing.keccak import keccak256, prefer_fast_keccak
from chain_client.signing.recursion_limit import unchanged_recursion_limit
from chain_client.types import Address, to_hex

if TYPE_CHECKING:
    import coincurve

logger = logging.getLogger(__name__)

PASSWORD_FILE = "password"  # noqa: S105 - a file's name
"""Name of the file beside a keystore that holds its random password."""


class KeystoreSigner:
    """Signs with the key in a V3 keystore file.

    The file is read and unlocked on first use; the key then stays in this process's memory.

    Args:
        uri: what the configuration calls it.
        path: the keystore file.
        password: its password; by default it is read from `PASSWORD_FILE` beside it.
    """

    def __init__(self, uri: str, path: Path, *, password: str | None = None) -> None:
        self.uri = uri
        self._path = path
        self._password = password
        self._key: coincurve.PrivateKey | None = None

    def __repr__(self) -> str:
        return f"KeystoreSigner({self.uri!r})"

    def address(self) -> Address:
        """The key's address.

        Raises:
            ConfigurationError: the file can't be read or unlocked.
        """
        return _address_of(self._unlocked())

    def sign_hash(self, digest: bytes) -> tuple[int, int, int]:
        """Sign a 32-byte digest as it is.

        Returns:
            ``(y_parity, r, s)``; libsecp256k1 makes the nonce by RFC 6979 and gives the low s.

        Raises:
            InvalidInput: not 32 bytes.
            ConfigurationError: the file can't be read or unlocked.
        """
        if len(digest) != 32:
            raise InvalidInput(f"a digest to sign has 32 bytes, got {len(digest)}")
        signature: bytes = self._unlocked().sign_recoverable(digest, hasher=None)
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        return signature[64], r, s

    def _unlocked(self) -> coincurve.PrivateKey:
        if self._key is None:
            self._key = _read(self._path, self._password)
        return self._key


def create_keystore(path: Path, *, password: str | None = None) -> Address:
    """Make a new random key in a new keystore file of mode 0600.

    After a crash the file is whole or absent; an existing file is never replaced.

    Args:
        path: the file to make; its folder is made (0700) if it is missing.
        password: encrypts the key through scrypt. By default a random 256-bit password is used,
            which is made once per folder in `PASSWORD_FILE`; it needs no stretching, so that
            unlocking takes no time.

    Returns:
        The new key's address.

    Raises:
        ConfigurationError: the file exists, or can't be written.
    """
    import coincurve

    with unchanged_recursion_limit():
        import eth_keyfile

    prefer_fast_keccak()
    key = coincurve.PrivateKey()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if password is None:
            document = eth_keyfile.create_keyfile_json(
                key.secret, _folder_password(path.parent).encode(), kdf="pbkdf2", iterations=1
            )
        else:
            document = eth_keyfile.create_keyfile_json(key.secret, password.encode(), kdf="scrypt")
        _write_new(path, json.dumps(document, indent=2) + "\n")
    except FileExistsError as exc:
        raise ConfigurationError(
            f"the keystore {path} exists already; it is not replaced: "
            "use it, or choose another name"
        ) from exc
    except OSError as exc:
        raise ConfigurationError(f"the keystore {path} can't be written: {exc.strerror}") from exc
    return _address_of(key)


def _folder_password(folder: Path) -> str:
    file = folder / PASSWORD_FILE
    with contextlib.suppress(FileExistsError):  # made earlier, or just now by another process
        _write_new(file, secrets.token_hex(32) + "\n")
    return file.read_text("ascii").strip()


def _write_new(path: Path, text: str) -> None:
    """Make a whole file of mode 0600, durably; FileExistsError if it exists."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)  # unlike a rename, this never replaces a file
    finally:
        temporary.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(path: Path, password: str | None) -> coincurve.PrivateKey:
    import coincurve

    with unchanged_recursion_limit():
        import eth_keyfile

    try:
        document: dict[str, Any] = json.loads(path.read_text("utf-8"))
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            logger.warning("the keystore %s can be read by others; mend it by chmod 600", path)
    except FileNotFoundError as exc:
        raise ConfigurationError(
            f"the keystore {path} is missing; restore it from your backup"
        ) from exc
    except OSError as exc:
        raise ConfigurationError(f"the keystore {path} can't be read: {exc.strerror}") from exc
    except (ValueError, RecursionError) as exc:
        raise ConfigurationError(f"the keystore {path} is damaged: it is no JSON") from exc
    if not isinstance(document, dict) or document.get("version") != 3:
        raise ConfigurationError(f"{path} is no keystore of version 3")
    if password is None:
        password = _read_password(path)
    prefer_fast_keccak()
    try:
        secret = eth_keyfile.decode_keyfile_json(document, password.encode())
        key = coincurve.PrivateKey(secret)
    except Exception as exc:  # eth_keyfile trusts what is in the file and stumbles in many ways
        raise ConfigurationError(
            f"the keystore {path} can't be unlocked: wrong password, or a damaged file"
        ) from exc
    stated = str(document.get("address", "")).removeprefix("0x").lower()
    if stated and stated != _address_of(key).hex():
        raise ConfigurationError(
            f"the keystore {path} says it is the key of 0x{stated}, "
            f"but holds the key of {to_hex(_address_of(key))}"
        )
    return key


def _read_password(keystore: Path) -> str:
    file = keystore.parent / PASSWORD_FILE
    try:
        return file.read_text("utf-8").strip()
    except OSError as exc:
        raise ConfigurationError(
            f"no password was given for the keystore {keystore}, "
            f"and {file} can't be read: {exc.strerror}"
        ) from exc
    except ValueError:  # without the cause: its text shows bytes of the file
        raise ConfigurationError(
            f"no password was given for the keystore {keystore}, and {file} is damaged; "
            "restore it from your backup"
        ) from None


def _address_of(key: coincurve.PrivateKey) -> Address:
    return Address(keccak256(key.public_key.format(compressed=False)[1:])[12:])
