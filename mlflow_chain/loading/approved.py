"""What the chain approves: the salted digest that a version's bytes must have."""

from __future__ import annotations

from chain_client.client import ChainClient
from chain_client.errors import ConfigurationError, LedgerUnavailable, PromotionDenied
from chain_client.gate.question import TargetReading, Trouble
from chain_client.hosts import ModelIncarnation
from chain_client.registry.identity import digest_commitment, model_id
from chain_client.registry.targets import Target
from chain_client.types import Digest, to_hex


def approved_for(
    client: ChainClient, model: ModelIncarnation, target: Target, version: int
) -> Digest:
    """The commitment of the version that is current for a target; it must be the one in MLflow.

    Raises:
        PromotionDenied: no policy stands, nothing or another version is current, or it is revoked.
        LedgerUnavailable: the chain can't be read, or not be believed.
        ConfigurationError: the home has no registry, or another one took its place.
    """
    shown = f"{target} of model {model.name!r}"
    reading = client.gate.target(model, str(target))
    if reading is None:
        raise ConfigurationError(f"the home {client.home} has no registry: run mlops-chain init")
    if isinstance(reading, Trouble):
        raise LedgerUnavailable(f"the chain does not say what is approved: {reading.text}")
    _check(reading, shown, version)
    return reading.current.digest


def _check(reading: TargetReading, shown: str, version: int) -> None:
    if reading.successor is not None:
        raise ConfigurationError(
            f"the registry was succeeded by {to_hex(reading.successor)}; let this home's "
            "deployment name that"
        )
    if reading.policy is None:
        raise PromotionDenied(
            f"no policy stands for {shown}, so nobody approved what is there; apply one: "
            "mlops-chain policy apply"
        )
    current = reading.current
    if not current.version:
        raise PromotionDenied(f"nothing is approved for {shown}, and MLflow has version {version}")
    if current.version != version:
        raise PromotionDenied(
            f"MLflow has version {version} for {shown}, but version {current.version} is current "
            "on chain; make them equal: mlops-chain sync, which says if it can't"
        )
    if current.is_revoked:
        raise PromotionDenied(f"version {version}, current for {shown}, was revoked")


def registered(client: ChainClient, model: ModelIncarnation, version: int) -> Digest:
    """The commitment of a version that is registered on chain, promoted or not.

    Raises:
        PromotionDenied: it is not registered, or it is revoked.
        LedgerUnavailable: as `approved_for`.
        ConfigurationError: as `approved_for`.
    """
    shown = f"version {version} of model {model.name!r}"
    seen = client.gate.refresh()
    if seen is None:
        raise ConfigurationError(f"the home {client.home} has no registry: run mlops-chain init")
    if isinstance(seen, Trouble):
        raise LedgerUnavailable(f"the chain does not say what is approved: {seen.text}")
    if seen.successor is not None:
        raise ConfigurationError(
            f"the registry was succeeded by {to_hex(seen.successor)}; let this home's deployment "
            "name that"
        )
    mid = model_id(client.salt, model.store_id, model.workspace, model.name, model.creation_ms)
    record = client.model_registry.version(mid, version, seen.block.number)
    if record is None:
        raise PromotionDenied(f"{shown} is not registered on chain, so its bytes are not pinned")
    if record.is_revoked:
        raise PromotionDenied(f"{shown} was revoked")
    return record.digest


def commitment_of(
    client: ChainClient, model: ModelIncarnation, version: int, digest: Digest
) -> Digest:
    """What would stand on chain for a version of these bytes."""
    mid = model_id(client.salt, model.store_id, model.workspace, model.name, model.creation_ms)
    return digest_commitment(client.salt, mid, version, digest)
