"""`mlops-chain tx`: what waits is shown, sent again or cancelled, and no relay is fought."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chain_client.client import ChainClient
from chain_client.config import Settings
from chain_client.errors import LedgerUnavailable
from chain_client.home import OWNER_KEY, WRITER_KEY
from chain_client.ledger import Call
from chain_client.ledger.deployment import Deployment
from chain_client.log import Log
from chain_client.log.holders import this_process
from chain_client.relay.held_lease import LEASE
from chain_client.signing import open_signer
from chain_client.transactions import TransactionQueue, key_lease_name
from chain_client.types import Address, TxHash, to_hex

Run = Callable[..., tuple[int, str, str]]
NOWHERE = Address(b"\x77" * 20)


class Silent:
    """A ledger whose answer to a send is always lost before the node got it."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def send(self, raw: bytes) -> TxHash:
        raise LedgerUnavailable("the network is away")


@contextmanager
def opened(home: Path) -> Iterator[ChainClient]:
    settings = Settings.from_environment({}, home.parent, home=home)
    client = ChainClient(settings, Deployment.read(home / "deployment.json"))
    try:
        yield client
    finally:
        client.close()


def leave_behind(home: Path, uri: str, purpose: str) -> int:
    """A transaction that was stored and never reached the chain, by a process that is gone."""
    with opened(home) as client:
        signer = open_signer(uri, base=home)
        lease = client.log.acquire_lease(key_lease_name(signer.address()), "gone", 60)
        queue = TransactionQueue(
            client.log.engine,
            Silent(client.ledger),
            signer,
            lease=lambda: lease,
            chain_id=client.deployment.chain_id,
        )
        tx_id = queue.submit(Call(NOWHERE, b"data"), purpose)
        client.log.release(lease)
        return tx_id


@pytest.fixture
def stuck(home: Path) -> int:
    return leave_behind(home, OWNER_KEY, "test:one")


def document(run: Run, home: Path, *words: object) -> dict[str, Any]:
    code, out, err = run("--home", home, "tx", *words, "--json")
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    assert found["ok"] is True
    return found


def code_and_error(run: Run, home: Path, *words: object) -> tuple[int, str]:
    code, out, err = run("--home", home, "tx", *words)
    assert out == ""
    return code, " ".join(err.split())


def test_a_fresh_home_has_only_final_transactions(mlops_chain: Run, home: Path) -> None:
    assert document(mlops_chain, home, "list")["transactions"] == []
    assert "all transactions are final" in mlops_chain("--home", home, "tx", "list")[1]
    found = document(mlops_chain, home, "list", "--all")["transactions"]
    assert found
    assert {one["status"] for one in found} == {"finalized"}
    assert all(one["receipt"]["succeeded"] for one in found)
    assert len(document(mlops_chain, home, "list", "--all", "--limit", 1)["transactions"]) == 1


def test_what_waits_is_listed_and_shown_with_its_attempts(
    mlops_chain: Run, home: Path, stuck: int
) -> None:
    (one,) = document(mlops_chain, home, "list")["transactions"]
    assert (one["id"], one["status"], one["key_name"]) == (stuck, "signed", "owner")
    assert (one["purpose"], one["attempts"], one["receipt"]) == ("test:one", 1, None)
    assert 0 <= one["age_s"] < 60
    out = mlops_chain("--home", home, "tx", "list")[1]
    headings, line = out.splitlines()
    assert headings.split() == ["id", "status", "key", "nonce", "age", "gwei", "tries", "for"]
    cells = re.split(r"  +", line)
    assert cells[:4] == [str(stuck), "signed", "owner", str(one["nonce"])]
    assert cells[6:] == ["1", "test:one"]
    shown = document(mlops_chain, home, "show", stuck)
    assert [attempt["kind"] for attempt in shown["signed"]] == ["call"]
    assert shown["signed"][0]["transaction"] == one["transaction"]
    assert shown["signed"][0]["on_chain"] is False
    out = mlops_chain("--home", home, "tx", "show", stuck)[1]
    assert "for test:one" in out
    assert one["key"] in out


