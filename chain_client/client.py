"""`ChainClient`: the one door that adapters and the CLI use."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from chain_client import records
from chain_client.config import CONFIG_FILE, Settings
from chain_client.errors import (
    ChainError,
    ConfigurationError,
    HomeMismatch,
    HomeMissing,
    Unavailable,
)
from chain_client.home import Home
from chain_client.hosts import Host, Progress, Scope, StoreBinding, load_host
from chain_client.owners import is_shared
from chain_client.plugin_host import own_plugins_first
from chain_client.recorder import Recorder
from chain_client.relay.starter import RelayStarter
from chain_client.spool import Durability, SpoolWriter
from chain_client.types import to_hex

if TYPE_CHECKING:
    from chain_client.cross.place import CrossPlace
    from chain_client.gate.gate import Gate
    from chain_client.ledger.base import Ledger
    from chain_client.ledger.deployment import Deployment
    from chain_client.ledger.event_log import EventLogContract
    from chain_client.ledger.model_registry import ModelRegistryContract
    from chain_client.log import Log
    from chain_client.registry.client import RegistryClient
    from chain_client.registry.decision_watch import DecisionWatch
    from chain_client.registry.identity import Salt
    from chain_client.relay.service import Relay
    from chain_client.sync.report import SyncReport
    from chain_client.verify.report import Report

_logger = logging.getLogger(__name__)

_OPEN_PATIENCE_S = 2.0
"""How long opening waits for a locked chain or log: training is not held up for long."""

_recorders: dict[tuple[int, Path], Recorder] = {}
_recorders_lock = threading.Lock()
_away: dict[Path, str] = {}
"""Why chain or log of a home did not answer when this process opened it last: said once."""


def _renew_lock() -> None:
    """In a forked child: a thread that does not exist here may hold the inherited one."""
    global _recorders_lock
    _recorders_lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


class ChainClient:
    """A home, opened: its deployment, recorder, log, chain and verification.

    Guarantee: `open` has checked that home, database, chain and contract belong together, as
    far as they could be reached; recording through `recorder` then needs none of them.

    Args:
        settings: where everything is.
        deployment: what was deployed for this home.
    """

    def __init__(self, settings: Settings, deployment: Deployment) -> None:
        self.settings = settings
        self.deployment = deployment
        self.folder = Home(settings.home, settings.spool_path)
        self._is_hosts = False

    @classmethod
    def open(
        cls,
        settings: Settings | None = None,
        *,
        create: bool = False,
        expected_deployment_id: str | None = None,
    ) -> ChainClient:
        """Open a home, in a process that is a host's: no foreign plugin is imported without need.

        Args:
            settings: default: those of the environment and the current folder.
            create: make the home, its keys, the embedded chain and the contract if missing.
            expected_deployment_id: what the host's database says it belongs to.

        Raises:
            HomeMissing: there is no home, and none may be made here.
            HomeMismatch: the home belongs to another deployment.
            HomeNotWritable: the home, or its spool, can't be written.
            SchemaTooNew: the home was written by a newer version.
            WrongChain: the ledger is another chain.
            ContractMissing: a contract is not at its address.
            LogMismatch: log and chain contradict each other.
            ConfigurationError: a setting leads elsewhere than the deployment.
        """
        with own_plugins_first():
            client = cls._open(settings, create, expected_deployment_id)
        client._is_hosts = True
        return client

    @classmethod
    def _open(
        cls, settings: Settings | None, create: bool, expected_deployment_id: str | None
    ) -> ChainClient:
        from chain_client.ledger.deployment import Deployment

        chosen = settings or Settings.from_environment(os.environ, Path.cwd())
        home = Home(chosen.home, chosen.spool_path)
        if not home.exists():
            if not create or expected_deployment_id is not None:
                raise HomeMissing(_missing(chosen, expected_deployment_id))
            from chain_client.provision import provision

            deployment = provision(chosen)
            _logger.warning(
                "mlops-chain: made the home %s (chain %d, EventLog %s)",
                home.path,
                deployment.chain_id,
                to_hex(deployment.event_log),
            )
            return cls(chosen, deployment)
        deployment = Deployment.read(home.deployment_file)
        if expected_deployment_id not in (None, deployment.deployment_id):
            raise HomeMismatch(
                f"the home {home.path} is of deployment {deployment.deployment_id}, but the "
                f"database belongs to {expected_deployment_id}: set MLOPS_CHAIN_HOME to the home "
                "that was used when this database was first recorded"
            )
        home.create_folders()
        client = cls(chosen, deployment)
        client._check_evidence()
        return client

    @property
    def home(self) -> Path:
        """The home folder."""
        return self.settings.home

    @property
    def deployment_id(self) -> str:
        """Id of this deployment; stands in every database that records here."""
        return self.deployment.deployment_id

    @property
    def recorder(self) -> Recorder:
        """The recorder of this process for this home; every store of the process shares it."""
        key = (os.getpid(), self.folder.spool)
        with _recorders_lock:
            recorder = _recorders.get(key)
            if recorder is None:
                recorder = _recorders[key] = self._make_recorder()
            return recorder

    def bind_store(self, binding: StoreBinding) -> None:
        """Remember how the relay reaches a host's database.

        Raises:
            HomeNotWritable: the home can't be written.
        """
        self.folder.put_store(binding)

    @cached_property
    def log(self) -> Log:
        """The log; its schema is checked when it is first used.

        Raises:
            SchemaTooNew: a newer version wrote it.
            LogUnavailable: the database does not answer.
        """
        from chain_client.log import Log
        from chain_client.log.payload_place import PayloadPlace

        url = self.settings.resolve_url(self.settings.log_url)
        log = Log(url, payloads=PayloadPlace.of(self.settings))
        log.check_schema()
        return log

    @cached_property
    def ledger(self) -> Ledger:
        """The chain; not yet connected.

        Raises:
            ConfigurationError: `ledger.url` is not set, but the deployment is on a network.
        """
        from chain_client.ledger import open_ledger

        self._check_url()
        with own_plugins_first() if self._is_hosts else contextlib.nullcontext():
            return open_ledger(self.settings, expected=self.deployment.expected())

    @cached_property
    def contract(self) -> EventLogContract:
        """The deployed `EventLog`."""
        from chain_client.ledger.event_log import EventLogContract

        return EventLogContract(self.ledger, self.deployment.event_log)

    @cached_property
    def model_registry(self) -> ModelRegistryContract:
        """The deployed `ModelRegistry`.

        Raises:
            ConfigurationError: the home has no registry yet.
        """
        from chain_client.ledger.model_registry import ModelRegistryContract

        if self.deployment.registry is None:
            raise _no_registry(self.home)
        return ModelRegistryContract(self.ledger, self.deployment.registry)

    @cached_property
    def registry(self) -> RegistryClient:
        """Decides about models: proposes, approves, promotes, administers.

        Raises:
            SchemaTooNew: a newer version wrote the log.
            LogUnavailable: the log's database does not answer.
        """
        from chain_client.registry.client import RegistryClient

        return RegistryClient(
            self.settings,
            self.deployment,
            self.ledger,
            self.log,
            self.home,
            lambda: self.recorder,
        )

    def watch_decisions(self) -> DecisionWatch:
        """Looks at what is decided in the registry; nothing is read yet but the salt.

        Raises:
            ConfigurationError: the home has no registry yet, or another one's salt.
            LogUnavailable: the log's database does not answer.
        """
        from chain_client.registry.decision_watch import DecisionWatch
        from chain_client.registry.decisions import Place

        contract = self.model_registry
        return DecisionWatch(
            Place(self.deployment.chain_id, contract.address),
            contract,
            self.ledger,
            self.deployment.registry_block or 0,
            self.log,
            self.salt,
        )

    @cached_property
    def gate(self) -> Gate:
        """Says whether a change of a host agrees with the registry; no I/O until it is asked."""
        from chain_client.gate.gate import Gate

        return Gate(self.settings, self.deployment, self.ledger)

    @cached_property
    def salt(self) -> Salt:
        """The salt under which models and targets stand in the registry; checked, without a chain.

        Raises:
            ConfigurationError: the home has no registry yet, or its salt is missing, damaged or
                not the one that the registry was deployed with.
        """
        from chain_client.registry.identity import read_salt

        if self.deployment.registry_salt_hash is None:
            raise _no_registry(self.home)
        salt = read_salt(self.folder.registry_salt)
        salt.check(self.deployment.registry_salt_hash)
        return salt

    def provide_registry(
        self,
        *,
        timelock_delay_s: int | None = None,
        told: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Give a home of an earlier version its registry, and the registry its timelock.

        Safe to call at any time; nothing is done where nothing is missing.

        Args:
            timelock_delay_s: how long changes of policies and rights have to wait; by default
                who administers the registry stays as it is.
            told: what was done, in words; on a network finality may take minutes.

        Raises:
            ConfigurationError: the home's salt is missing, or its owner is no admin any more.
            AnotherRelay: another process sends with the owner's key.
            Unavailable: chain or log do not answer.
        """
        from chain_client.provision import provision_registry

        self.deployment = provision_registry(self.settings, self.deployment, timelock_delay_s, told)
        for name in ("model_registry", "registry", "gate", "salt"):
            self.__dict__.pop(name, None)

    def relay(self, load: Callable[[str], Host] = load_host) -> Relay:
        """A relay for this home, not yet started.

        Args:
            load: gives adapters by name; by default those that are installed.
        """
        from chain_client.relay.assembly import assemble_relay

        # A source of its own: the relay closes it whenever it has nothing more to record.
        records = cache(lambda: self._make_recorder(starts_relay=False))
        return assemble_relay(
            self.settings,
            self.log,
            self.ledger,
            self.deployment,
            load,
            records,
            lambda: self.recorder,
        )

    def sync(self, *, dry_run: bool = False, load: Callable[[str], Host] = load_host) -> SyncReport:
        """Promote what is approved, and make hosts equal to the registry.

        Args:
            dry_run: only say what would be done.
            load: gives adapters by name; by default those that are installed.

        Raises:
            ConfigurationError: the home has no registry yet, or a key or the salt is missing.
            LedgerUnavailable: the chain does not answer.
            LogUnavailable: the log does not answer.
        """
        from chain_client.sync.syncing import Syncer

        syncer = Syncer(
            self.settings, self.deployment, self.ledger, self.log, load, lambda: self.recorder
        )
        report = syncer.run(dry_run=dry_run)
        if report.has_recorded and not dry_run:
            self.recorder.close()
        return report

    def verify(
        self,
        scope: Scope,
        *,
        bindings: list[StoreBinding] | None = None,
        everything: bool | None = None,
        progress: Progress | None = None,
        cross_file: Path | None = None,
    ) -> Report:
        """Compare chain, log, spool and the hosts' entities.

        Args:
            scope: what to compare in the hosts.
            bindings: the databases; default: all that record here.
            everything: whether to name stores of the log that are not among them; default: only
                if none are given.
            progress: told how far long steps are.
            cross_file: the verifier's own copy of ``cross-deployment.json``; default: the home's.
        """
        from chain_client.verify import Evidence, read_spooled, verify

        evidence = Evidence(
            deployment=self.deployment,
            ledger=self.ledger,
            log=self.log,
            spooled=lambda: read_spooled(
                self.folder.spool, self.log, self.deployment_id, inbox=self.settings.inbox_path
            ),
            bindings=self.folder.bindings() if bindings is None else bindings,
            load_host=load_host,
            everything=bindings is None if everything is None else everything,
            salt=(lambda: self.salt) if self._has_or_had_registry() else None,
            cross=lambda: self.find_cross_place(cross_file),
            ingester_id=self.folder.known_ingester_id(),
            patience_s=self.settings.relay_lease_s / 3 + 5,
        )
        return verify(evidence, scope, progress or (lambda what, done, total: None))

    def find_cross_place(self, file: Path | None = None) -> CrossPlace | None:
        """The second chain, on which heads are anchored too; None if there is none.

        Args:
            file: another copy of ``cross-deployment.json`` than the home's.

        Raises:
            ConfigurationError: its setting or its file is missing, or is another home's.
        """
        from chain_client.cross.place import find_place

        return find_place(self.settings, self.deployment, file)

    def _has_or_had_registry(self) -> bool:
        return self.deployment.registry is not None or self.folder.had_registry()

    def close(self) -> None:
        """Release log and chain; the recorder stays, it is the process's."""
        for name in ("log", "ledger"):
            if name in self.__dict__:
                self.__dict__.pop(name).close()
        for name in ("contract", "model_registry", "gate"):
            self.__dict__.pop(name, None)

    def _make_recorder(self, *, starts_relay: bool = True) -> Recorder:
        settings = self.settings
        spool = SpoolWriter(
            self.folder.spool,
            opening=lambda: records.encode_opening(self.deployment_id),
            closing=records.encode_closing,
            durability=Durability(settings.spool_durability),
            segment_bytes=settings.spool_segment_bytes,
            is_shared=self.folder.shares_spool or is_shared(self.folder.spool),
        )
        after: Callable[[], None] | None = None
        # What reads a folder that homes share is a service on one of their machines.
        if settings.relay_autostart and starts_relay and not self.folder.shares_spool:
            after = RelayStarter(self.home, self.folder.relay_lock, self.folder.relay_log).ensure
        return Recorder(spool, refuse=settings.spool_on_error == "refuse", after_append=after)

    def _check_url(self) -> None:
        """See that a deployment on a network is not looked for in a file, by the default."""
        url = self.deployment.ledger_url
        if self.settings.names_network or url.startswith("embedded:"):
            return
        raise ConfigurationError(
            f"the home {self.home} is deployed on chain {self.deployment.chain_id}, but ledger.url "
            f"names no network: set ledger.url to your endpoint of that chain (it was {url}), in "
            f"{self.home / CONFIG_FILE} or by MLOPS_CHAIN_LEDGER_URL"
        )

    def _check_evidence(self) -> None:
        """See that chain, contract and log belong together, as far as they answer now."""
        from chain_client.head_check import read_checked_head
        from chain_client.ledger import open_ledger
        from chain_client.ledger.deployment import check_deployment
        from chain_client.ledger.event_log import EventLogContract
        from chain_client.log import Log

        settings = self.settings
        self._check_url()
        log = Log(settings.resolve_url(settings.log_url), timeout_s=_OPEN_PATIENCE_S)
        ledger = open_ledger(
            settings, expected=self.deployment.expected(), timeout_s=_OPEN_PATIENCE_S
        )
        try:
            log.check_schema()
            check_deployment(ledger, self.deployment)
            contract = EventLogContract(ledger, self.deployment.event_log)
            read_checked_head(log, contract, self.deployment.log_id)
        except Unavailable as exc:
            # Who waits for a chain opens the home again and again.
            if _away.get(self.home) != str(exc):
                _away[self.home] = str(exc)
                _logger.warning(
                    "chain or log do not answer (%s); recording goes on, and the backlog waits in "
                    "the spool",
                    exc,
                )
        else:
            _away.pop(self.home, None)
        finally:
            log.close()
            ledger.close()


def _missing(settings: Settings, expected: str | None) -> str:
    if expected is not None:
        return (
            f"the database belongs to deployment {expected}, but there is no home at "
            f"{settings.home}: set MLOPS_CHAIN_HOME to the home that was used when it was first "
            "recorded (a new, empty chain is never started in its place)"
        )
    return f"{no_home(settings)}, or set MLOPS_CHAIN_HOME"


def no_home(settings: Settings) -> str:
    """That there is no home, and which command makes one, as the beginning of a sentence."""
    if not settings.names_network:
        return f"there is no home at {settings.home}: run `mlops-chain init`"
    return (
        f"there is no home at {settings.home} yet, as nothing of it is deployed: ledger.url names "
        "a network, so run `mlops-chain deploy`, or `mlops-chain join` for a deployment that stands"
    )


def _no_registry(home: Path) -> ConfigurationError:
    return ConfigurationError(f"the home {home} has no model registry yet: run mlops-chain init")


__all__ = ["ChainClient", "ChainError"]
