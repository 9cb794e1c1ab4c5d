"""Who an address is: names that the deployment's owner has bound to addresses.

A binding is an event of the log, ``user.bound`` with ``Subject("", "user", <name>)``. Only one that
the owner's key has signed counts; forged ones are passed over. An entry that can't be read may
have taken an earlier one back: nobody knows then what its name stands for. Signatures here are
stable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chain_client.canonical import encode
from chain_client.clock import Clock, SystemClock
from chain_client.errors import ChainError, InvalidEvent, InvalidInput, LogCorrupt, UnknownName
from chain_client.event_codec import decode_event
from chain_client.events import Json, Subject
from chain_client.ledger.deployment import Deployment
from chain_client.log import Log
from chain_client.log.entry_check import read_whole
from chain_client.registry.documents import Records
from chain_client.shown_text import escape_unprintable
from chain_client.shown_uri import refuse_key
from chain_client.signing import Signer
from chain_client.signing.eip712 import Domain, StructType, find_signer, sign_digest, sign_hash_of
from chain_client.types import Address, from_hex, to_hex

USER_BOUND = "user.bound"
_USERS = Subject("", "user", "").to_key()

_BINDING = StructType(
    "UserBinding",
    (
        ("deployment", "string"),
        ("user", "string"),
        ("account", "address"),
        ("timeUs", "uint64"),
    ),
)
_NOBODY = Address(bytes(20))
_MAX_NAME = 255


class Bindings(dict[str, Address]):
    """Addresses by name; a name that an entry of the log hides is not among them.

    Args:
        addresses: by name.
        hidden: what is wrong with an entry that binds or unbinds a name, by name.
    """

    def __init__(self, addresses: Mapping[str, Address], hidden: Mapping[str, str]) -> None:
        super().__init__(addresses)
        self.hidden = hidden

    def check_known(self, name: str) -> None:
        """See that nothing hides what a name stands for.

        Raises:
            LogCorrupt: an entry that binds or unbinds it can't be read; the text names it.
        """
        if name in self.hidden:
            raise LogCorrupt(
                f"nobody knows which address is bound to the user {name!r}: "
                f"{self.hidden[name]}. Put it back from a backup, or use the address itself or "
                "another name"
            )


def bind(
    records: Records,
    deployment: Deployment,
    signer: Signer,
    name: str,
    address: Address | None,
    clock: Clock | None = None,
) -> None:
    """Note that a name stands for an address from now on; None: for none any more.

    Args:
        records: the process's recorder.
        deployment: whose names they are.
        signer: the deployment's owner's key.
        name: as the host authenticates the user.
        address: of the user's key or wallet.
        clock: for the time that decides which binding of a name is the latest.

    Raises:
        InvalidInput: no name, or another key than the owner's.
        ConfigurationError: the key can't be read or unlocked.
        SpoolUnavailable: the journal can't be written.
    """
    if not name or len(name) > _MAX_NAME or name.startswith("0x") or not name.isprintable():
        raise InvalidInput(
            f"expected a printable name of 1 to {_MAX_NAME} characters that does not look like "
            "an address"
        )
    if address == _NOBODY:
        raise InvalidInput("the zero address is nobody's")
    if signer.address() != deployment.owner:
        raise InvalidInput(
            f"names are bound by the deployment's owner {to_hex(deployment.owner)}; "
            f"{signer.uri} is the key of {to_hex(signer.address())}"
        )
    time_us = (clock or SystemClock()).time_us()
    account = address or _NOBODY
    signature = sign_digest(signer, _digest(deployment, name, account, time_us))
    payload: dict[str, Json] = {
        "deployment": deployment.deployment_id,
        "user": name,
        "account": to_hex(account),
        "time_us": time_us,
        "signature": to_hex(signature),
    }
    records.note(USER_BOUND, Subject("", "user", name), payload, required=True)


def bindings(log: Log, deployment: Deployment) -> Bindings:
    """Addresses by name: of each name's bindings that the owner has signed, the latest."""
    latest: dict[str, tuple[int, bytes, Address]] = {}
    hidden: dict[str, str] = {}
    for entry in log.find_events(_USERS):
        try:
            event = read_whole(entry)
        except LogCorrupt as exc:
            hidden[(entry.subject_key or "").removeprefix(_USERS)] = str(exc)
            continue
        if event.type != USER_BOUND:
            continue
        found = _checked(event.payload, deployment)
        if found is not None:
            name, account, time_us = found
            newer = (time_us, encode(to_hex(account)), account)
            latest[name] = max(latest.get(name, newer), newer)
    newest = {name: account for name, (_, _, account) in sorted(latest.items())}
    known = {
        name: account
        for name, account in newest.items()
        if account != _NOBODY and name not in hidden
    }
    return Bindings(known, hidden)


def all_names(log: Log, deployment: Deployment) -> dict[Address, set[str]]:
    """Every name that the owner ever bound to an address, by address."""
    names: dict[Address, set[str]] = {}
    for entry in log.find_events(_USERS):
        try:
            event = decode_event(entry.event or b"")
        except InvalidEvent:
            continue  # verify names it
        found = _checked(event.payload, deployment) if event.type == USER_BOUND else None
        if found is not None:
            names.setdefault(found[1], set()).add(found[0])
    return names


def to_names(found: Mapping[str, Address]) -> dict[Address, str]:
    """Names by address; of several names of one address, the first by alphabet."""
    names: dict[Address, str] = {}
    for name in sorted(found):
        names.setdefault(found[name], name)
    return names


def named(address: Address, names: Mapping[Address, str]) -> str:
    """An address for people: whole, with the name that is bound to it."""
    name = names.get(address)
    return f"{escape_unprintable(name)} ({to_hex(address)})" if name else to_hex(address)


def resolve_address(text: str, found: Mapping[str, Address]) -> Address:
    """The address that a text names: one in hex, or a bound name.

    Raises:
        UnknownName: no such name is bound.
        LogCorrupt: what it stands for can't be read.
        InvalidInput: hex of another length.
        ConfigurationError: it looks like a private key.
    """
    if text.startswith("0x"):
        return Address(from_hex(text, size=20))
    if text not in found:
        refuse_key(text)
        if isinstance(found, Bindings):
            found.check_known(text)
        known = ", ".join(sorted(found)) or "none"
        raise UnknownName(
            f"no address is bound to the user {text[:80]!r} (bound: {known}); bind one with "
            "mlops-chain user bind, or give the address"
        )
    return found[text]


def _checked(payload: Mapping[str, Any], deployment: Deployment) -> tuple[str, Address, int] | None:
    """Name, address and time of a binding; None if the owner did not sign it."""
    name, account = payload.get("user"), payload.get("account")
    time_us, signature = payload.get("time_us"), payload.get("signature")
    if not (isinstance(name, str) and isinstance(account, str) and isinstance(signature, str)):
        return None
    if type(time_us) is not int or payload.get("deployment") != deployment.deployment_id:
        return None
    try:
        address = Address(from_hex(account, size=20))
        digest = _digest(deployment, name, address, time_us)
        signer = find_signer(digest, from_hex(signature))
    except ChainError:
        return None
    return (name, address, time_us) if signer == deployment.owner else None


def _digest(deployment: Deployment, name: str, account: Address, time_us: int) -> bytes:
    domain = Domain(deployment.chain_id, deployment.event_log)
    values: dict[str, str | int | bytes] = {
        "deployment": deployment.deployment_id,
        "user": name,
        "account": account,
        "timeUs": time_us,
    }
    return sign_hash_of(domain, _BINDING.hash(values))
