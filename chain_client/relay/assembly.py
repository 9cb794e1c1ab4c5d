"""Putting a relay together from the parts of a home."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from chain_client.clock import SystemClock
from chain_client.config import Settings
from chain_client.errors import AnotherRelay
from chain_client.home import Home
from chain_client.hosts import Host
from chain_client.ledger import open_ledger
from chain_client.ledger.base import Ledger
from chain_client.ledger.deployment import Deployment
from chain_client.ledger.event_log import EventLogContract, explain
from chain_client.log import Lease, Log
from chain_client.relay.anchor import Anchorer
from chain_client.relay.anchoring import Anchoring
from chain_client.relay.announcing_assembly import make_announcer
from chain_client.relay.companions import Companions
from chain_client.relay.cross_assembly import make_cross_anchorer
from chain_client.relay.day_book import DayBook
from chain_client.relay.figures import Tally
from chain_client.relay.held_lease import HeldLease
from chain_client.relay.inbox_assembly import make_inbox
from chain_client.relay.ingest import Ingester
from chain_client.relay.intake import Intake
from chain_client.relay.older_log import OlderLog, compare_with_chain
from chain_client.relay.other_senders import OtherSenders
from chain_client.relay.pace import RelaySettings
from chain_client.relay.purse import Purse
from chain_client.relay.read_back import ReadBack, Records
from chain_client.relay.registry_sync import HostRecords, RegistrySync
from chain_client.relay.resolving import Resolver
from chain_client.relay.service import Relay
from chain_client.relay.standing_by import StandingBy
from chain_client.relay.tenure import Tenure
from chain_client.relay.watch import Watch
from chain_client.signing import open_signer
from chain_client.sync.syncing import Syncer
from chain_client.transactions import TransactionLimits, TransactionQueue, key_lease_name

_LOOK_S = 0.4
"""Between two looks at an embedded chain."""
_REMOTE_LOOK_S = 2.0
"""Between two looks at a node that may be paid by the question."""
_RETRY_MAX_S = 5.0
_REMOTE_RETRY_MAX_S = 30.0
"""Longest pause before a chain in trouble is tried again."""


def assemble_relay(
    settings: Settings,
    log: Log,
    ledger: Ledger,
    deployment: Deployment,
    load_host: Callable[[str], Host],
    records: Callable[[], Records],
    recorder: Callable[[], HostRecords],
) -> Relay:
    """A relay for a home, not yet started.

    Args:
        settings: of the home.
        log: the home's log.
        ledger: the home's chain.
        deployment: what was deployed there.
        load_host: gives adapters by name.
        records: gives the recorder of what the relay itself has to record.
        recorder: gives the process's recorder, which what sync sets in a host goes through.
    """
    home, clock = Home(settings.home, settings.spool_path), SystemClock()
    is_embedded = settings.ledger_url.startswith("embedded:")

    def make_anchorer(relay_lease: Lease) -> Anchorer:
        signer = open_signer(settings.log_writer, base=home.path)
        # Only the holder of the relay's lease comes here, so an older holder of the key is
        # out of date: its token is refused from now on.
        key = HeldLease(log, key_lease_name(signer.address()), settings.relay_lease_s, clock)
        key.take(relay_lease.holder, lambda holder: True)
        try:
            # One that slept since it had the lease gives the key to its successor at once.
            log.renew(relay_lease, settings.relay_lease_s)
        except AnotherRelay:
            key.give_back()
            raise
        queue = TransactionQueue(
            log.engine,
            ledger,
            signer,
            lease=key.get,
            chain_id=deployment.chain_id,
            explain=explain,
            alarm=log.raise_alarm,
            clear_alarm=log.clear_alarm,
            limits=TransactionLimits.from_settings(settings),
        )
        contract = EventLogContract(ledger, deployment.event_log)
        return Anchorer(
            log,
            contract,
            deployment.log_id,
            queue,
            settings.relay_max_batch,
            settings.relay_max_batch if is_embedded else settings.relay_catch_up_batch,
            key,
        )

    def may_anchor() -> bool:
        return settings.relay_anchor == "auto" and home.has_key(settings.log_writer)

    pace, tally = make_pace(settings), Tally()
    purse: Purse | None = None
    if not is_embedded:
        purse = Purse(
            ledger,
            deployment.writer,
            settings.relay_alarm_anchors,
            clock,
            log.raise_alarm,
            log.clear_alarm,
        )
    resolver = Resolver(home.bindings, load_host)
    older_log = OlderLog(
        lambda: compare_with_chain(log, ledger, deployment),
        log.raise_alarm,
        clock,
        in_background=not is_embedded,
    )

    def make_ingester(folder: Path, *, parcels: bool) -> Ingester:
        return Ingester(
            log,
            folder,
            resolver,
            clock,
            log.raise_alarm,
            log.clear_alarm,
            deployment_id=deployment.deployment_id,
            lease_s=settings.relay_lease_s,
            may_remove=older_log.agrees,
            keep=tenure.keep,
            parcels=parcels,
        )

    tenure = Tenure(
        home,
        log,
        StandingBy(log, settings.relay_lease_s, clock, may_anchor),
        settings.relay_lease_s,
        clock,
        older_log,
    )
    return Relay(
        home,
        log,
        Intake(
            home.spool,
            make_ingester(home.spool, parcels=False),
            make_inbox(settings, log, clock, make_ingester(settings.inbox_path, parcels=True)),
        ),
        tenure,
        Anchoring(log, make_anchorer, pace, clock, DayBook(clock), tally, purse),
        Companions(
            read_back=ReadBack(home, log, load_host, records, clock),
            registry_sync=_make_sync(settings, log, deployment, load_host, recorder),
            cross=make_cross_anchorer(settings, log, deployment, clock),
            others=None
            if is_embedded
            else OtherSenders(log, ledger, deployment.chain_id, deployment.writer, clock),
            announcer=make_announcer(settings, log, deployment, tally, clock),
        ),
        Watch(log, clock, settings.relay_alarm_age_s),
        tally,
        pace,
        clock,
    )


def make_pace(settings: Settings) -> RelaySettings:
    """How a relay paces itself on the chain of these settings."""
    is_embedded = settings.ledger_url.startswith("embedded:")
    return RelaySettings(
        lease_s=settings.relay_lease_s,
        max_batch=settings.relay_max_batch,
        max_wait_s=settings.relay_max_wait_s if is_embedded else settings.relay_max_wait_rpc_s,
        idle_s=settings.relay_idle_s,
        look_s=_LOOK_S if is_embedded else _REMOTE_LOOK_S,
        retry_max_s=_RETRY_MAX_S if is_embedded else _REMOTE_RETRY_MAX_S,
        in_background=not is_embedded or not settings.log_writer.startswith("keystore:"),
    )


def _make_sync(
    settings: Settings,
    log: Log,
    deployment: Deployment,
    load_host: Callable[[str], Host],
    recorder: Callable[[], HostRecords],
) -> RegistrySync | None:
    if deployment.registry is None:
        return None
    home = Home(settings.home)

    def open_syncer() -> Syncer:
        # A connection of its own: it is used in another thread than the relay's.
        ledger = open_ledger(settings, expected=deployment.expected())
        return Syncer(settings, deployment, ledger, log, load_host, recorder)

    def find_lack() -> str | None:
        if home.registry_salt.exists() or not home.is_joined():
            return None
        return (
            "it was joined without the deployment's salt. Give it by `mlops-chain join FILE --salt "
            "SALT` if this machine is to sync, or set registry.sync = false"
        )

    is_embedded = settings.ledger_url.startswith("embedded:")
    return RegistrySync(
        home,
        open_syncer if settings.registry_sync else None,
        find_lack,
        lambda: recorder().close(),
        log,
        _LOOK_S if is_embedded else _REMOTE_LOOK_S,
    )
