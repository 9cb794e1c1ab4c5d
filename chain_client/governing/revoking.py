"""Revoking a version that is registered on chain."""

from __future__ import annotations

from dataclasses import dataclass

from chain_client.client import ChainClient
from chain_client.errors import UnknownName
from chain_client.governing.acts import Act, get_act
from chain_client.governing.models import find_model, known_incarnations
from chain_client.signing import Signer
from chain_client.types import Digest


@dataclass(frozen=True, slots=True)
class Revoked:
    """A version that can't be promoted any more.

    Args:
        model_id: what stands on chain for its model.
        version: its number.
        still_current: targets for which it is current all the same.
        act: what revoked it.
    """

    model_id: Digest
    version: int
    still_current: tuple[str, ...]
    act: Act


def revoke(client: ChainClient, name: str, version: int, reason: str, signer: Signer) -> Revoked:
    """Bar a version from promotion for ever, unless it is.

    Guarantee: may be called again at any time; one revocation comes of it, with the first reason.

    Args:
        client: of the home.
        name: of the model, ``fraud`` or ``workspace/fraud``.
        version: its number.
        reason: why; kept in the log for ever.
        signer: a breaker's key, which sends it.

    Raises:
        UnknownName: it is not registered.
        ContractReverted: the key is no breaker's.
    """
    registry = client.registry
    model = find_registered(client, name, version)
    registry.revoke_version(model, version, reason, signer=signer)
    state = registry.state()
    lookup = registry.lookup(state)
    current = tuple(
        lookup.show_target(change.target)
        for change in state.currents()
        if (change.model, change.version) == (model, version)
    )
    act = get_act(registry, "VersionRevoked", model=model, version=version)
    return Revoked(model, version, current, act)


def find_registered(client: ChainClient, name: str, version: int) -> Digest:
    """The incarnation on chain that has the version: that of the host, else the only one known.

    Raises:
        UnknownName: no incarnation has it, or several have and the host has none.
    """
    registry = client.registry
    known = known_incarnations(registry, name)
    state = registry.state()
    having = [key for key in known if (key, version) in state.versions]
    if len(having) > 1:
        now = registry.model_id(find_model(client, name, None).model)
        having = [key for key in having if key == now]
    if not having:
        raise UnknownName(
            f"version {version} of {name!r} is not registered on chain, so it can't be current "
            "either; nothing is to be revoked"
        )
    return having[0]
