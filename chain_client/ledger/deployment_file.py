"""The deployment's file, ``deployment.json`` in the home. How it comes there: `deployment`."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chain_client.errors import (
    ConfigurationError,
    HomeMissing,
    HomeNotWritable,
    InvalidInput,
    SchemaTooNew,
)
from chain_client.ledger.expected import ExpectedChain
from chain_client.types import Address, Digest, LogId, from_hex, to_hex

SCHEMA_VERSION = 2
"""Version of the file's format. Version 1 knew no registry."""
_OF_REGISTRY = ("registry_code_hash", "registry_salt_hash", "registry_block", "timelock")


@dataclass(frozen=True, slots=True)
class Deployment:
    """What was deployed for a home.

    Args:
        deployment_id: 32 hex digits; stands in every database that records into the home.
        ledger_url: where the chain is; the path of ``embedded:`` is relative to the home.
        chain_id: the chain's id.
        event_log: address of the contract.
        code_hash: keccak-256 of its runtime code.
        log_id: the log that was opened in it.
        owner: address that deployed the contract.
        writer: address for which the log was opened; it may have been rotated since.
        block_number: block in which the log was opened.
        registry: address of the `ModelRegistry`; None if the home has none yet.
        registry_code_hash: keccak-256 of its runtime code, which holds the next.
        registry_salt_hash: keccak-256 of the salt that the registry was deployed with.
        registry_block: block in which it was deployed.
        timelock: address of the `TimelockController` that administers it, if one does.
    """

    deployment_id: str
    ledger_url: str
    chain_id: int
    event_log: Address
    code_hash: Digest
    log_id: LogId
    owner: Address
    writer: Address
    block_number: int
    registry: Address | None = None
    registry_code_hash: Digest | None = None
    registry_salt_hash: Digest | None = None
    registry_block: int | None = None
    timelock: Address | None = None

    def to_json(self) -> str:
        """The file's content."""
        content = {
            "schema_version": SCHEMA_VERSION,
            "deployment_id": self.deployment_id,
            "ledger_url": self.ledger_url,
            "chain_id": self.chain_id,
            "event_log": to_hex(self.event_log),
            "code_hash": to_hex(self.code_hash),
            "log_id": to_hex(self.log_id),
            "owner": to_hex(self.owner),
            "writer": to_hex(self.writer),
            "block_number": self.block_number,
            "registry": self.registry and to_hex(self.registry),
            "registry_code_hash": self.registry_code_hash and to_hex(self.registry_code_hash),
            "registry_salt_hash": self.registry_salt_hash and to_hex(self.registry_salt_hash),
            "registry_block": self.registry_block,
            "timelock": self.timelock and to_hex(self.timelock),
        }
        return json.dumps(content, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Deployment:
        """The deployment that `to_json` wrote.

        Raises:
            SchemaTooNew: a newer version of mlops-chain wrote it.
            ConfigurationError: it is damaged; the text names what is wrong.
        """
        try:
            content = json.loads(text)
        except ValueError as exc:
            raise ConfigurationError("the deployment is damaged: it is no JSON") from exc
        if not isinstance(content, dict):
            raise ConfigurationError("the deployment is damaged: it is no JSON object")
        version = _integer(content, "schema_version")
        if version > SCHEMA_VERSION:
            raise SchemaTooNew(
                f"the deployment has schema version {version}, this mlops-chain knows up to "
                f"{SCHEMA_VERSION}: upgrade it with pip install -U mlops-chain"
            )
        deployment = cls(
            deployment_id=_string(content, "deployment_id"),
            ledger_url=_string(content, "ledger_url"),
            chain_id=_integer(content, "chain_id"),
            event_log=Address(_bytes(content, "event_log", 20)),
            code_hash=Digest(_bytes(content, "code_hash", 32)),
            log_id=LogId(_bytes(content, "log_id", 32)),
            owner=Address(_bytes(content, "owner", 20)),
            writer=Address(_bytes(content, "writer", 20)),
            block_number=_integer(content, "block_number"),
        )
        if version == 1:
            return deployment
        for name in ("registry", *_OF_REGISTRY):
            if name not in content:
                raise ConfigurationError(f"the deployment is damaged: {name!r} is missing")
        return deployment._with_registry(content)

    def _with_registry(self, content: dict[str, Any]) -> Deployment:
        if content["registry"] is None:
            for name in _OF_REGISTRY:
                if content[name] is not None:
                    raise ConfigurationError(
                        f"the deployment is damaged: {name!r} stands there without 'registry'"
                    )
            return self
        timelock = None if content["timelock"] is None else _bytes(content, "timelock", 20)
        return replace(
            self,
            registry=Address(_bytes(content, "registry", 20)),
            registry_code_hash=Digest(_bytes(content, "registry_code_hash", 32)),
            registry_salt_hash=Digest(_bytes(content, "registry_salt_hash", 32)),
            registry_block=_integer(content, "registry_block"),
            timelock=None if timelock is None else Address(timelock),
        )

    @classmethod
    def read(cls, path: Path) -> Deployment:
        """The deployment in a file.

        Raises:
            HomeMissing: there is no such file.
            SchemaTooNew: a newer version of mlops-chain wrote it.
            ConfigurationError: it can't be read or is damaged.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError as exc:
            raise HomeMissing(f"there is no deployment at {path}; run mlops-chain init") from exc
        except (OSError, ValueError) as exc:
            raise ConfigurationError(f"{path} can't be read: {exc}") from exc
        try:
            return cls.from_json(text)
        except SchemaTooNew as exc:
            raise SchemaTooNew(f"{path}: {exc}") from exc
        except ConfigurationError as exc:
            raise ConfigurationError(
                f"{path}: {exc}. Put it back from your backup, or move it away and run "
                "mlops-chain init (on a network deploy), which finds the same contract again"
            ) from exc

    def write(self, path: Path) -> None:
        """Write the file (mode 0644); after a crash it is whole, or as it was before.

        Raises:
            HomeNotWritable: it can't be written.
        """
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            try:
                descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(self.to_json())
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(path)
            finally:
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as exc:
            raise HomeNotWritable(f"{path} can't be written ({exc.strerror or exc})") from exc

    def expected(self) -> ExpectedChain:
        """What a connection to its chain is checked for."""
        code_hashes = {self.event_log: self.code_hash}
        if self.registry is not None and self.registry_code_hash is not None:
            code_hashes[self.registry] = self.registry_code_hash
        return ExpectedChain(self.chain_id, code_hashes)

    def to_absolute_url(self, home: Path) -> str:
        """The ledger's URL, with the path of ``embedded:`` taken from the home."""
        scheme, _, rest = self.ledger_url.partition(":")
        return f"{scheme}:{home / rest}" if scheme == "embedded" else self.ledger_url


def _string(content: dict[str, Any], name: str) -> str:
    value = content.get(name)
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"the deployment is damaged: {name!r} is missing or no text")
    return value


def _integer(content: dict[str, Any], name: str) -> int:
    value = content.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigurationError(f"the deployment is damaged: {name!r} is missing or no number")
    return value


def _bytes(content: dict[str, Any], name: str, size: int) -> bytes:
    try:
        return from_hex(_string(content, name), size=size)
    except InvalidInput as exc:
        raise ConfigurationError(f"the deployment is damaged: {name!r}: {exc}") from exc
