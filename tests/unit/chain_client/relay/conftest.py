"""A gated registry on a chain of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chain_client.home import Home
from chain_client.ledger.deployment import Deployment
from chain_client.log import Log
from tests.registries import copy_registry, make_registry
from tests.unit.chain_client.log.stores import place_in_memory
from tests.unit.chain_client.relay.gated_sites import Site, TurnedClock


@pytest.fixture(scope="package")
def gated_chain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A chain with a gated registry, made once, and the registry's address."""
    file = tmp_path_factory.mktemp("gated") / "chain.db"
    registry = make_registry(file)
    registry.gate()
    registry.register()
    registry.ledger.close()
    return file, bytes(registry.contract.address)


@pytest.fixture
def site(tmp_path: Path, founded_home: Path, gated_chain: tuple[Path, bytes]) -> Iterator[Site]:
    """A copy of it, with an empty log."""
    file, address = gated_chain
    registry = copy_registry(file, tmp_path / "chain.db", address)
    deployment = replace(
        Deployment.read(Home(founded_home).deployment_file),
        chain_id=registry.ledger.chain_id(),
        registry=registry.contract.address,
        registry_block=0,
    )
    place = place_in_memory()
    log = Log(f"sqlite:///{tmp_path / 'log.db'}", payloads=place)
    log.create()
    clock = TurnedClock(now_s=lambda: registry.ledger.block().timestamp_s)
    yield Site(registry, deployment, log, place.store, clock)
    log.close()
    registry.ledger.close()