def test_a_log_without_any_transaction_is_not_said_to_have_final_ones(
    mlops_chain: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(f"sqlite:///{tmp_path}/empty.db")
    log.create()
    log.close()
    monkeypatch.setenv("MLOPS_CHAIN_LOG_URL", f"sqlite:///{tmp_path}/empty.db")
    for words in ((), ("--all",)):
        out = mlops_chain("--home", home, "tx", "list", *words)[1]
        assert "no transaction is stored" in out
        assert "final" not in out


@pytest.mark.parametrize("columns", [80, 120])
def test_an_anchor_takes_one_line_of_a_list_and_its_hash_is_whole_when_shown(
    mlops_chain: Run, home: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    purpose = f"anchor:0x{'e22d' * 15}471a:1207"
    stuck = leave_behind(home, WRITER_KEY, purpose)
    monkeypatch.setenv("COLUMNS", str(columns))
    out = mlops_chain("--home", home, "tx", "list")[1].splitlines()
    assert len(out) == 2
    assert out[1].endswith("  anchor:0xe22d…471a:1207")
    assert max(map(len, out)) <= 80
    (one,) = document(mlops_chain, home, "show", stuck)["signed"]
    shown = mlops_chain("--home", home, "tx", "show", stuck)[1]
    assert f"    {one['transaction']}" in shown.splitlines()
    assert purpose in "".join(line.strip() for line in shown.splitlines())
    assert max(map(len, shown.splitlines())) <= columns


def test_retry_brings_it_on_chain(mlops_chain: Run, home: Path, stuck: int) -> None:
    now = document(mlops_chain, home, "retry", stuck)
    assert (now["status"], now["receipt"]["succeeded"]) == ("finalized", True)
    with opened(home) as client:
        assert client.ledger.receipt(TxHash(bytes.fromhex(now["transaction"][2:]))) is not None
    assert document(mlops_chain, home, "show", stuck)["signed"][0]["on_chain"] is True
    assert document(mlops_chain, home, "list")["transactions"] == []


def test_retry_of_what_is_final_changes_nothing(mlops_chain: Run, home: Path, stuck: int) -> None:
    before = document(mlops_chain, home, "retry", stuck)
    again = document(mlops_chain, home, "retry", stuck)
    assert before | {"age_s": 0} == again | {"age_s": 0}


def test_cancel_uses_the_nonce_up_for_nothing(mlops_chain: Run, home: Path, stuck: int) -> None:
    now = document(mlops_chain, home, "cancel", stuck, "--yes")
    assert (now["status"], now["is_cancel"], now["attempts"]) == ("cancelled", True, 2)
    signed = document(mlops_chain, home, "show", stuck)["signed"]
    assert [(one["kind"], one["on_chain"]) for one in signed] == [("call", False), ("cancel", True)]
    with opened(home) as client:
        owner = open_signer(OWNER_KEY, base=home).address()
        assert client.ledger.nonce(owner) == now["nonce"] + 1
    out = mlops_chain("--home", home, "tx", "show", stuck)[1]
    assert "cancelled" in out
    code, err = code_and_error(mlops_chain, home, "cancel", stuck, "--yes")
    assert code == 2
    assert "only what no block holds can be cancelled" in err


def test_cancel_asks_first(
    mlops_chain: Run, home: Path, stuck: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda text: "n")
    code, out, err = mlops_chain("--home", home, "tx", "cancel", stuck)
    assert (code, err) == (2, "error: aborted\n")
    assert "test:one" in out
    assert document(mlops_chain, home, "show", stuck)["attempts"] == 1
    code, err = code_and_error(mlops_chain, home, "cancel", stuck, "--json")
    assert code == 2
    assert "give --yes too" in err


@pytest.mark.parametrize("words", [("retry",), ("cancel", "--yes")])
def test_the_running_relay_is_not_fought(
    mlops_chain: Run, home: Path, words: tuple[str, ...]
) -> None:
    stuck = leave_behind(home, WRITER_KEY, "anchor:0xabc:7")
    with opened(home) as client:
        lease = client.log.acquire_lease(LEASE, "relay-host/abc:123", 60)
        code, err = code_and_error(mlops_chain, home, *words, stuck)
        assert code == 2
        assert "relay-host/abc:123 works with this key" in err
        assert "nothing was done" in err
        assert document(mlops_chain, home, "show", stuck)["attempts"] == 1
        client.log.release(lease)
    assert document(mlops_chain, home, *words, stuck)["receipt"]["succeeded"] is True


def test_no_relay_sits_down_at_a_key_that_is_worked_with(
    mlops_chain: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = leave_behind(home, WRITER_KEY, "anchor:0xabc:7")
    held: list[str] = []

    def look(queue: TransactionQueue, tx_id: int, **_: object) -> Any:
        with opened(home) as client:
            for name in (LEASE, key_lease_name(queue.sender)):
                lease = client.log.holder(name)
                assert lease is not None
                held.append(lease.holder)
        return queue.get(tx_id)

    monkeypatch.setattr(TransactionQueue, "retry", look)
    document(mlops_chain, home, "retry", stuck)
    assert held == [this_process()] * 2
    with opened(home) as client:
        assert client.log.holder(LEASE) is None


def test_another_command_with_the_key_is_not_fought(
    mlops_chain: Run, home: Path, stuck: int
) -> None:
    with opened(home) as client:
        owner = open_signer(OWNER_KEY, base=home).address()
        client.log.acquire_lease(key_lease_name(owner), "elsewhere:1", 60)
    code, err = code_and_error(mlops_chain, home, "retry", stuck)
    assert code == 2
    assert "elsewhere:1 works with this key" in err


def test_a_relay_does_not_keep_other_keys_from_being_seen_to(
    mlops_chain: Run, home: Path, stuck: int
) -> None:
    with opened(home) as client:
        client.log.acquire_lease(LEASE, "relay-host/abc:123", 60)
    assert document(mlops_chain, home, "retry", stuck)["status"] == "finalized"


def test_a_transaction_that_is_not_there_is_named(mlops_chain: Run, home: Path) -> None:
    for words in (("show", 999), ("retry", 999), ("cancel", 999, "--yes")):
        code, err = code_and_error(mlops_chain, home, *words)
        assert code == 2
        assert "no transaction 999 is stored" in err


def test_another_key_is_refused_and_a_key_that_is_elsewhere_can_be_named(
    mlops_chain: Run, home: Path, stuck: int, tmp_path: Path
) -> None:
    code, err = code_and_error(mlops_chain, home, "retry", stuck, "--key", WRITER_KEY)
    assert code == 2
    assert f"transaction {stuck} was signed by" in err
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (home / "keys/owner.json").rename(elsewhere / "owner.json")
    (elsewhere / "password").write_text((home / "keys/password").read_text())
    code, err = code_and_error(mlops_chain, home, "retry", stuck)
    assert code == 2
    assert "is not in this home" in err
    words = ("retry", stuck, "--key", f"keystore:{elsewhere}/owner.json")
    assert document(mlops_chain, home, *words)["status"] == "finalized"


def test_a_transaction_of_a_chain_that_is_not_known_is_not_sent(
    mlops_chain: Run, home: Path, stuck: int
) -> None:
    file = home / "deployment.json"
    told = json.loads(file.read_text())
    told["chain_id"] += 1
    file.write_text(json.dumps(told))
    code, err = code_and_error(mlops_chain, home, "retry", stuck)
    assert code == 2
    assert "which this home does not know" in err


def test_what_a_purpose_hides_is_escaped(mlops_chain: Run, home: Path) -> None:
    leave_behind(home, OWNER_KEY, "test:\x1b[31m[bold]red")
    for words in (
        ("list",),
        ("show", document(mlops_chain, home, "list")["transactions"][0]["id"]),
    ):
        out = mlops_chain("--home", home, "tx", *words)[1]
        assert "\x1b" not in out
        assert "\\u001b[31m[bold]red" in out


def test_addresses_are_whole_in_json(mlops_chain: Run, home: Path, stuck: int) -> None:
    owner = open_signer(OWNER_KEY, base=home).address()
    assert document(mlops_chain, home, "show", stuck)["key"] == to_hex(owner)
