"""The databases that a command is about: known to the home, or by what they say of themselves."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import click

from chain_client.client import ChainClient
from chain_client.errors import ConfigurationError, Unavailable
from chain_client.governing.databases import (
    bindings_at,
    file_of,
    find_among,
    tell_unknown,
    to_absolute,
)
from chain_client.hosts import StoreBinding, installed_hosts
from chain_client.verify.named_store import find_named_store


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

    Without options MLFLOW_TRACKING_URI names the MLflow database; what another adapter, such as
    Airflow's, records into the home is looked at all the same.

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
        here = find_among(uri, known)
        if not here:
            here = [_named(client, uri, known)]
            # Nobody else says which databases there are: what is not named is told.
            everything = True
        found += [binding for binding in here if binding not in found]
    return Databases(found if options else _with_other_hosts(found, known), everything)


def _named(client: ChainClient, uri: str, known: list[StoreBinding]) -> StoreBinding:
    """A database that never recorded here, by what it says of itself."""
    text = tell_unknown(uri, known, client.home)
    file = file_of(uri)
    if file is not None and not file.exists():
        raise ConfigurationError(text)
    try:
        found = find_named_store(
            to_absolute(uri), client.deployment_id, client.log.stores(), installed_hosts()
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


def bindings_of(client: ChainClient, option: str | None) -> list[StoreBinding] | None:
    """The database that is asked for; None if all are.

    MLFLOW_TRACKING_URI names the MLflow database only, as in `find_databases`.
    """
    uri = option or os.environ.get("MLFLOW_TRACKING_URI", "")
    _check(option)
    if "://" not in uri:
        return None
    found = bindings_at(client, uri)
    return found if option else _with_other_hosts(found, client.folder.bindings())


def _with_other_hosts(
    found: list[StoreBinding], known: Sequence[StoreBinding]
) -> list[StoreBinding]:
    """A variable of MLflow's says which of its databases is meant, and nothing of other hosts."""
    meant = {binding.adapter for binding in found}
    return found + [binding for binding in known if binding.adapter not in meant]
