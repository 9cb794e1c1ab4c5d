"""Registering a version on chain: its files are read and attested before."""

from __future__ import annotations

from dataclasses import dataclass

from chain_client.client import ChainClient
from chain_client.events import Actor
from chain_client.governing.acts import Act, get_act
from chain_client.governing.attesting import Tell, attest, tell_nobody
from chain_client.governing.models import find_model
from chain_client.hosts import ModelIncarnation
from chain_client.types import Digest


@dataclass(frozen=True, slots=True)
class Registered:
    """A version as it stands on chain.

    Args:
        model: the incarnation.
        model_id: what stands on chain for it.
        version: its number.
        digest: of its files, as they were attested.
        leaf_index: of the attestation that stands on chain with it.
        act: what registered it.
    """

    model: ModelIncarnation
    model_id: Digest
    version: int
    digest: Digest
    leaf_index: int
    act: Act


def register(
    client: ChainClient,
    name: str,
    version: int,
    *,
    tracking_uri: str | None = None,
    timeout_s: float = 60,
    tell: Tell = tell_nobody,
    actor: Actor | None = None,
) -> Registered:
    """Register a version with the home's registrar's key, unless it is registered.

    Guarantee: its files are those of the digest on chain when this returns. May be called again
    at any time, by several at once: one registration comes of it.

    Args:
        client: of the home.
        name: of the model, ``fraud`` or ``workspace/fraud``.
        version: its number.
        tracking_uri: the database; default: any.
        timeout_s: how long another relay is waited for.
        tell: says what is being done.
        actor: who asks, for the log.

    Raises:
        PromotionConflict: it is registered with other files.
        ChainError: model or version are not there or can't be read, or chain or log are away.
    """
    registry = client.registry
    found = find_model(client, name, tracking_uri)
    model_id = registry.model_id(found.model)
    attestation = attest(client, found, version, timeout_s, tell, actor=actor)
    digest = attestation.files.digest
    commitment = registry.commitment(model_id, version, digest)
    done = registry.register_version(found.model, version, commitment, attestation.leaf_index)
    tell("registered on chain" if done.tx_hash is not None else "it is registered already")
    record = registry.contract.version(model_id, version)
    act = get_act(registry, "VersionRegistered", model=model_id, version=version)
    leaf_index = attestation.leaf_index if record is None else record.leaf_index
    return Registered(found.model, model_id, version, digest, leaf_index, act)
