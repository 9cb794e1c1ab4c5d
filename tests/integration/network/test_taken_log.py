"""A log's database belongs to one deployment: another one is refused before anything is sent."""

from __future__ import annotations

import json

import pytest

from chain_client.deploying.network import deploy_to_network, plan_deployment
from chain_client.deploying.rehearsal import rehearse
from chain_client.errors import ConfigurationError
from chain_client.home import OWNER_KEY
from chain_client.ledger.deployment import Deployment
from chain_client.provision import provision
from chain_client.types import to_hex
from tests.forked import killed_at
from tests.integration.network.conftest import KEYS, Place, Run
from tests.running_nodes import CHAIN_ID


@pytest.fixture(autouse=True)
def _rehearsed() -> None:
    rehearse(CHAIN_ID, None)  # once for all, so that no child dies in a rehearsal


def test_the_log_of_another_deployment_is_refused_before_anything_is_sent(
    deployed: Place, deployment: Deployment
) -> None:
    taken = f"sqlite:///{deployed.at()}/log.db"
    block = deployed.anvil.block_number()
    other = deployed.settings("other", log_url=taken)
    for refused in (plan_deployment, deploy_to_network):
        with pytest.raises(ConfigurationError, match="log of another deployment") as caught:
            refused(other)
        assert to_hex(deployment.log_id) in str(caught.value)
        assert "mlops-chain join" in str(caught.value)
    embedded = deployed.settings("embedded", log_url=taken, ledger_url="embedded:chain.db")
    with pytest.raises(ConfigurationError, match="log of another deployment"):
        provision(embedded)
    assert not (embedded.home / "chain.db").exists()
    assert deployed.anvil.block_number() == block


def test_a_log_with_which_another_deployment_has_begun_is_refused(place: Place) -> None:
    place.give_keys()
    killed_at("transaction.included", 1, lambda: deploy_to_network(place.settings()))
    other = place.settings("other", log_url=f"sqlite:///{place.at()}/log.db")
    with pytest.raises(ConfigurationError, match="has begun to deploy with it") as caught:
        deploy_to_network(other)
    assert to_hex(place.address(OWNER_KEY)) in str(caught.value)
    deploy_to_network(place.settings())


def test_what_a_half_done_deployment_waits_for_is_listed(
    place: Place, mlops_chain: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in place.environment().items():
        monkeypatch.setenv(name, value)
    place.give_keys()
    killed_at("transaction.stored", 1, lambda: deploy_to_network(place.settings()))
    code, out, err = mlops_chain("--home", place.at(), "tx", "list", "--json")
    assert code == 0, err
    (waits,) = json.loads(out)["transactions"]
    assert (waits["purpose"], waits["key_name"]) == ("deploy:EventLog", "owner")
    assert mlops_chain("--home", place.at(), "tx", "show", str(waits["id"]))[0] == 0


def test_doctor_examines_the_endpoints_before_anything_is_deployed(
    place: Place, mlops_chain: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in place.environment().items():
        monkeypatch.setenv(name, value)
    code, out, err = mlops_chain("--home", place.at(), "doctor", "--json")
    assert (code, err) == (1, "")
    checks = {check["name"]: check for check in json.loads(out)["checks"]}
    assert [name for name, check in checks.items() if not check["ok"]] == ["deployment"]
    assert "mlops-chain deploy --dry-run" in checks["deployment"]["detail"]
    assert "chain 31337 at block 3; what the endpoint shows is" in checks["chain"]["detail"]
    for part in (place.anvil.url, " ms, ", " gwei, ", "final 0 blocks", "keeps history"):
        assert part in checks["endpoint 1"]["detail"]
    assert "contracts" not in checks["endpoint 1"]["detail"]
    assert not place.at().exists()
    monkeypatch.setenv("MLOPS_CHAIN_LEDGER_URL", "http://127.0.0.1:9/")
    _, out, _ = mlops_chain("--home", place.at(), "doctor")
    assert out.count("127.0.0.1:9") == 1


@pytest.mark.parametrize("key", KEYS)
def test_a_key_of_the_first_chain_is_refused_for_the_second(
    deployed: Place, mlops_chain: Run, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    for name, value in deployed.environment(
        cross_ledger_url="embedded:second.db", cross_key=key
    ).items():
        monkeypatch.setenv(name, value)
    code, _, err = mlops_chain("--home", deployed.at(), "deploy", "--cross", "--yes")
    assert code == 2
    assert "a key can send to one chain only" in err
    assert not (deployed.at() / "cross-deployment.json").exists()
    assert not (deployed.at() / "second.db").exists()
