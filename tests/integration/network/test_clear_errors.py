"""What stands between a home and its network is named: by `doctor`, and by whoever is stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from chain_client import ChainClient
from chain_client.deploying.network import deploy_to_network
from chain_client.errors import ContractReverted, TransactionRejected
from chain_client.home import OWNER_KEY, WRITER_KEY
from chain_client.ledger.deployment import Deployment
from chain_client.ledger.event_log import explain
from chain_client.registry.sending import Sender
from chain_client.signing import create_keystore, open_signer
from chain_client.types import LogId, to_hex
from tests.integration.network.conftest import API_KEY, KEYS, Place, Run
from tests.running_nodes import running_anvil

Checks = dict[str, dict[str, Any]]


def examine(run: Run) -> Checks:
    _, out, err = run("doctor", "--json")
    assert API_KEY not in out + err
    return {check["name"]: check for check in json.loads(out)["checks"]}


def failed(checks: Checks) -> dict[str, str]:
    return {name: check["detail"] for name, check in checks.items() if not check["ok"]}


@pytest.fixture
def another_chain() -> Iterator[str]:
    with running_anvil(chain_id=2) as other:
        yield other.url


def test_of_a_sound_home_every_endpoint_is_measured(run: Run, deployed: Place) -> None:
    checks = examine(run)
    assert failed(checks) == {}
    said = checks["endpoint 1"]["detail"]
    assert said.startswith(deployed.anvil.url + ": chain 31337 at block ")
    for part in (" ms, ", " gwei, ", "final 0 blocks", "contracts whole", "keeps history"):
        assert part in said
    assert "confirmed by a proof" in checks["chain"]["detail"]
    for role in ("log writer", "registrar", "submitter"):
        assert f"{role} 0x" in checks["balances"]["detail"]


def test_a_second_endpoint_is_examined_alone(
    run: Run, deployed: Place, another_chain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_CHAIN_LEDGER_URL", f"{deployed.url},{another_chain}")
    bad = failed(examine(run))
    assert set(bad) == {"endpoint 2"}
    assert "is of chain 2, but chain 31337 is expected" in bad["endpoint 2"]
    monkeypatch.setenv("MLOPS_CHAIN_LEDGER_URL", f"{deployed.url},{deployed.anvil.url}")
    assert "another one confirms" in examine(run)["chain"]["detail"]


@pytest.mark.parametrize("words", [("relay", "--once"), ("verify",), ("policy", "show")])
def test_a_wrong_chain_is_refused(
    run: Run,
    deployed: Place,
    another_chain: str,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
) -> None:
    monkeypatch.setattr("os.nice", lambda increment: 0)
    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    monkeypatch.setenv("MLOPS_CHAIN_LEDGER_URL", another_chain)
    code, out, err = run(*words)
    assert code != 0
    assert "chain 2" in out + err
    assert "31337" in out + err
    assert "Traceback" not in out + err


@pytest.mark.parametrize("words", [("relay", "--once"), ("verify",), ("policy", "show")])
def test_changed_code_is_refused(
    run: Run,
    deployed: Place,
    deployment: Deployment,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
) -> None:
    monkeypatch.setattr("os.nice", lambda increment: 0)
    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    # However long the chain takes to answer: a relay does not end before it has heard it.
    monkeypatch.setattr("chain_client.relay.draining._POLL_S", 0.001)
    assert deployment.registry is not None
    for address in (deployment.event_log, deployment.registry):
        deployed.anvil.rpc("anvil_setCode", to_hex(address), "0x60006000f3")
    code, out, err = run(*words)
    assert code != 0
    assert "has the code 0x" in out + err
    assert to_hex(deployment.code_hash)[:10] in out + err
    bad = failed(examine(run))
    assert {"chain", "endpoint 1"} <= set(bad)


def test_a_chain_that_is_down_is_said_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_CHAIN_LEDGER_URL", "http://127.0.0.1:9/")
    checks = examine(run)
    said = [name for name, check in checks.items() if "127.0.0.1:9" in check["detail"]]
    assert said == ["chain"]
    assert set(failed(checks)) == {
        *("chain", "endpoint 1", "rights", "balances", "clock", "registry")
    }
    assert "could not be asked" in checks["log"]["detail"]


def test_a_setting_that_is_missing_or_not_understood_is_named(
    run: Run, deployed: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_CHAIN_LEDGER_HEADERS", "no header")
    code, out, err = run("status")
    assert (code, out) == (2, "")
    assert "ledger.headers" in err
    monkeypatch.delenv("MLOPS_CHAIN_LEDGER_HEADERS")
    monkeypatch.delenv("MLOPS_CHAIN_LEDGER_URL")
    for words in (("status",), ("relay", "--once"), ("verify",)):
        code, out, err = run(*words)
        assert (code, out) == (2, "")
        assert "set ledger.url to your endpoint of that chain" in err
        assert deployed.anvil.url in err
        assert "backup" not in err


def test_an_empty_key_is_named_with_what_it_needs(run: Run, deployed: Place) -> None:
    writer = deployed.address(WRITER_KEY)
    deployed.anvil.fund(writer, wei=0)
    bad = failed(examine(run))
    assert set(bad) == {"balances"}
    assert f"log writer {to_hex(writer)} has 0, needs 0." in bad["balances"]


def test_a_key_without_balance_sends_nothing_and_says_so(deployed: Place) -> None:
    deployed.anvil.fund(deployed.address(OWNER_KEY), wei=0)
    client = ChainClient.open(deployed.settings())
    call = client.contract.rotate_writer_call(client.deployment.log_id, client.deployment.owner)
    signer = open_signer(OWNER_KEY, base=client.home)
    sender = Sender(client.log, client.ledger, client.deployment.chain_id)
    with pytest.raises(TransactionRejected, match="send funds") as caught:
        sender.send(signer, call, "test:rotate", explain)
    assert caught.value.reason == "insufficient_funds"
    client.close()


def test_a_key_without_its_role_is_named(run: Run, deployed: Place) -> None:
    keys = deployed.at() / "keys"
    for name in ("log-writer", "registrar", "owner"):
        (keys / f"{name}.json").unlink()
        create_keystore(keys / f"{name}.json")
    deployed.anvil.fund(*(deployed.address(uri) for uri in KEYS))
    bad = failed(examine(run))
    assert set(bad) == {"rights", "registry"}
    for part in ("may anchor", "role registrar", "owns EventLog", "proposes to it"):
        assert part in bad["rights"]
    assert to_hex(deployed.address(WRITER_KEY)) in bad["rights"]


def test_a_key_without_its_role_is_told_so_by_the_contract(deployed: Place) -> None:
    client = ChainClient.open(deployed.settings())
    call = client.contract.open_log_call(LogId(bytes(31) + b"\7"), client.deployment.writer)
    sender = Sender(client.log, client.ledger, client.deployment.chain_id)
    with pytest.raises(ContractReverted, match="not the owner of the contract") as caught:
        sender.send(open_signer(WRITER_KEY, base=client.home), call, "test:open", explain)
    assert caught.value.name == "OwnableUnauthorizedAccount"
    client.close()


def test_an_endpoint_that_is_no_archive_is_named(
    place: Place, mlops_chain: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.give_keys()
    addresses = [place.address(uri) for uri in KEYS]
    with running_anvil("--prune-history", funded=addresses) as anvil:
        deploy_to_network(place.settings(ledger_url=anvil.url))
        anvil.mine(20)
        for name, value in place.environment(ledger_url=anvil.url).items():
            monkeypatch.setenv(name, value)
        checks = examine(lambda *words: mlops_chain("--home", place.at(), *words))
        assert "keeps no history" in checks["endpoint 1"]["detail"]
