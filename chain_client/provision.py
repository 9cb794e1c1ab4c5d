"""Making a home whole, and putting a relay together from it."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from chain_client.clock import SystemClock
from chain_client.config import Settings
from chain_client.errors import ConfigurationError
from chain_client.home import Home
from chain_client.hosts import Host, load_host
from chain_client.ledger import create_embedded, open_ledger
from chain_client.ledger.deployment import Deployment, deploy
from chain_client.ledger.event_log import explain
from chain_client.log import Lease, Log
from chain_client.relay.anchor import Anchorer
from chain_client.relay.ingest import Ingester
from chain_client.relay.resolving import Resolver
from chain_client.relay.service import Relay, RelaySettings
from chain_client.signing import create_keystore, open_signer
from chain_client.transactions import TransactionQueue, key_lease_name
from chain_client.types import Address, to_hex

if TYPE_CHECKING:
    from chain_client.client import ChainClient

_logger = logging.getLogger(__name__)

OWNER_KEY = "keystore:keys/owner.json"
"""Deploys the contract, opens logs and rotates their writer."""
WRITER_KEY = "keystore:keys/log-writer.json"
"""Anchors heads; the relay's only key."""
_EMBEDDED = "embedded:"
_DEPLOY_LEASE_S = 120.0


def provision(settings: Settings) -> Deployment:
    """Make keys, log, chain, contract and deployment where they are missing.

    Guarantee: safe in several processes at once and after a crash at any point: what is there
    stays, what is missing is made, and there is never a second contract or log.

    Args:
        settings: where the home, the log and the chain are.

    Raises:
        HomeNotWritable: the home can't be written.
        ConfigurationError: the chain's file, or a key, is missing while others are there.
        LedgerUnavailable: the chain does not answer.
        LogUnavailable: the log's database does not answer.
    """
    home = Home(settings.home)
    home.create_folders()
    with home.locked():
        if home.exists():
            return Deployment.read(home.deployment_file)
        owner, writer = (_key_address(home, uri) for uri in (OWNER_KEY, WRITER_KEY))
        log = Log(settings.resolve_url(settings.log_url))
        log.create()
        url = settings.resolve_url(settings.ledger_url)
        _make_chain(home, url, (owner, writer))
        ledger = open_ledger(url)
        signer = open_signer(OWNER_KEY, base=home.path)
        # The home's lock is held: whoever held this lease on this machine is gone.
        lease = log.acquire_lease(
            key_lease_name(owner), _holder(), _DEPLOY_LEASE_S, replace_dead=_is_of_this_machine
        )
        try:
            queue = TransactionQueue(
                log.engine,
                ledger,
                signer,
                lease=lambda: lease,
                chain_id=ledger.chain_id(),
                explain=explain,
                alarm=log.raise_alarm,
            )
            deployment = deploy(
                home.deployment_file,
                ledger=ledger,
                ledger_url=settings.ledger_url,
                queue=queue,
                writer=writer,
            )
        finally:
            log.release(lease)
            ledger.close()
            log.close()
    _logger.warning(
        "mlops-chain: made the home %s (chain %d, EventLog %s)",
        home.path,
        deployment.chain_id,
        to_hex(deployment.event_log),
    )
    return deployment


def make_relay(client: ChainClient, load: Callable[[str], Host] = load_host) -> Relay:
    """A relay for the home of ``client``, not yet started.

    Args:
        client: an opened home.
        load: gives adapters by name.
    """
    settings, folder, log = client.settings, client.folder, client.log
    clock = SystemClock()

    def make_anchorer(relay_lease: Lease) -> Anchorer:
        signer = open_signer(WRITER_KEY, base=folder.path)
        key = key_lease_name(signer.address())
        # Only the holder of the relay's lease comes here, so an older holder of the key is
        # out of date: its token is refused from now on.
        lease = log.acquire_lease(
            key, relay_lease.holder, settings.relay_lease_s, replace_dead=lambda holder: True
        )

        def held() -> Lease:
            return lease

        queue = TransactionQueue(
            log.engine,
            client.ledger,
            signer,
            lease=held,
            chain_id=client.deployment.chain_id,
            explain=explain,
            alarm=log.raise_alarm,
        )
        return Anchorer(
            log, client.contract, client.deployment.log_id, queue, settings.relay_max_batch
        )

    resolver = Resolver(folder.bindings, load)
    return Relay(
        folder,
        log,
        Ingester(log, folder.spool, resolver, clock, log.raise_alarm, log.clear_alarm),
        make_anchorer,
        RelaySettings(
            lease_s=settings.relay_lease_s,
            max_batch=settings.relay_max_batch,
            max_wait_s=settings.relay_max_wait_s,
            idle_s=settings.relay_idle_s,
        ),
        clock,
    )


def _key_address(home: Home, uri: str) -> Address:
    path = home.path / uri.removeprefix("keystore:")
    if path.exists():
        return open_signer(uri, base=home.path).address()
    return create_keystore(path)


def _make_chain(home: Home, url: str, funded: tuple[Address, ...]) -> None:
    if not url.startswith(_EMBEDDED):
        raise ConfigurationError(
            f"the ledger {url.partition(':')[0]}: can't be made here; expected embedded:<file>"
        )
    path = home.path / url.removeprefix(_EMBEDDED)
    if not path.exists():
        # 31 bits: unique enough to keep signatures apart, small enough for every wallet.
        create_embedded(path, chain_id=secrets.randbits(31) | 1 << 30, funded=funded)


def _holder() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _is_of_this_machine(holder: str) -> bool:
    return holder.rpartition(":")[0] == socket.gethostname()
