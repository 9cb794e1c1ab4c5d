"""A real node as the second chain: deployed, paid for, anchored on, and verified there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chain_client import ChainClient
from chain_client.events import Subject
from chain_client.signing import open_signer
from tests.running_nodes import RunningNode, running_anvil

Run = Callable[..., tuple[int, str, str]]
PAST = ("chain/embedded.db", "log.db")
SECRET = "/?key=an-access-key"


@pytest.fixture(scope="module")
def public() -> Iterator[RunningNode]:
    with running_anvil("--no-mining", "--slots-in-an-epoch", "1") as node:
        node.rpc("anvil_setIntervalMining", 1)
        yield node


def test_heads_of_an_embedded_chain_come_to_a_public_one_which_tells_of_another_past(
    public: RunningNode, home: Path, mlops_chain: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(home))
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")
    monkeypatch.setenv("MLOPS_CHAIN_CROSS_LEDGER_URL", public.url + SECRET)
    monkeypatch.setenv("MLOPS_CHAIN_CROSS_EVERY_S", "0.001")
    code, out, err = mlops_chain("deploy", "--cross", "--dry-run")
    assert code == 0, err
    assert "second chain 31337 at " in out
    assert "costs at most 0." in out
    assert "not made yet" in out
    assert not (home / "keys" / "cross-writer.json").exists()
    code, _, err = mlops_chain("deploy", "--cross", "--yes")
    key = open_signer("keystore:keys/cross-writer.json", base=home).address()
    assert code == 2
    assert "0x" + key.hex() in err
    assert "Send it that" in err
    public.fund(key)
    public.mine(1)  # what is in no block can not be proved
    code, out, err = mlops_chain("deploy", "--cross", "--yes", "--json")
    assert code == 0, err
    file = (home / "cross-deployment.json").read_text()
    assert json.loads(out)["event_log"] == json.loads(file)["event_log"]
    assert SECRET not in file + out + err
    for name in PAST:
        shutil.copy(home / name, home / f"{name}.empty")
    note(3)
    assert mlops_chain("relay", "--once")[0] == 0
    public.mine(3)
    code, out, _ = mlops_chain("verify", "--json")
    assert code == 0, out
    (check,) = [c for c in json.loads(out)["checks"] if c["name"] == "cross"]
    size = json.loads(mlops_chain("status", "--json")[1])["cross"]["size"]
    assert size >= 3
    assert check["detail"].startswith(f"{size} of {size} entries, on chain 31337 since block")
    doctor = json.loads(mlops_chain("doctor", "--json")[1])["checks"]
    assert next(c["ok"] for c in doctor if c["name"] == "cross")
    # The private chain's keeper begins anew, with the same contracts, and makes up another past.
    for name in PAST:
        shutil.copy(home / f"{name}.empty", home / name)
    monkeypatch.delenv("MLOPS_CHAIN_CROSS_LEDGER_URL")
    note(9)
    assert mlops_chain("relay", "--once")[0] == 0
    monkeypatch.setenv("MLOPS_CHAIN_CROSS_LEDGER_URL", public.url + SECRET)
    code, out, _ = mlops_chain("verify", "--json")
    assert code == 1
    assert [f["kind"] for f in json.loads(out)["findings"]] == ["cross_log_rewritten"]
    assert [c["name"] for c in json.loads(out)["checks"] if not c["ok"]] == ["cross"]
    assert mlops_chain("relay", "--once")[0] == 0
    assert mlops_chain("alarm", "list")[1].split()[1] == "cross_anchor"


def note(count: int) -> None:
    client = ChainClient.open()
    for number in range(count):
        client.recorder.note("item.seen", Subject("", "item", "a"), {"number": number})
    client.recorder.close()
    client.close()
