"""`mlops-chain deploy` on a real node: planned, refused, paid for, made once."""

from __future__ import annotations

import io
import json
import re
from functools import partial
from pathlib import Path

import pytest

from chain_client import ChainClient
from chain_client.errors import ConfigurationError
from chain_client.events import Subject
from chain_client.home import OWNER_KEY, WRITER_KEY
from chain_client.ledger import open_ledger
from chain_client.ledger.artifacts import load_artifact
from chain_client.ledger.deployment import Deployment, check_deployment
from chain_client.ledger.event_log import EventLogContract
from chain_client.ledger.model_registry import ADMIN_ROLE, REGISTRAR_ROLE, ModelRegistryContract
from chain_client.ledger.timelock import TimelockContract
from chain_client.signing.keccak import keccak256
from chain_client.types import from_hex, to_hex
from tests.integration.network.conftest import API_KEY, KEYS, Place, Run
from tests.running_nodes import running_anvil

ROLES = ("owner", "log writer", "registrar", "submitter")
DELAY = ("--timelock-delay", "1h")


@pytest.fixture
def chain(place: Place, mlops_chain: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command line, for a home on the node that is not there yet."""
    for name, value in place.environment().items():
        monkeypatch.setenv(name, value)
    return lambda *words: mlops_chain("--home", place.at(), *words)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_dry_run_tells_the_cost_and_leaves_no_trace(place: Place, chain: Run) -> None:
    block = place.anvil.block_number()
    code, out, err = chain("deploy", "--dry-run", *DELAY, "--json")
    assert (code, err) == (0, "")
    plan = json.loads(out)
    assert plan["cost_wei"] == plan["gas"] * plan["gas_price_wei"]
    assert 7_500_000 < plan["gas"] < 8_500_000
    assert plan["chain_id"] == 31337
    assert [step["contract"] for step in plan["steps"] if step["contract"]] == [
        *("EventLog", "ModelRegistry", "TimelockController")
    ]
    assert {key["role"] for key in plan["keys"]} == {
        *("owner", "log writer", "registrar", "submitter")
    }
    code, out, _ = chain("deploy", "--dry-run")
    assert code == 0
    assert "no timelock" in out
    assert "costs about" in out
    assert "nothing was written, and nothing was sent" in out
    assert API_KEY not in out
    assert not place.at().exists()
    assert place.anvil.block_number() == block


def test_nothing_is_sent_before_every_key_has_funds(place: Place, chain: Run) -> None:
    code, out, err = chain("deploy", "--yes")
    assert (code, out) == (2, "")
    lines = re.findall(r"(?m)^(0x\w{40})  (\w[\w ]+?) +([\d.]+) +([\d.]+)$", err)
    assert [(address, role) for address, role, *_ in lines] == [
        (to_hex(place.address(uri)), role) for uri, role in zip(KEYS, ROLES, strict=True)
    ]
    assert {float(has) for *_, has, _ in lines} == {0}
    assert min(float(more) for *_, more in lines) > 0
    code, out, err = chain("deploy", "--yes", "--json")
    assert (code, out) == (2, "")
    assert "nothing was sent" in err
    assert not (place.at() / "deployment.json").exists()
    for uri in KEYS:
        assert place.anvil.rpc("eth_getTransactionCount", to_hex(place.address(uri)), "latest") == (
            "0x0"
        )
    place.anvil.fund(place.address(OWNER_KEY))
    place.anvil.mine(1)  # a proof of the block before would not fit what was set by hand
    code, _, err = chain("deploy", "--yes")
    assert code == 2
    assert to_hex(place.address(OWNER_KEY)) not in err
    code, _, err = chain("deploy", "--yes", "--fund-later")
    assert code == 0, err


def test_the_whole_deployment_is_made_as_planned_and_recorded(place: Place, chain: Run) -> None:
    place.give_keys()
    plan = json.loads(chain("deploy", "--dry-run", *DELAY, "--json")[1])
    code, out, err = chain("deploy", *DELAY, "--yes", "--json")
    assert code == 0, err
    done = json.loads(out)
    planned = {s["contract"]: s["address"] for s in plan["steps"] if s["contract"]}
    assert planned == {
        "EventLog": done["event_log"],
        "ModelRegistry": done["registry"],
        "TimelockController": done["timelock"],
    }
    made = Deployment.read(place.at() / "deployment.json")
    ledger = open_ledger(place.settings())
    check_deployment(ledger, made)
    assert made.registry is not None
    assert made.timelock is not None
    registry = ModelRegistryContract(ledger, made.registry)
    assert registry.has_role(ADMIN_ROLE, made.timelock)
    assert not registry.has_role(ADMIN_ROLE, made.owner)
    assert registry.has_role(REGISTRAR_ROLE, place.address(KEYS[2]))
    assert TimelockContract(ledger, made.timelock).min_delay_s() == 3600
    log = EventLogContract(ledger, made.event_log)
    assert log.log(made.log_id).writer == place.address(WRITER_KEY)
    assert log.owner() == place.address(OWNER_KEY)

    book = json.loads((place.at() / "addresses/31337.json").read_text())
    used = 0
    for name, entry in book["contracts"].items():
        assert entry["address"] == planned[name]
        receipt = place.anvil.rpc("eth_getTransactionReceipt", entry["transaction"])
        assert int(receipt["blockNumber"], 16) == entry["block_number"]
        code_there = from_hex(place.anvil.rpc("eth_getCode", entry["address"], "latest"))
        assert to_hex(keccak256(code_there)) == entry["code_hash"]
        sent = place.anvil.rpc("eth_getTransactionByHash", entry["transaction"])["input"]
        shown = json.loads((place.at() / f"verification/{name}.json").read_text())
        given = shown["constructor_arguments"].removeprefix("0x")
        assert sent == to_hex(load_artifact(name).bytecode) + given
        pure = json.loads((place.at() / f"verification/{name}.standard-input.json").read_text())
        assert pure == shown["standard_json_input"]
        used += int(receipt["gasUsed"], 16)
    expected = sum(s["gas"] for s in plan["steps"] if s["contract"])
    assert abs(used - expected) < expected / 1000
    ledger.close()

    leaks = [name for name, content in files_of(place.at()).items() if API_KEY.encode() in content]
    assert leaks == []
    assert API_KEY not in out + err


def test_a_deployed_home_is_never_deployed_again(deployed: Place, run: Run) -> None:
    before, block = files_of(deployed.at()), deployed.anvil.block_number()
    made = Deployment.read(deployed.at() / "deployment.json")
    for words in (("deploy", "--yes"), ("deploy", "--dry-run"), ("deploy", *DELAY, "--yes")):
        code, out, err = run(*words)
        assert (code, out) == (2, "")
        assert made.registry is not None
        for address in (made.event_log, made.registry):
            assert to_hex(address) in err
        assert "Nothing was changed" in err
    assert files_of(deployed.at()) == before
    assert deployed.anvil.block_number() == block


def test_in_a_home_that_is_not_deployed_yet_deploy_is_named(place: Place, chain: Run) -> None:
    place.give_keys()
    for words in (("verify",), ("tx", "list"), ("status",), ("key", "new", "auditor")):
        code, out, err = chain(*words)
        assert (code, out) == (2, "")
        assert "there is no home at" in err
        assert "run `mlops-chain deploy`" in err
        assert "mlops-chain init" not in err


def test_where_gas_is_free_it_is_deployed_and_anchored_without_any_coin(
    place: Place, mlops_chain: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = ("--block-base-fee-per-gas", "0", "--gas-price", "0", "--disable-min-priority-fee")
    with running_anvil(*free) as anvil:
        assert int(anvil.rpc("eth_maxPriorityFeePerGas"), 16) > 0
        for name, value in {**place.environment(), "MLOPS_CHAIN_LEDGER_URL": anvil.url}.items():
            monkeypatch.setenv(name, value)
        settings = place.settings(ledger_url=anvil.url)
        run = partial(mlops_chain, "--home", settings.home)
        code, out, err = run("deploy", "--dry-run")
        assert (code, err) == (0, "")
        assert "gas is free" in out
        assert "none of which needs any coin" in out
        code, _, err = run("deploy", "--yes")
        assert code == 0, err
        client = ChainClient.open(settings)
        client.recorder.note("item.seen", Subject("", "item", "a"), {"number": 1})
        client.recorder.close()
        client.close()
        assert run("relay", "--once")[0] == 0
        assert json.loads(run("status", "--json")[1])["head"]["size"] >= 1
        (anchored,) = json.loads(run("tx", "list", "--all", "--limit", "1", "--json")[1])[
            "transactions"
        ]
        assert (anchored["key_name"], anchored["max_fee_wei"]) == ("log-writer", 0)
        assert anchored["receipt"]["succeeded"] is True
        for uri in KEYS:
            assert anvil.rpc("eth_getBalance", to_hex(place.address(uri)), "latest") == "0x0"
        out = run("doctor")[1]
        assert "gas is free" in out
        assert "needs" not in out


def test_where_nobody_can_be_asked_yes_is_named(
    place: Place, chain: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.give_keys()
    monkeypatch.setattr("sys.stdin", io.StringIO())
    code, _, err = chain("deploy")
    assert code == 2
    assert "Give --yes" in err
    assert place.anvil.block_number() == 3


def test_declining_sends_nothing(place: Place, chain: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    place.give_keys()
    monkeypatch.setattr("click.confirm", lambda text: False)
    block = place.anvil.block_number()
    code, out, err = chain("deploy")
    assert code == 2
    assert "aborted" in err
    assert "deploy ModelRegistry" in out
    assert place.anvil.block_number() == block
    assert not (place.at() / "deployment.json").exists()


def test_nothing_is_deployed_to_a_network_by_the_way(place: Place, chain: Run) -> None:
    place.give_keys("funded")
    code, _, err = chain("init")
    assert code == 2
    assert "mlops-chain deploy --dry-run" in err
    for home in ("home", "funded"):
        with pytest.raises(ConfigurationError, match="mlops-chain deploy"):
            ChainClient.open(place.settings(home), create=True)
    assert not place.at().exists()
    assert place.anvil.block_number() == 3


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--hardfork", "paris"), r"does not know PUSH0 \(EIP-3855.*evmVersion cancun"),
        (("--hardfork", "shanghai"), r"does not know MCOPY \(EIP-5656.*evmVersion cancun"),
        (("--gas-limit", "3000000"), r"holds 3,000,000 gas, but to deploy ModelRegistry"),
    ],
)
def test_a_chain_that_can_not_run_the_contracts_is_refused(
    place: Place, chain: Run, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], text: str
) -> None:
    place.give_keys()
    with running_anvil(*options, funded=[place.address(uri) for uri in KEYS]) as anvil:
        monkeypatch.setenv("MLOPS_CHAIN_LEDGER_URL", anvil.url)
        code, _, err = chain("deploy", "--yes")
        assert code == 2
        assert re.search(text, err)
        assert anvil.block_number() == 0


def test_on_an_embedded_chain_it_says_what_to_use(
    chain: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLOPS_CHAIN_LEDGER_URL")
    code, _, err = chain("deploy", "--dry-run")
    assert code == 2
    assert "mlops-chain init" in err


def test_a_lost_deployment_file_is_made_again_from_the_log_and_the_chain(
    deployed: Place, run: Run
) -> None:
    file = deployed.at() / "deployment.json"
    made = Deployment.read(file)
    block = deployed.anvil.block_number()
    file.unlink()
    code, _, err = run("deploy", "--yes")
    assert code == 0, err
    assert Deployment.read(file) == made
    assert made.timelock is not None
    assert deployed.anvil.block_number() == block


def test_a_timelock_can_be_added_later_and_stands_in_the_address_book(
    place: Place, chain: Run
) -> None:
    place.give_keys()
    assert chain("deploy", "--yes")[0] == 0
    book = place.at() / "addresses/31337.json"
    before = json.loads(book.read_text())["contracts"]
    code, out, err = chain("init", *DELAY, "--json")
    assert code == 0, err
    after = json.loads(book.read_text())["contracts"]
    assert after["TimelockController"]["address"] == json.loads(out)["timelock"]
    assert {name: after[name] for name in before} == before
    assert (place.at() / "verification/TimelockController.json").exists()
