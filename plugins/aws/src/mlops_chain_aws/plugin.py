"""Which schemes this distribution brings. What is behind them is imported when it is used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from chain_client.hookspecs import SignerFactory, hookimpl
from chain_client.signing import Signer


@hookimpl
def signers() -> Mapping[str, SignerFactory]:
    """``awskms:`` names a key in KMS; see `mlops_chain_aws.kms`."""
    return {"awskms": _open_kms_key}


def _open_kms_key(uri: str, base: Path, password: str | None) -> Signer:
    from mlops_chain_aws.kms import open_kms_signer

    return open_kms_signer(uri)
