"""Keystore files: private, whole, never replaced, and readable by every Ethereum tool."""

from __future__ import annotations

import json
import logging
import os
import secrets
import stat
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import coincurve
import pytest

from chain_client.errors import ConfigurationError, InvalidInput
from chain_client.signing import KeystoreSigner, create_keystore, open_signer
from chain_client.types import Address, to_hex
from tests.reference_account import Account

PASSWORD = "correct horse battery staple"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "writer.json"


def signer(path: Path, password: str | None = None) -> KeystoreSigner:
    return KeystoreSigner("keystore:keys/writer.json", path, password=password)


def document(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def rewrite(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(document(path) | changes))


def test_all_files_are_private_whatever_the_umask(path: Path) -> None:
    mask = os.umask(0)
    try:
        create_keystore(path)
    finally:
        os.umask(mask)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"writer.json": 0o600, "password": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_key_is_found_again_and_signs_for_its_address(path: Path) -> None:
    address = create_keystore(path)
    key = signer(path)
    assert key.address() == address
    digest = b"\x11" * 32
    parity, r, s = key.sign_hash(digest)
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([parity])
    public = coincurve.PublicKey.from_signature_and_message(signature, digest, hasher=None)
    assert KeystoreSigner("x", path).sign_hash(digest) == (parity, r, s)
    secret = Account.decrypt(document(path), (path.parent / "password").read_text().strip())
    assert public == coincurve.PrivateKey(bytes(secret)).public_key


def test_eth_account_unlocks_our_file_and_we_unlock_its(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.json", tmp_path / "theirs.json"
    address = create_keystore(ours, password=PASSWORD)
    secret = Account.decrypt(document(ours), PASSWORD)
    assert Account.from_key(secret).address.lower() == to_hex(address)
    assert document(ours)["version"] == 3
    made = Account.encrypt(secret, PASSWORD, kdf="pbkdf2", iterations=10)
    theirs.write_text(json.dumps(made))
    theirs.chmod(0o600)
    assert signer(theirs, PASSWORD).address() == address


def test_a_given_password_leaves_no_file_and_is_stretched(path: Path) -> None:
    create_keystore(path, password=PASSWORD)
    assert [file.name for file in path.parent.iterdir()] == ["writer.json"]
    crypto = document(path)["crypto"]
    assert crypto["kdf"] == "scrypt"
    assert crypto["kdfparams"]["n"] >= 2**17


def test_keys_of_one_folder_share_its_random_password(path: Path) -> None:
    one, other = create_keystore(path), create_keystore(path.with_name("owner.json"))
    assert one != other
    assert len(bytes.fromhex((path.parent / "password").read_text().strip())) == 32
    assert signer(path.with_name("owner.json")).address() == other


def test_a_keystore_is_never_replaced(path: Path) -> None:
    create_keystore(path)
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="exists already; it is not replaced"):
        create_keystore(path)
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == ["password", "writer.json"]


def test_of_many_that_make_the_same_keystore_one_wins(path: Path) -> None:
    def make(_: int) -> Address | None:
        try:
            return create_keystore(path)
        except ConfigurationError:
            return None

    with ThreadPoolExecutor(6) as threads:
        made = [address for address in threads.map(make, range(6)) if address is not None]
    assert made == [signer(path).address()]


def test_a_folder_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a file")
    with pytest.raises(ConfigurationError, match=r"writer\.json (can't be written|exists)"):
        create_keystore(tmp_path / "keys" / "writer.json")


def test_nothing_is_read_before_the_first_use(path: Path) -> None:
    key = signer(path)
    assert repr(key) == "KeystoreSigner('keystore:keys/writer.json')"
    create_keystore(path)
    assert key.address()


def shown(error: BaseException) -> str:
    """All that a log would show of an error."""
    return "".join(traceback.format_exception(error))


def assert_refused(path: Path, text: str, password: str | None = None) -> None:
    with pytest.raises(ConfigurationError, match=text) as caught:
        signer(path, password).address()
    told = shown(caught.value)
    for secret in secrets_of(path):
        assert secret not in told


def secrets_of(path: Path) -> list[str]:
    found = []
    password = path.parent / "password"
    if password.exists():
        found.append(password.read_bytes().decode("latin-1").strip())
    return [secret for secret in found if secret]


def test_a_wrong_password_is_told_without_any_key_material(path: Path) -> None:
    create_keystore(path)
    secret = Account.decrypt(document(path), (path.parent / "password").read_text().strip())
    wrong = secrets.token_hex(32)
    with pytest.raises(ConfigurationError, match="wrong password, or a damaged file") as caught:
        signer(path, wrong).sign_hash(bytes(32))
    told = shown(caught.value)
    for part in (bytes(secret).hex(), wrong, *secrets_of(path)):
        assert part not in told
    assert document(path)["crypto"]["ciphertext"] not in told


def test_missing_and_unreadable_files_are_told(path: Path) -> None:
    assert_refused(path, "is missing; restore it from your backup")
    create_keystore(path)
    (path.parent / "password").unlink()
    assert_refused(path, "no password was given")
    (path.parent / "password").write_bytes(b"\xff\xfe\x00 not text")
    assert_refused(path, "password is damaged")
    path.unlink()
    path.mkdir()
    assert_refused(path, "can't be read")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe"])
def test_a_file_that_is_no_json_is_damaged(path: Path, content: bytes) -> None:
    create_keystore(path)
    path.write_bytes(content)
    assert_refused(path, "no JSON")


@pytest.mark.parametrize("content", ["[]", "3", "null", "{}", '{"version": 1}', '{"version": "x"}'])
def test_json_that_is_no_keystore_is_refused(path: Path, content: str) -> None:
    create_keystore(path)
    path.write_text(content)
    assert_refused(path, "no keystore of version 3")


DAMAGES: list[dict[str, object]] = [
    {"crypto": None},
    {"crypto": {}},
    {"crypto": []},
    {"crypto": {"kdf": "none"}},
]


@pytest.mark.parametrize("damage", DAMAGES, ids=repr)
def test_a_keystore_without_its_parts_is_damaged(path: Path, damage: dict[str, object]) -> None:
    create_keystore(path)
    rewrite(path, **damage)
    assert_refused(path, "wrong password, or a damaged file")


@pytest.mark.parametrize("value", [None, "", "zz", 5, -1, {}, [], "00" * 16, 2**70], ids=repr)
def test_no_damaged_value_escapes_as_another_error_or_gives_another_key(
    path: Path, value: object
) -> None:
    address = create_keystore(path)
    whole = document(path)["crypto"]
    damaged = [
        whole | {name: value}
        for name in ("cipher", "ciphertext", "cipherparams", "kdf", "kdfparams", "mac")
    ]
    damaged += [
        whole | {"kdfparams": whole["kdfparams"] | {name: value}}
        for name in ("c", "dklen", "prf", "salt")
    ]
    damaged.append(whole | {"cipherparams": {"iv": value}})
    refused = 0
    for crypto in damaged:
        rewrite(path, crypto=crypto)
        try:
            assert signer(path).address() == address
        except ConfigurationError:
            refused += 1
    assert refused >= len(damaged) - 2  # the cipher's name is not looked at


def test_a_key_of_another_address_than_it_says_is_refused(path: Path) -> None:
    create_keystore(path)
    rewrite(path, address="ab" * 20)
    assert_refused(path, "says it is the key of 0xabab")


def test_a_keystore_that_others_may_read_is_warned_of(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    create_keystore(path)
    with caplog.at_level(logging.WARNING):
        signer(path).address()
        assert caplog.records == []
        path.chmod(0o640)
        signer(path).address()
    assert "chmod 600" in caplog.text


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_only_a_digest_is_signed(path: Path, size: int) -> None:
    create_keystore(path)
    with pytest.raises(InvalidInput, match=f"has 32 bytes, got {size}"):
        signer(path).sign_hash(bytes(size))


def test_a_signer_is_opened_by_its_uri(path: Path, tmp_path: Path) -> None:
    address = create_keystore(path)
    password = (path.parent / "password").read_text().strip()
    relative = open_signer("keystore:keys/writer.json", base=tmp_path)
    absolute = open_signer(f"keystore:{path}", base=Path("/nowhere"), password=password)
    assert relative.address() == absolute.address() == address
    assert relative.uri == "keystore:keys/writer.json"


@pytest.mark.parametrize("uri", ["", "writer.json", "awskms:key", "KEYSTORE:x", ":x"])
def test_an_unknown_scheme_names_the_known_ones(uri: str) -> None:
    with pytest.raises(ConfigurationError, match="known schemes: keystore:"):
        open_signer(uri, base=Path())


def test_of_what_names_no_known_key_only_the_scheme_is_shown() -> None:
    for uri, shown in (("hunter2", "write keystore: before"), ("vault:hunter2", "'vault:'")):
        with pytest.raises(ConfigurationError, match=shown) as raised:
            open_signer(uri, base=Path())
        assert "hunter2" not in str(raised.value)


def test_a_keystore_without_a_file_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="expected keystore:<path>"):
        open_signer("keystore:", base=Path())
