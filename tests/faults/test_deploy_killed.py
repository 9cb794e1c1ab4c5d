"""SIGKILL at every step of a deployment to a network: one contract, one log, whatever happened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_client.deploying.network import deploy_to_network
from chain_client.deploying.rehearsal import rehearse
from chain_client.errors import ConfigurationError
from chain_client.ledger import open_ledger
from chain_client.ledger.deployment import Deployment, check_deployment
from chain_client.types import to_hex
from tests.closing import everything_closed
from tests.forked import killed_at
from tests.integration.network.conftest import Place, _node, place
from tests.running_nodes import CHAIN_ID, running_anvil

__all__ = ["_node", "place"]

DELAY_S = 3600
TRANSACTIONS = 7
"""EventLog, its log, the registry, its registrar, the timelock, and the two of handing over."""

PASSES = [
    *(("deploy.keys.made", 1), ("deploy.begun", 1), ("provision.salt.made", 1)),
    *(("transaction.stored", count) for count in (1, 3)),
    *(("transaction.sent", count) for count in (2, 5)),
    *(("transaction.included", count) for count in (1, 4, 7)),
    *(("provision.registry.deployed", 1), ("deploy.recorded", 1)),
]


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    for delay_s in (None, DELAY_S):
        rehearse(CHAIN_ID, delay_s)  # once for all, and no child dies in a rehearsal
    with everything_closed():
        yield


@pytest.mark.parametrize(("step", "count"), PASSES)
def test_it_goes_on_where_it_broke_off(place: Place, step: str, count: int) -> None:
    place.give_keys()
    settings = place.settings()
    killed_at(step, count, lambda: deploy_to_network(settings, timelock_delay_s=DELAY_S))
    file = place.at() / "deployment.json"
    assert not file.exists()
    # Nobody has to remember the delay, once something was sent.
    again = DELAY_S if step == "deploy.keys.made" else None
    made = deploy_to_network(settings, timelock_delay_s=again)
    assert made == Deployment.read(file)
    assert made.timelock is not None
    ledger = open_ledger(settings)
    check_deployment(ledger, made)
    assert ledger.nonce(made.owner) == TRANSACTIONS
    ledger.close()
    assert not (place.at() / "deploying.json").exists()
    assert len(list((place.at() / "verification").iterdir())) == 6


def test_what_began_on_one_chain_is_not_finished_on_another(place: Place) -> None:
    place.give_keys()
    killed_at("transaction.included", 1, lambda: deploy_to_network(place.settings()))
    with running_anvil(chain_id=2) as other:
        with pytest.raises(ConfigurationError, match=r"began on chain 31337, but .* chain 2"):
            deploy_to_network(place.settings(ledger_url=other.url))
        assert other.block_number() == 0
    with pytest.raises(ConfigurationError, match="began without a timelock"):
        deploy_to_network(place.settings(), timelock_delay_s=DELAY_S)


@pytest.mark.parametrize("has_book", [False, True])
def test_a_lost_log_does_not_lead_to_a_second_contract(place: Place, has_book: bool) -> None:
    place.give_keys()
    step = "deploy.recorded" if has_book else "transaction.included"
    killed_at(step, 1, lambda: deploy_to_network(place.settings()))
    for file in place.at().glob("log.db*"):
        file.unlink()
    ledger = open_ledger(place.settings())
    owner = place.address("keystore:keys/owner.json")
    sent = ledger.nonce(owner)
    with pytest.raises(ConfigurationError, match=r"already.*EventLog 0x\w{40}.*log\.url"):
        deploy_to_network(place.settings())
    assert ledger.nonce(owner) == sent
    assert Path(place.at() / f"addresses/{CHAIN_ID}.json").exists() is has_book
    assert to_hex(owner)
    ledger.close()
