"""A key for the time of one command: found in the home, and owned by its lease.

A relay that anchors is the owner of its key for as long as it holds the lease ``relay``, however
long ago it took the key's. So whoever acts with such a key takes both, and a relay that starts
meanwhile stands by.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from chain_client.cli.key import stated_address
from chain_client.cli.signing_key import PasswordSource, open_key
from chain_client.client import ChainClient
from chain_client.cross.anchoring import PURPOSE as CROSS_PURPOSE
from chain_client.errors import AnotherRelay, ConfigurationError, Unavailable
from chain_client.home import Home
from chain_client.log.holders import is_gone, this_process
from chain_client.relay.held_lease import LEASE
from chain_client.signing import Signer, decode_transaction, open_signer
from chain_client.transactions import (
    StoredTransaction,
    TransactionLimits,
    TransactionQueue,
    key_lease_name,
)
from chain_client.types import Address, from_hex, to_hex

if TYPE_CHECKING:
    from chain_client.ledger.base import Ledger
    from chain_client.log import Lease

_LEASE_S = 60.0
_RELAYS_PURPOSES = ("anchor:", CROSS_PURPOSE)
_KEYSTORE = "keystore:"


def key_names(home: Home) -> dict[Address, str]:
    """The home's keys by what their files say; nothing is unlocked."""
    names = {}
    for path in sorted(home.keys.glob("*.json")):
        with contextlib.suppress(ConfigurationError):
            names[Address(from_hex(stated_address(path)))] = path.stem
    return names


@contextlib.contextmanager
def owning_key_of(
    client: ChainClient, row: StoredTransaction, key_uri: str | None, source: PasswordSource
) -> Iterator[TransactionQueue]:
    """The queue of the key that signed a transaction, on the chain that it was signed for.

    Args:
        client: of the home.
        row: the transaction.
        key_uri: the key, as a person named it; by default the home's key of that address.
        source: of its password.

    Raises:
        AnotherRelay: a relay, or another command, works with the key.
        ConfigurationError: the key is not here, or is another one; or the chain is not known.
        LogUnavailable: the log's database does not answer.
    """
    signer = _signer(client, row, key_uri, source)
    with contextlib.ExitStack() as stack:
        chain_id, ledger = _chain_of(client, row, stack)
        if _is_relays(client, row):
            _take(client, LEASE, stack)
        lease = _take(client, key_lease_name(row.sender), stack)
        yield TransactionQueue(
            client.log.engine,
            ledger,
            signer,
            lease=lambda: lease,
            chain_id=chain_id,
            alarm=client.log.raise_alarm,
            clear_alarm=client.log.clear_alarm,
            limits=TransactionLimits.from_settings(client.settings),
        )


def _signer(
    client: ChainClient, row: StoredTransaction, key_uri: str | None, source: PasswordSource
) -> Signer:
    if key_uri is None:
        name = key_names(client.folder).get(row.sender)
        if name is not None:
            key_uri = f"{_KEYSTORE}keys/{name}.json"
        else:
            named = (uri for uri in _named(client) if _stated(client.home, uri) == row.sender)
            key_uri = next(named, None)
        if key_uri is None:
            raise ConfigurationError(
                f"the key {to_hex(row.sender)} of transaction {row.id} is not in this home: give "
                "the command where it is, or name it with --key URI"
            )
    signer = open_key(key_uri, client.home, source)
    if signer.address() != row.sender:
        raise ConfigurationError(
            f"{key_uri} is the key {to_hex(signer.address())}, but transaction {row.id} was "
            f"signed by {to_hex(row.sender)}"
        )
    return signer


def _named(client: ChainClient) -> tuple[str, ...]:
    """The keys that settings name."""
    settings = client.settings
    working = (settings.log_writer, settings.registry_registrar, settings.registry_submitter)
    return (*working, settings.cross_key)


def _stated(home: Path, uri: str) -> Address | None:
    """The address that the file of a key says, or who keeps it; None if that can't be told."""
    path = home / uri.removeprefix(_KEYSTORE)
    with contextlib.suppress(ConfigurationError, Unavailable):
        if not uri.startswith(_KEYSTORE):
            return open_signer(uri, base=home).address()
        if path.is_file():
            return Address(from_hex(stated_address(path)))
    return None


def _chain_of(
    client: ChainClient, row: StoredTransaction, stack: contextlib.ExitStack
) -> tuple[int, Ledger]:
    chain_id = decode_transaction(row.raw).chain_id
    if chain_id == client.deployment.chain_id:
        return chain_id, client.ledger
    place = client.find_cross_place()
    if place is None or place.deployment.chain_id != chain_id:
        raise ConfigurationError(
            f"transaction {row.id} is signed for chain {chain_id}, which this home does not know: "
            f"its chain is {client.deployment.chain_id}"
        )
    ledger = place.open_ledger()
    stack.callback(ledger.close)
    return chain_id, ledger


def _is_relays(client: ChainClient, row: StoredTransaction) -> bool:
    """Whether the relay that anchors owns this key."""
    ours = {
        _stated(client.home, uri) for uri in (client.settings.log_writer, client.settings.cross_key)
    }
    return row.sender in ours or row.purpose.startswith(_RELAYS_PURPOSES)


def _take(client: ChainClient, name: str, stack: contextlib.ExitStack) -> Lease:
    log = client.log
    try:
        lease = log.acquire_lease(name, this_process(), _LEASE_S, replace_dead=is_gone)
    except AnotherRelay as exc:
        held = log.holder(name)
        who = "another process" if held is None else held.holder
        raise AnotherRelay(
            f"{who} works with this key and sees to its transactions by itself; nothing was done. "
            "Stop it if you want to do it by hand (it ends within a round, or its lease within "
            f"{_LEASE_S:g} s), and give the command again"
        ) from exc
    stack.callback(log.release, lease)
    return lease
