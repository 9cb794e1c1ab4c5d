"""Whether what a connection names is there, for the button that tests it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_chain.form import FIELDS
from chain_client.errors import ChainError, ConfigurationError
from chain_client.types import to_hex

if TYPE_CHECKING:
    from airflow_chain.connection import ChainConnection
    from chain_client.client import ChainClient


def examine(client: ChainClient, connection: ChainConnection) -> str:
    """See that chain, contracts, log and keys answer and belong together; a sentence about them.

    Nothing is written or sent.

    Args:
        client: of the connection's home.
        connection: which keys there should be.

    Raises:
        ChainError: one does not; the text says which, and what to do.
    """
    from chain_client.head_check import read_checked_head
    from chain_client.ledger.deployment import check_deployment
    from chain_client.ledger.model_registry_values import BREAKER_ROLE, REQUESTER_ROLE

    deployment = client.deployment
    check_deployment(client.ledger, deployment)
    head = read_checked_head(client.log, client.contract, deployment.log_id)
    parts = [
        f"chain {deployment.chain_id} answers at block {client.ledger.block().number:,}",
        f"the log has {client.log.size():,} entries, {head.size:,} of them anchored",
    ]
    parts.append(_look_for_databases(client, connection))
    if deployment.registry is None:
        parts.append("the home has no model registry yet (mlops-chain init makes it)")
        return f"Deployment {deployment.deployment_id}: {'; '.join(parts)}."
    contract = client.model_registry
    client.salt  # noqa: B018 - read and compared with the chain
    for what, uri, open_key, role in (
        ("requester", connection.requester_key, connection.open_requester, REQUESTER_ROLE),
        ("breaker", connection.breaker_key, connection.open_breaker, BREAKER_ROLE),
    ):
        if uri is None:
            parts.append(f"no {what}'s key is configured")
            continue
        address = open_key().address()
        if not contract.has_role(role, address):
            raise ConfigurationError(
                f"the {what}'s key {to_hex(address)} is there, but has no such role in the "
                f"registry: mlops-chain role grant {what} {to_hex(address)}"
            )
        parts.append(f"the {what}'s key is {to_hex(address)}")
    return f"Deployment {deployment.deployment_id}: {'; '.join(parts)}."


def _look_for_databases(client: ChainClient, connection: ChainConnection) -> str:
    """In which databases models are looked for; they are not opened."""
    from chain_client.governing.databases import file_of, model_databases, tell_no_database

    try:
        found = [binding for binding, _ in model_databases(client, connection.tracking_uri)]
    except ChainError as exc:
        where = f"connection {connection.conn_id!r}, field {FIELDS['tracking_uri'].label!r}"
        raise ConfigurationError(f"{where}: {exc}") from exc
    if not found:
        return tell_no_database(client.home)
    missing = [
        file
        for file in (file_of(binding.uri) for binding in found)
        if file is not None and not file.exists()
    ]
    if missing:
        raise ConfigurationError(
            f"the MLflow database {missing[0]}, in which models are looked for, is not there"
        )
    return f"models are looked for in {', '.join(binding.to_shown_uri() for binding in found)}"
