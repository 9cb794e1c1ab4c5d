"""Making a home whole: keys, salt, log, chain, contracts, deployment."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from chain_client.config import Settings
from chain_client.errors import CallReverted, ConfigurationError, ContractReverted
from chain_client.gate.sealed_file import Seal
from chain_client.home import OWNER_KEY, WRITER_KEY, Home
from chain_client.ledger import (
    ExpectedChain,
    Ledger,
    create_embedded,
    event_log,
    open_ledger,
    timelock,
)
from chain_client.ledger.deployment import Deployment, deploy
from chain_client.ledger.registry_deployment import (
    deploy_registry,
    hand_to_timelock,
    is_registry_sent,
)
from chain_client.log import Log
from chain_client.registry.identity import create_salt, read_salt
from chain_client.signing import create_keystore, open_signer
from chain_client.steps import step
from chain_client.transactions import TransactionQueue, key_lease_name
from chain_client.types import Address, Digest

_EMBEDDED = "embedded:"
_KEYSTORE = "keystore:"
_DEPLOY_LEASE_S = 120.0


def provision(settings: Settings, *, timelock_delay_s: int | None = None) -> Deployment:
    """Make keys, salt, log, chain, contracts and deployment where they are missing.

    Guarantee: safe in several processes at once and after a crash at any point: what is there
    stays, what is missing is made, and there is never a second contract or log. A home that is
    there already is only read; `provision_registry` gives it what a newer version has.

    Args:
        settings: where the home, the log and the chain are.
        timelock_delay_s: how long changes of policies and rights have to wait; by default the
            owner's key makes them at once.

    Raises:
        HomeNotWritable: the home can't be written.
        ConfigurationError: the chain's file, a key or the salt is missing while others are there.
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
        log.close()
        url = settings.resolve_url(settings.ledger_url)
        _make_chain(home, url, (owner, writer))
        with _owning(settings, home, _is_of_this_machine) as sending:
            return deploy(
                home.deployment_file,
                ledger=sending.ledger,
                ledger_url=settings.ledger_url,
                queue=sending.queue,
                writer=writer,
                complete=lambda made: _add_registry(
                    settings, home, sending, made, timelock_delay_s
                ),
            )


def provision_registry(
    settings: Settings, deployment: Deployment, timelock_delay_s: int | None = None
) -> Deployment:
    """Give a home its registry, keys and salt, and the registry its timelock, if it lacks them.

    Guarantee: as `provision`. A home that lacks nothing is left alone, without a look at chain
    or log.

    Args:
        settings: where the home, the log and the chain are.
        deployment: of the home.
        timelock_delay_s: how long changes of policies and rights have to wait; by default who
            administers the registry stays as it is.

    Returns:
        the deployment as it stands now.

    Raises:
        HomeNotWritable: the home can't be written.
        ConfigurationError: the salt is missing or another one; or the owner's key is no admin of
            the registry any more.
        AnotherRelay: another process sends with the owner's key.
        LedgerUnavailable: the chain does not answer.
        LogUnavailable: the log's database does not answer.
    """
    if deployment.registry is not None and timelock_delay_s is None:
        return deployment
    home = Home(settings.home)
    home.create_folders()
    with home.locked():
        deployment = Deployment.read(home.deployment_file)
        if deployment.registry is not None and timelock_delay_s is None:
            return deployment
        with _owning(settings, home, _is_gone, deployment.expected()) as sending:
            made = _add_registry(settings, home, sending, deployment, timelock_delay_s)
        if made != deployment:
            made.write(home.deployment_file)
    return made


@dataclass(frozen=True)
class _Sending:
    """The chain, and a queue that sends with the owner's key."""

    ledger: Ledger
    queue: TransactionQueue


def _add_registry(
    settings: Settings,
    home: Home,
    sending: _Sending,
    deployment: Deployment,
    timelock_delay_s: int | None,
) -> Deployment:
    registrar = _key_address(home, settings.registry_registrar)
    _key_address(home, settings.registry_submitter)
    if deployment.registry is None:
        deployment = deploy_registry(
            deployment,
            ledger=sending.ledger,
            queue=sending.queue,
            salt_hash=_salt_hash(home, sending.queue),
            registrar=registrar,
        )
    Seal(home.gate_seal).provide()
    if timelock_delay_s is not None:
        deployment = hand_to_timelock(
            deployment,
            ledger=sending.ledger,
            queue=sending.queue,
            min_delay_s=timelock_delay_s,
        )
    step("provision.registry.deployed")
    return deployment


def _salt_hash(home: Home, queue: TransactionQueue) -> Digest:
    """Of the home's salt. One is made only as long as no registry was deployed with another."""
    if is_registry_sent(queue):
        return read_salt(home.registry_salt).hash()
    salt = create_salt(home.registry_salt)
    step("provision.salt.made")
    return salt.hash()


@contextmanager
def _owning(
    settings: Settings,
    home: Home,
    replace_dead: Callable[[str], bool],
    expected: ExpectedChain | None = None,
) -> Iterator[_Sending]:
    """Send with the owner's key; the home's lock is held."""
    signer = open_signer(OWNER_KEY, base=home.path)
    log = Log(settings.resolve_url(settings.log_url))
    ledger = open_ledger(settings, expected=expected)
    try:
        log.check_schema()
        name = key_lease_name(signer.address())
        lease = log.acquire_lease(name, _holder(), _DEPLOY_LEASE_S, replace_dead=replace_dead)
        try:
            queue = TransactionQueue(
                log.engine,
                ledger,
                signer,
                lease=lambda: lease,
                chain_id=ledger.chain_id() if expected is None else expected.chain_id,
                explain=_explain,
                alarm=log.raise_alarm,
            )
            yield _Sending(ledger, queue)
        finally:
            log.release(lease)
    finally:
        ledger.close()
        log.close()


def _explain(error: CallReverted) -> ContractReverted:
    """Of whichever contract reverted: the log's, the timelock's or the registry's."""
    told = event_log.explain(error)
    return told if told.name else timelock.explain(error)


def _key_address(home: Home, uri: str) -> Address:
    """Of a key, which is made if it is a file of the home that is missing."""
    path = home.path / uri.removeprefix(_KEYSTORE)
    if path.exists() or not uri.startswith(_KEYSTORE):
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
    """Of a home that is not complete: whoever held its lock, and the lease with it, is gone."""
    return holder.rpartition(":")[0] == socket.gethostname()


def _is_gone(holder: str) -> bool:
    """Whether a holder was an earlier process of this machine."""
    host, _, pid = holder.rpartition(":")
    if host != socket.gethostname() or not pid.isdecimal():
        return False
    if int(pid) == os.getpid():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
