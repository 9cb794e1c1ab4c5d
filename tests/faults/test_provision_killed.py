"""SIGKILL at every step of making a home, and of giving an older one its registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_client.ledger import EmbeddedLedger
from chain_client.ledger.deployment import Deployment, check_deployment
from chain_client.ledger.model_registry import ADMIN_ROLE, REGISTRAR_ROLE, ModelRegistryContract
from chain_client.provision import provision, provision_registry
from chain_client.registry.identity import read_salt
from chain_client.signing import open_signer
from tests.closing import everything_closed
from tests.earlier_homes import make_home_without_registry, settings_of
from tests.forked import killed_at

DELAY_S = 3600
PASSES = [
    *(("provision.salt.made", 1), ("provision.registry.deployed", 1)),
    *(
        (step, count)
        for step in ("transaction.stored", "embedded.block.committed", "transaction.included")
        for count in (1, 2, 3, 4, 5)
    ),
]
"""Five transactions: the registry, its registrar, its timelock, and the two of handing over."""


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    with everything_closed():
        yield


def assert_one_registry(home: Path, made: Deployment) -> None:
    ledger = EmbeddedLedger(home / "chain" / "embedded.db")
    check_deployment(ledger, made)
    assert made == Deployment.read(home / "deployment.json")
    assert made.registry is not None
    assert made.timelock is not None
    registry = ModelRegistryContract(ledger, made.registry)
    assert registry.salt_hash() == read_salt(home / "keys" / "registry-salt").hash()
    registrar = open_signer("keystore:keys/registrar.json", base=home).address()
    assert registry.has_role(REGISTRAR_ROLE, registrar)
    assert registry.has_role(ADMIN_ROLE, made.timelock)
    assert not registry.has_role(ADMIN_ROLE, made.owner)
    assert ledger.nonce(made.owner) == ledger.block().number == 7
    ledger.close()


@pytest.mark.parametrize(("step", "count"), PASSES)
def test_an_older_home_gets_one_registry_though_it_dies_at_any_step(
    tmp_path: Path, step: str, count: int
) -> None:
    settings = settings_of(tmp_path / "home")
    before = make_home_without_registry(settings)
    killed_at(step, count, lambda: provision_registry(settings, before, DELAY_S))
    assert Deployment.read(settings.home / "deployment.json") == before
    made = provision_registry(settings, before, DELAY_S)
    assert_one_registry(settings.home, made)


@pytest.mark.parametrize(("step", "count"), [*PASSES, ("transaction.stored", 7)])
def test_a_new_home_gets_one_registry_though_it_dies_at_any_step(
    tmp_path: Path, step: str, count: int
) -> None:
    settings = settings_of(tmp_path / "home")
    killed_at(step, count, lambda: provision(settings, timelock_delay_s=DELAY_S))
    assert not (settings.home / "deployment.json").exists()
    assert_one_registry(settings.home, provision(settings, timelock_delay_s=DELAY_S))
