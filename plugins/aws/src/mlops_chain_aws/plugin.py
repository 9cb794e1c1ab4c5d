"""Which schemes this distribution brings. What is behind them is imported when it is used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from chain_client.artifact_stores import ArtifactStore
from chain_client.hookspecs import (
    ArtifactStoreFactory,
    PayloadStoreFactory,
    ShipperFactory,
    SignerFactory,
    hookimpl,
)
from chain_client.payloads import PayloadStore
from chain_client.shipping import Shipper
from chain_client.signing import Signer


@hookimpl
def signers() -> Mapping[str, SignerFactory]:
    """``awskms:`` names a key in KMS; see `mlops_chain_aws.kms`."""
    return {"awskms": _open_kms_key}


@hookimpl
def artifact_stores() -> Mapping[str, ArtifactStoreFactory]:
    """``s3:`` is where MLflow keeps artifacts; see `mlops_chain_aws.artifacts`."""
    return {"s3": _open_s3_artifacts}


@hookimpl
def payload_stores() -> Mapping[str, PayloadStoreFactory]:
    """``s3:`` is a bucket for payloads; see `mlops_chain_aws.payloads`."""
    return {"s3": _open_s3_payloads}


@hookimpl
def spool_shippers() -> Mapping[str, ShipperFactory]:
    """``s3:`` takes spools of workers, and gives them to relays; see `mlops_chain_aws.shipper`."""
    return {"s3": _open_s3_shipper}


def _open_kms_key(uri: str, base: Path, password: str | None) -> Signer:
    from mlops_chain_aws.kms import open_kms_signer

    return open_kms_signer(uri)


def _open_s3_artifacts(location: str) -> ArtifactStore:
    from mlops_chain_aws.artifacts import open_s3_artifacts

    return open_s3_artifacts(location)


def _open_s3_payloads(uri: str, base: Path) -> PayloadStore:
    from mlops_chain_aws.payloads import open_s3_payloads

    return open_s3_payloads(uri)


def _open_s3_shipper(uri: str, base: Path) -> Shipper:
    from mlops_chain_aws.shipper import open_s3_shipper

    return open_s3_shipper(uri, base)
