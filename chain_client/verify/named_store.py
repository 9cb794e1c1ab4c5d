"""Databases that a verifier names: which store one is, by what the database says of itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from chain_client.errors import ConfigurationError, HomeMismatch
from chain_client.hosts import Host, StoreBinding


@runtime_checkable
class SaysStore(Protocol):
    """An adapter whose databases say which store they are."""

    name: str

    def says_store(self, uri: str) -> tuple[str, str] | None:
        """Deployment id and store id, as the database says; it is opened for reading only.

        Args:
            uri: the database, without our prefix.

        Returns:
            None if it says nothing, or is none of the adapter's.

        Raises:
            ConfigurationError: it does not exist, or its user may not read what it says.
            HostUnavailable: it does not answer.
        """


def find_named_store(
    uri: str, deployment_id: str, known_stores: set[str], hosts: Iterable[Host]
) -> StoreBinding | None:
    """The store that a database says it is; nothing is written, there or in the home.

    A database says what whoever can write it wants. So it is only believed if the log has such a
    store, and is then compared with all that was recorded of that one.

    Args:
        uri: the database, without our prefix.
        deployment_id: of the log.
        known_stores: stores of which the log holds events.
        hosts: the adapters, of which the first that knows it decides.

    Returns:
        None if it says nothing.

    Raises:
        HomeMismatch: it says that it belongs to another deployment.
        ConfigurationError: it says that it is a store of which nothing was ever recorded, does not
            exist, or its user may not read what it says.
        HostUnavailable: it does not answer.
    """
    for host in hosts:
        said = host.says_store(uri) if isinstance(host, SaysStore) else None
        if said is None:
            continue
        named, store_id = said
        if named != deployment_id:
            raise HomeMismatch(
                f"this database says that it belongs to deployment {named}, but this home is of "
                f"deployment {deployment_id}: name the home of that one with --home, or see who "
                "changed the table that says so"
            )
        if store_id not in known_stores:
            raise ConfigurationError(
                f"this database says that it is store {store_id}, and the log holds nothing of "
                "such a store: nothing was brought there yet (see `mlops-chain status` on its "
                "machine), or somebody changed what it says of itself"
            )
        return StoreBinding(store_id, host.name, uri)
    return None
