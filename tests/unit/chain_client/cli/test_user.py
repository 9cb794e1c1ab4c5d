"""`mlops-chain user`: names of addresses, signed by the owner, in the log when the command ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from chain_client.cli.governance import to_checksum
from chain_client.types import Address

Run = Callable[..., tuple[int, str, str]]
BOB = "0x507e1dd15d15e219e402f6eb30bddafbe5c1e104"


@pytest.fixture
def run(mlops_chain: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`mlops-chain --home … user …`"""
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")
    return lambda *words: mlops_chain("--home", home, "user", *words)


def _users(run: Run) -> dict[str, str]:
    listed = json.loads(run("list", "--json")[1])["users"]
    return {one["user"]: one["address"] for one in listed}


def test_a_binding_stands_when_the_command_ends_and_no_relay_runs(run: Run) -> None:
    assert run("bind", "bob", BOB) == (0, f"bound  bob {BOB}\n", "")
    assert _users(run) == {"bob": BOB}


def test_a_binding_is_replaced_and_removed_by_a_later_one(run: Run) -> None:
    run("bind", "bob", BOB)
    other = "0x" + "5" * 40
    assert run("bind", "bob", other)[0] == 0
    assert _users(run) == {"bob": other}
    assert run("bind", "bob", "--remove")[0] == 0
    assert _users(run) == {}
    code, _, err = run("bind", "bob", "--remove")
    assert code == 2
    assert "no address is bound to 'bob' (bound: none)" in err


def test_only_the_owners_key_binds(run: Run) -> None:
    code, out, err = run("bind", "bob", BOB, "--key", "keystore:keys/log-writer.json")
    assert (code, out) == (2, "")
    assert "names are bound by the deployment's owner" in err
    assert _users(run) == {}


def test_a_mistyped_address_is_refused(run: Run) -> None:
    good = to_checksum(Address(bytes.fromhex(BOB[2:])))
    place = next(i for i, char in enumerate(good) if char in "ABCDEF")
    bad = good[:place] + good[place].lower() + good[place + 1 :]
    code, _, err = run("bind", "bob", bad)
    assert code == 2
    assert "is mistyped" in err
    assert run("bind", "bob", good)[0] == 0
    assert run("bind", "zero", "0x" + "0" * 40)[0] == 2
    assert run("bind", "short", "0x12")[0] == 2
    assert _users(run) == {"bob": BOB}


def test_checksums_are_those_of_eip_55() -> None:
    for given in (
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ):
        assert to_checksum(Address(bytes.fromhex(given[2:].lower()))) == given
