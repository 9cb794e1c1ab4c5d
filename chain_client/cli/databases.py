"""The databases that a command is about: known to the home, or by what they say of themselves."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from chain_client.client import ChainClient
from chain_client.errors import ConfigurationError, Unavailable
from chain_client.hosts import StoreBinding, installed_hosts, to_database_address, to_server_uri
from chain_client.shown_uri import to_shown_uri
from chain_client.verify.named_store import find_named_store

_SHOWN = 50
_SQLITE = "sqlite:///"


@dataclass(frozen=True, slots=True)
class Databases:
    """What is to be compared.

    Args:
        bindings: the databases; None for all that record into the home.
        everything: whether a store of the log that is not among them is to be named.
    """

    bindings: list[StoreBinding] | None
    everything: bool


def find_databases(client: ChainClient, options: Sequence[str]) -> Databases:
    """The databases that are asked for, also those that never recorded into this home.

    Raises:
        ConfigurationError: one is none of this log's; the text says why.
        HostUnavailable: one has to be asked which it is, and does not answer.
    """
    uris = [uri for uri in options or [os.environ.get("MLFLOW_TRACKING_URI", "")] if uri]
    for uri in options:
        _check(uri)
    uris = [uri for uri in uris if "://" in uri]
    if not uris:
        return Databases(None, everything=True)
    known = client.folder.bindings()
    found: list[StoreBinding] = []
    everything = False
    for uri in uris:
        here = [binding for binding in known if _normal(binding.uri) == _normal(uri)]
        if not here:
            here = [_named(client, uri, known)]
            # Nobody else says which databases there are: what is not named is told.
            everything = True
        found += [binding for binding in here if binding not in found]
    return Databases(found, everything)


def _named(client: ChainClient, uri: str, known: list[StoreBinding]) -> StoreBinding:
    """A database that never recorded here, by what it says of itself."""
    text = _unknown(uri, known, client.home)
    file = _file(uri)
    if file is not None and not file.exists():
        raise ConfigurationError(text)
    try:
        found = find_named_store(
            _absolute(uri), client.deployment_id, client.log.stores(), installed_hosts()
        )
    except (ConfigurationError, Unavailable) as exc:
        raise type(exc)(f"{text}. {str(exc)[:1].upper()}{str(exc)[1:]}") from exc
    if found is None or any(binding.store_id == found.store_id for binding in known):
        raise ConfigurationError(text)
    return found


def _check(option: str | None) -> None:
    if option is not None and "://" not in option:
        raise click.UsageError(
            f"--tracking-uri takes a URI such as chain+sqlite:///mlflow.db, got {option!r}"
        )


def _absolute(uri: str) -> str:
    """The URI as the adapter takes it, from whatever folder."""
    file = _file(uri)
    return _without_prefix(uri) if file is None else f"{_SQLITE}{file}"


def _file(uri: str) -> Path | None:
    """The file of an SQLite database."""
    plain = _without_prefix(uri)
    if not plain.startswith(_SQLITE):
        return None
    return Path(plain.removeprefix(_SQLITE)).resolve()


def bindings_of(client: ChainClient, option: str | None) -> list[StoreBinding] | None:
    """The database that is asked for; None if all are."""
    uri = option or os.environ.get("MLFLOW_TRACKING_URI", "")
    _check(option)
    if "://" not in uri:
        return None
    known = client.folder.bindings()
    wanted = _normal(uri)
    found = [binding for binding in known if _normal(binding.uri) == wanted]
    if not found:
        raise ConfigurationError(_unknown(uri, known, client.home))
    return found


def _unknown(uri: str, known: list[StoreBinding], home: Path) -> str:
    """Which database was asked for, why it may not be known, and which are."""
    text = f"{to_shown_uri(uri)} does not record into {home}"
    file = _file(uri)
    if file is not None:
        text += f": it is the file {file}, "
        if file.exists():
            text += (
                "which never recorded here, or not at this place; if it was moved there, open it "
                f"once with chain+{_SQLITE}{file}"
            )
        else:
            text += "which does not exist; a relative path counts from the folder you are in"
    names = ", ".join(binding.to_shown_uri() for binding in known[:_SHOWN])
    return f"{text}. Databases that record there: {names or 'none yet'}"


def _normal(uri: str) -> str:
    """One spelling of it: no prefix, driver or credentials, absolute SQLite paths."""
    plain = _without_prefix(uri)
    if plain.lower().startswith(("http://", "https://")):
        return to_server_uri(plain)
    if plain.startswith(_SQLITE):
        return _SQLITE + str(Path(plain.removeprefix(_SQLITE)).resolve())
    return to_database_address(plain)


def _without_prefix(uri: str) -> str:
    return uri.removeprefix("chain+").removeprefix("chain:")
