"""The registry of a home as it is now: its deployment, its salt, its chain and its snapshot."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, cast

from chain_client.clock import Clock
from chain_client.config import Settings
from chain_client.errors import ChainError, ConfigurationError
from chain_client.forking import ForkableLock
from chain_client.gate.chain_state import ChainState
from chain_client.gate.sealed_file import Seal
from chain_client.gate.snapshot import Snapshot
from chain_client.gate.snapshot_file import SnapshotFile
from chain_client.home import Home
from chain_client.registry.identity import Salt, read_salt

if TYPE_CHECKING:
    from chain_client.ledger.base import BlockTag, Ledger
    from chain_client.ledger.deployment_file import Deployment

_logger = logging.getLogger(__name__)


class RegistryOfHome:
    """What the gate needs of a home. Threads and forked children may share an instance.

    Args:
        settings: of the home.
        deployment: of the home; its file is looked at again when it changes, so that a process
            that runs takes in a registry that the home is given.
        ledger: the chain.
        clock: local time.
    """

    def __init__(
        self, settings: Settings, deployment: Deployment, ledger: Ledger, clock: Clock
    ) -> None:
        self._settings = settings
        self._home = Home(settings.home)
        self._deployment = deployment
        self._ledger = ledger
        self._clock = clock
        self._lock = ForkableLock()
        self._file = SnapshotFile(self._home.gate_snapshot, Seal(self._home.gate_seal))
        self._deployment_version: tuple[int, int] | None = None
        self._known_salt: Salt | None = None
        self._chain: ChainState | None = None

    def chain(self) -> ChainState | None:
        """How the registry is read; None while the home has none."""
        with self._lock.held():
            self._follow_deployment()
            deployment = self._deployment
            if self._chain is None and deployment.registry is not None:
                assert deployment.registry_code_hash is not None
                assert deployment.registry_block is not None
                self._chain = ChainState(
                    self._ledger,
                    chain_id=deployment.chain_id,
                    registry=deployment.registry,
                    code_hash=deployment.registry_code_hash,
                    registry_block=deployment.registry_block,
                    finality=cast("BlockTag", self._settings.gate_finality),
                    salt=self.salt,
                    file=self._file,
                    clock=self._clock,
                )
            return self._chain

    def salt(self) -> Salt:
        """The salt that the registry was deployed with.

        Raises:
            ConfigurationError: it is missing or another one, or there is no registry.
        """
        with self._lock.held():
            if self._known_salt is None:
                expected = self._deployment.registry_salt_hash
                if expected is None:
                    raise ConfigurationError("the home has no registry yet")
                salt = read_salt(self._home.registry_salt)
                salt.check(expected)
                self._known_salt = salt
            return self._known_salt

    def is_unnamed(self) -> bool:
        """Whether the home had a registry, and its deployment names none: it is an older one."""
        with self._lock.held():
            self._follow_deployment()
            return self._deployment.registry is None and self._home.had_registry()

    def remembered(self) -> Snapshot | None:
        """The registry as it was last seen, by this process or another, if that can be trusted
        and is of this deployment."""
        with self._lock.held():
            known = None if self._chain is None else self._chain.last_seen
        of = (self._deployment.chain_id, self._deployment.registry)
        try:
            found = self._file.read_newest()
        except ConfigurationError as exc:
            _logger.warning("the gate's snapshot can't be used: %s", exc)
            return known
        if found is None or (found.chain_id, found.registry) != of:
            return known
        return known if known and known.block.number >= found.block.number else found

    def _follow_deployment(self) -> None:
        from chain_client.ledger.deployment_file import Deployment

        path = self._home.deployment_file
        try:
            stat = path.stat()
            version = (stat.st_ino, stat.st_mtime_ns)
            if version == self._deployment_version:
                return
            found = Deployment.read(path)
        except (OSError, ChainError) as exc:
            _logger.warning("the deployment can't be read again: %s", exc)
            return
        self._deployment_version = version
        known = self._deployment
        if found == known or found.deployment_id != known.deployment_id:
            return
        if known.registry is not None and found.registry is None:
            _logger.warning("the deployment no longer names a registry; the known one still counts")
            return
        self._deployment, self._chain, self._known_salt = found, None, None
