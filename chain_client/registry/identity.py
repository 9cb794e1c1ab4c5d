"""What stands on chain for models, targets, digests and groups: salted hashes.

Guarantee: without the deployment's salt nobody can tell or guess a name from what the chain shows.
The exact input of each hash is in ``docs/reference/approval-files.md``. Signatures here are stable.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from chain_client.canonical import encode
from chain_client.errors import ConfigurationError, InvalidInput
from chain_client.events import Json
from chain_client.registry.secret_file import SECRET_BYTES, create_secret, read_secret
from chain_client.registry.targets import Target
from chain_client.signing.keccak import keccak256
from chain_client.types import Digest, to_hex

ANY_MODEL = Digest(bytes(32))
"""The model under which default policies stand."""


@dataclass(frozen=True, slots=True)
class Salt:
    """The deployment's secret salt: 32 bytes that are never shown.

    Raises:
        InvalidInput: other than 32 bytes.
    """

    value: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.value) != SECRET_BYTES:
            raise InvalidInput(f"expected a salt of {SECRET_BYTES} bytes, got {len(self.value)}")

    @classmethod
    def create(cls) -> Salt:
        """A new random salt."""
        return cls(secrets.token_bytes(SECRET_BYTES))

    def hash(self) -> Digest:
        """keccak-256 of the salt, which the contract holds as ``SALT_HASH``."""
        return Digest(keccak256(self.value))

    def check(self, salt_hash: bytes) -> None:
        """See that this is the salt of a contract.

        Raises:
            ConfigurationError: the contract was deployed with another one.
        """
        if self.hash() != salt_hash:
            raise ConfigurationError(
                "the salt in the home is not the one that the ModelRegistry was deployed with "
                f"(its hash is {to_hex(self.hash())}, the contract's {to_hex(salt_hash)}): put "
                "keys/registry-salt back from your backup"
            )


def read_salt(path: Path) -> Salt:
    """The salt in a file of 64 hex digits.

    Raises:
        ConfigurationError: the file is missing, can't be read or holds something else.
    """
    return Salt(read_secret(path))


def create_salt(path: Path) -> Salt:
    """The salt in a file, made if there is none; whole or not at all, and never replaced.

    Raises:
        ConfigurationError: the file is there and damaged.
        HomeNotWritable: the file can't be written.
    """
    return Salt(create_secret(path))


def model_id(salt: Salt, store_id: str, workspace: str, name: str, creation_ms: int) -> Digest:
    """What stands on chain for one incarnation of a registered model.

    Args:
        salt: the deployment's.
        store_id: of the host's database.
        workspace: of the model; empty where there are none.
        name: of the registered model.
        creation_ms: when the host made the registered model; deleting it and making it again, a
            rename or a move give another incarnation.
    """
    return _mac(salt, ["model", store_id, workspace, name, creation_ms])


def target_id(salt: Salt, target: Target | str) -> Digest:
    """What stands on chain for an alias or a stage.

    Raises:
        InvalidInput: a text that is no target.
    """
    parsed = Target.parse(target) if isinstance(target, str) else target
    return _mac(salt, ["target", str(parsed)])


def digest_commitment(salt: Salt, model: bytes, version: int, model_digest: bytes) -> Digest:
    """What stands on chain for the bytes of a version.

    Args:
        salt: the deployment's.
        model: as `model_id` gave it.
        version: number of the version.
        model_digest: SHA-256 of the manifest of the version's files.
    """
    return _mac(salt, ["digest", to_hex(model), version, to_hex(model_digest)])


def group_id(salt: Salt, name: str) -> Digest:
    """What stands on chain for a group of approvers.

    Raises:
        InvalidInput: an empty name.
    """
    if not name:
        raise InvalidInput("a group's name can't be empty")
    return _mac(salt, ["group", name])


def _mac(salt: Salt, value: list[Json]) -> Digest:
    """HMAC-SHA-256 (RFC 2104) under the salt, of canonical JSON (RFC 8785)."""
    return Digest(hmac.digest(salt.value, encode(value), "sha256"))
