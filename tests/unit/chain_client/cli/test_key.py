"""`mlops-chain key`: keys are made whole, never replaced, and their passwords are not shown."""

from __future__ import annotations

import io
import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from chain_client.signing import open_signer
from chain_client.types import to_hex

Run = Callable[..., tuple[int, str, str]]
PASSWORD = "a long password of bob"
ADDRESS = "0x" + "a" * 40


@pytest.fixture
def bob(mlops_chain: Run, tmp_path: Path) -> Path:
    """A keystore outside every home."""
    (tmp_path / "pw").write_text(PASSWORD + "\n")
    file = tmp_path / "bob" / "bob.json"
    code, out, err = mlops_chain("key", "new", "--file", file, "--password-file", tmp_path / "pw")
    assert (code, err) == (0, "")
    assert PASSWORD not in out
    return file


def test_a_key_outside_needs_no_home_and_opens_with_its_password(bob: Path) -> None:
    assert stat.S_IMODE(bob.stat().st_mode) == 0o600
    assert [file.name for file in bob.parent.iterdir()] == ["bob.json"]
    signer = open_signer(f"keystore:{bob}", base=bob.parent, password=PASSWORD)
    assert len(signer.address()) == 20


def test_a_password_may_be_in_a_variable(
    mlops_chain: Run, bob: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOBS", PASSWORD)
    code, out, _ = mlops_chain("key", "address", bob, "--password-env", "BOBS", "--json")
    assert (code, json.loads(out)["checked"]) == (0, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--password-env", "NOT_SET"], "NOT_SET (--password-env) is not set"),
        (["--password-env", PASSWORD], "takes the name of a variable"),
        (["--password-file", "none"], "can't be read from none"),
        (["--password-file", "empty"], "is empty"),
        (["--password-file", "wrong"], "wrong password, or a damaged file"),
        (["--password-file", "wrong", "--password-env", "NOT_SET"], "not both"),
    ],
)
def test_a_password_that_is_not_there_or_wrong_is_named_and_never_shown(
    mlops_chain: Run, bob: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "wrong").write_text("not it at all")
    code, out, err = mlops_chain("key", "address", bob, *words)
    assert (code, out) == (2, "")
    assert said in err
    assert PASSWORD not in err
    assert "not it at all" not in err


def test_nobody_to_ask_is_an_error_and_no_wait(
    mlops_chain: Run, bob: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD))
    code, _, err = mlops_chain("key", "address", bob, "--check")
    assert code == 2
    assert "nobody can be asked here" in err
    code, _, err = mlops_chain("key", "new", "--file", tmp_path / "carol.json")
    assert code == 2
    assert "--password-file or --password-env" in err
    assert not (tmp_path / "carol.json").exists()


def test_a_key_is_never_replaced(mlops_chain: Run, bob: Path, home: Path, tmp_path: Path) -> None:
    before = bob.read_bytes()
    code, _, err = mlops_chain("key", "new", "--file", bob, "--password-file", tmp_path / "pw")
    assert (code, bob.read_bytes()) == (2, before)
    assert "it is not replaced" in err
    owner = (home / "keys/owner.json").read_bytes()
    assert mlops_chain("--home", home, "key", "new", "owner")[0] == 2
    assert (home / "keys/owner.json").read_bytes() == owner


def test_a_key_of_the_home_is_usable_at_once_and_warned_of(mlops_chain: Run, home: Path) -> None:
    code, out, err = mlops_chain("--home", home, "key", "new", "ci", "--json")
    made = json.loads(out)
    assert (code, made["uri"]) == (0, "keystore:keys/ci.json")
    assert "An approver's key never belongs here" in " ".join(err.split())
    assert to_hex(open_signer(made["uri"], base=home).address()) == made["address"]
    listed = json.loads(mlops_chain("--home", home, "key", "list", "--json")[1])["keys"]
    assert {"uri": made["uri"], "address": made["address"], "purpose": ""} in listed
    assert {one["uri"] for one in listed} >= {
        "keystore:keys/owner.json",
        "keystore:keys/log-writer.json",
    }


def test_a_file_in_the_home_is_warned_of_like_a_name(
    mlops_chain: Run, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "pw").write_text(PASSWORD)
    words = ("key", "new", "--file", home / "keys/dan.json", "--password-file", tmp_path / "pw")
    code, _, err = mlops_chain("--home", home, *words)
    assert code == 0
    assert "never belongs here" in " ".join(err.split())


@pytest.mark.parametrize("name", ["../outside", "a/b", "", ".hidden", "-x"])
def test_a_name_that_leaves_the_folder_is_refused(mlops_chain: Run, home: Path, name: str) -> None:
    before = sorted(home.rglob("*"))
    assert mlops_chain("--home", home, "key", "new", "--", name)[0] == 2
    assert sorted(home.rglob("*")) == before


def test_a_damaged_keystore_is_named_beside_the_others(mlops_chain: Run, home: Path) -> None:
    (home / "keys/odd.json").write_text("[]")
    code, out, err = mlops_chain("--home", home, "key", "list")
    assert code == 1
    assert "keystore:keys/owner.json" in out
    assert "odd.json is no keystore" in " ".join(err.split())


def test_a_key_is_found_in_the_home_before_the_current_folder(
    mlops_chain: Run, home: Path, bob: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_name = mlops_chain("--home", home, "key", "address", "owner")[1]
    assert mlops_chain("--home", home, "key", "address", "keystore:keys/owner.json")[1] == by_name
    monkeypatch.chdir(bob.parent)
    assert mlops_chain("--home", home, "key", "address", "bob.json")[0] == 0
    code, _, err = mlops_chain("--home", home, "key", "address", "keystore:none.json")
    assert code == 2
    assert f"no keystore at {home}/none.json or {bob.parent}/none.json" in err
    assert "known schemes: keystore:" in mlops_chain("key", "address", "ledger:0")[2]


@pytest.mark.parametrize(
    "words",
    [
        ("key", "address", "{}"),
        ("key", "new", "{}"),
        ("role", "grant", "requester", "{}"),
        ("role", "grant", "requester", ADDRESS, "--key", "{}"),
        ("role", "grant", "requester", ADDRESS, "--key", "keystore:{}"),
        ("explain", "--kind", "other", "--reason", "so", "--key", "{}"),
    ],
)
def test_a_key_given_in_the_place_of_its_uri_is_refused_and_not_shown(
    mlops_chain: Run, home: Path, words: tuple[str, ...]
) -> None:
    private = "1f" * 32
    code, out, err = mlops_chain("--home", home, *(word.format(private) for word in words))
    assert code != 0
    assert "looks like a private key" in " ".join(err.split())
    assert private[:12] not in out + err
