"""Putting an `EventLog` for the home's log on the second chain."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import replace
from pathlib import Path

from chain_client.config import Settings
from chain_client.cross.place import to_second
from chain_client.errors import ConfigurationError
from chain_client.home import Home
from chain_client.ledger import Ledger, create_embedded, open_ledger
from chain_client.ledger.deployment import Deployment, deploy
from chain_client.ledger.event_log import explain
from chain_client.log import Log
from chain_client.signing import Signer, create_keystore, open_signer
from chain_client.transactions import TransactionLimits, TransactionQueue, key_lease_name

_EMBEDDED = "embedded:"
_KEYSTORE = "keystore:"
_LEASE_S = 120.0


def provide_key(settings: Settings) -> Signer:
    """The key of the second chain; a file of the home is made if it is missing.

    Raises:
        ConfigurationError: the key can't be read, or no signer is known for it.
        HomeNotWritable: the file can't be written.
    """
    path = settings.home / settings.cross_key.removeprefix(_KEYSTORE)
    is_file = settings.cross_key.startswith(_KEYSTORE)
    was_used = Home(settings.home).cross_deployment_file.exists()
    if is_file and not was_used and not path.exists():
        create_keystore(path)
    return open_signer(settings.cross_key, base=settings.home)


def deploy_cross(settings: Settings) -> Deployment:
    """Deploy an `EventLog` on the second chain and open a log in it, written by ``cross.key``.

    Guarantee: after a crash at any point, calling it again goes on where it broke off; there is
    never a second contract. If ``cross-deployment.json`` exists, it is only read.

    Args:
        settings: of a whole home that names a second chain.

    Raises:
        HomeMissing: the home has no deployment of its own yet.
        ConfigurationError: no second chain is named, or it is the first one.
        AnotherRelay: another process sends with the key.
        LedgerUnavailable: the second chain does not answer.
        TransactionFailed: or a child of it: the second chain refuses, such as without balance.
    """
    second = to_second(settings)
    home = Home(settings.home)
    first = Deployment.read(home.deployment_file)
    with home.locked():
        if home.cross_deployment_file.exists():
            return Deployment.read(home.cross_deployment_file)
        signer = provide_key(settings)
        _make_embedded(second, signer)
        log = Log(settings.resolve_url(settings.log_url))
        ledger = open_ledger(second)
        try:
            log.check_schema()
            chain_id = ledger.chain_id()
            if chain_id == first.chain_id:
                raise ConfigurationError(
                    f"cross.ledger_url is chain {chain_id}, which is the home's own: name another "
                    "chain, one that others keep"
                )
            return _deploy(home, first, second, log, ledger, signer, chain_id)
        finally:
            ledger.close()
            log.close()


def _deploy(
    home: Home,
    first: Deployment,
    second: Settings,
    log: Log,
    ledger: Ledger,
    signer: Signer,
    chain_id: int,
) -> Deployment:
    here = socket.gethostname()
    lease = log.acquire_lease(
        key_lease_name(signer.address()),
        f"{here}:{os.getpid()}",
        _LEASE_S,
        # The home's lock is held, and nobody cross-anchors before there is a deployment.
        replace_dead=lambda holder: holder.rpartition(":")[0] == here,
    )
    try:
        queue = TransactionQueue(
            log.engine,
            ledger,
            signer,
            lease=lambda: lease,
            chain_id=chain_id,
            explain=explain,
            alarm=log.raise_alarm,
            clear_alarm=log.clear_alarm,
            limits=replace(TransactionLimits.from_settings(second), gas_per_hour=None),
        )
        return deploy(
            home.cross_deployment_file,
            ledger=ledger,
            ledger_url=second.ledger_url,
            queue=queue,
            writer=signer.address(),
            # By it a verification tells that this log belongs to the home.
            complete=lambda made: replace(made, deployment_id=first.deployment_id),
        )
    finally:
        log.release(lease)


def _make_embedded(second: Settings, signer: Signer) -> None:
    """A second embedded chain, for rehearsals; its keeper owns it as the first."""
    url = second.resolve_url(second.ledger_url)
    if not url.startswith(_EMBEDDED):
        return
    path = Path(url.removeprefix(_EMBEDDED))
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        chain_id = secrets.randbits(31) | 1 << 30
        create_embedded(path, chain_id=chain_id, funded=(signer.address(),))
