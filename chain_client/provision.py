"""Making a home whole: keys, log, chain, contract, deployment."""

from __future__ import annotations

import os
import secrets
import socket

from chain_client.config import Settings
from chain_client.errors import ConfigurationError
from chain_client.home import OWNER_KEY, WRITER_KEY, Home
from chain_client.ledger import create_embedded, open_ledger
from chain_client.ledger.deployment import Deployment, deploy
from chain_client.ledger.event_log import explain
from chain_client.log import Log
from chain_client.signing import create_keystore, open_signer
from chain_client.transactions import TransactionQueue, key_lease_name
from chain_client.types import Address

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
    return deployment


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
