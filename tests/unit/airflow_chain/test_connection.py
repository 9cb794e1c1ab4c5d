"""An Airflow connection becomes settings and keys; what is wrong in it is named, and not shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from airflow_chain.connection import ChainConnection, read_connection
from airflow_chain.form import FIELDS
from chain_client.errors import ConfigurationError
from chain_client.signing import create_keystore
from chain_client.types import TxHash

SECRET = "hunter2-hunter2"


@dataclass
class Stored:
    """A connection as Airflow gives it."""

    extra_dejson: Any = field(default_factory=dict)
    password: str | None = None
    conn_type: str | None = "mlops_chain"


def read(extra: Any, password: str | None = None, home: Path | None = None) -> ChainConnection:
    return read_connection("prod", Stored(extra, password), home)


def test_every_field_that_names_a_setting_sets_it(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[ledger]\nurl = "https://file.example"\n')
    settings = read(
        {
            "home": str(tmp_path),
            "secret_ledger_url": f"https://rpc.example/{SECRET}",
            "secret_ledger_headers": f"Authorization: {SECRET}",
            "secret_log_url": f"postgresql+psycopg://me:{SECRET}@db/log",
            "registrar_key": "keystore:registrar.json",
            "submitter_key": "keystore:submitter.json",
            "gate.finality": "latest",
            "ledger.timeout_s": 3,
        }
    ).to_settings()
    assert settings.home == tmp_path
    assert settings.ledger_url == f"https://rpc.example/{SECRET}"
    assert settings.ledger_headers == f"Authorization: {SECRET}"
    assert settings.log_url == f"postgresql+psycopg://me:{SECRET}@db/log"
    assert settings.registry_registrar == "keystore:registrar.json"
    assert settings.registry_submitter == "keystore:submitter.json"
    assert settings.gate_finality == "latest"
    assert settings.ledger_timeout_s == 3.0


def test_what_a_connection_leaves_out_is_as_the_home_says(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[ledger]\nurl = "https://file.example"\n')
    assert read({"home": str(tmp_path)}).to_settings().ledger_url == "https://file.example"


def test_no_relay_is_started_whatever_the_home_says(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[relay]\nautostart = true\n")
    assert read({"home": str(tmp_path)}).to_settings().relay_autostart is False


def test_the_environment_of_the_process_changes_no_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_CHAIN_HOME", "/elsewhere")
    monkeypatch.setenv("MLOPS_CHAIN_LEDGER_URL", "https://elsewhere.example")
    settings = read({"home": str(tmp_path)}).to_settings()
    assert settings.home == tmp_path
    assert settings.ledger_url.startswith("embedded:")


def test_two_connections_lead_to_two_deployments(tmp_path: Path) -> None:
    found = [
        read({"home": str(tmp_path / name), "ledger_url": f"https://{name}.example"}).to_settings()
        for name in ("staging", "production")
    ]
    assert [one.home.name for one in found] == ["staging", "production"]
    assert [one.ledger_url for one in found] == [
        "https://staging.example",
        "https://production.example",
    ]


def test_a_connection_without_a_home_has_that_of_airflow(tmp_path: Path) -> None:
    assert read({}, home=tmp_path).home == tmp_path
    assert read({"home": ""}, home=tmp_path).home == tmp_path


def test_fields_of_the_old_form_have_a_prefix(tmp_path: Path) -> None:
    found = read({"extra__mlops_chain__home": str(tmp_path)})
    assert found.home == tmp_path


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({}, ["'prod'", "no home folder", "MLOPS_CHAIN_HOME"]),
        ({"home": "homes/one"}, ["'prod'", "absolute path", "homes/one"]),
        ({"home": "/h", "ledger": "x"}, ["'prod'", "unknown field 'ledger'", "ledger_url"]),
        ({"home": ["/h"]}, ["'prod'", "'home'", "a text"]),
        (["/h"], ["'prod'", "an object"]),
        ({"home": "/h", "explorer_url": "javascript:alert(1)"}, ["'prod'", "https://"]),
        ({"home": "/h", "explorer_url": f"https://me:{SECRET}@x.example"}, ["'prod'", "password"]),
        (
            {"home": "/h", "ledger_url": "https://a", "secret_ledger_url": f"https://b/{SECRET}"},
            ["'prod'", "not both"],
        ),
    ],
)
def test_a_wrong_connection_is_named_with_what_was_expected(extra: Any, words: list[str]) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read(extra)
    assert all(word in str(raised.value) for word in words), raised.value
    assert SECRET not in str(raised.value)


def test_a_setting_of_the_wrong_kind_names_the_connection(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"'prod'.*a number above 0"):
        read({"home": str(tmp_path), "ledger.timeout_s": "soon"}).to_settings()


def test_nothing_secret_stands_in_a_repr(tmp_path: Path) -> None:
    hidden = {name: SECRET for name, item in FIELDS.items() if item.is_hidden}
    del hidden["secret_ledger_url"]
    found = read({"home": str(tmp_path), "ledger_url": f"https://x/{SECRET}", **hidden}, SECRET)
    assert SECRET not in repr(found)
    assert SECRET not in repr(found.to_settings())


def test_hidden_fields_have_names_by_which_airflow_masks_them() -> None:
    assert all(name.startswith("secret_") == item.is_hidden for name, item in FIELDS.items())


def test_the_connections_password_unlocks_the_key(tmp_path: Path) -> None:
    address = create_keystore(tmp_path / "ada" / "key.json", password=SECRET)
    found = read({"home": str(tmp_path), "requester_key": "keystore:ada/key.json"}, SECRET)
    assert found.open_requester().address() == address


def test_a_wrong_password_is_not_shown(tmp_path: Path) -> None:
    create_keystore(tmp_path / "ada" / "key.json")
    found = read({"home": str(tmp_path), "requester_key": "keystore:ada/key.json"}, SECRET)
    with pytest.raises(ConfigurationError, match="can't be unlocked") as raised:
        found.open_requester().address()
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "label"), [("requester_key", "Requester's key"), ("breaker_key", "Breaker's key")]
)
def test_a_missing_key_is_named_by_its_field(tmp_path: Path, name: str, label: str) -> None:
    found = read({"home": str(tmp_path)})
    open_key = found.open_requester if name == "requester_key" else found.open_breaker
    with pytest.raises(ConfigurationError) as raised:
        open_key()
    assert all(word in str(raised.value) for word in ("'prod'", name, label, "keystore:"))


def test_a_key_of_an_unknown_scheme_names_its_field(tmp_path: Path) -> None:
    found = read({"home": str(tmp_path), "requester_key": "vault:x"})
    with pytest.raises(
        ConfigurationError, match=r"Requester's key.*no signer is known for 'vault:'"
    ):
        found.open_requester()


@pytest.mark.parametrize(
    ("explorer", "link"),
    [
        ("https://etherscan.io", f"https://etherscan.io/tx/0x{'ab' * 32}"),
        ("https://etherscan.io/", f"https://etherscan.io/tx/0x{'ab' * 32}"),
        ("https://x.example/t?h={tx_hash}", f"https://x.example/t?h=0x{'ab' * 32}"),
        ("", None),
    ],
)
def test_a_transaction_has_a_link_where_there_is_an_explorer(
    tmp_path: Path, explorer: str, link: str | None
) -> None:
    found = read({"home": str(tmp_path), "explorer_url": explorer})
    assert found.link_of(TxHash(b"\xab" * 32)) == link


@pytest.mark.parametrize("name", ["requester_key", "breaker_key"])
@pytest.mark.parametrize("scheme", ["", "0x", "keystore:", "keystore:0x"])
def test_a_pasted_private_key_is_refused_and_shown_nowhere(
    tmp_path: Path, name: str, scheme: str
) -> None:
    private = "1f" * 32
    found = read({"home": str(tmp_path), name: scheme + private})
    open_key = found.open_requester if name == "requester_key" else found.open_breaker
    with pytest.raises(
        ConfigurationError, match=r"'prod', field .* looks like a private"
    ) as raised:
        open_key()
    assert private[:12] not in str(raised.value) + repr(found)


@pytest.mark.parametrize("name", ["registrar_key", "registry.submitter"])
def test_a_pasted_private_key_of_a_setting_is_refused_and_not_shown(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(ConfigurationError, match=r"'prod'.* looks like a private") as raised:
        read({"home": str(tmp_path), name: "1f" * 32}).to_settings()
    assert "1f1f" not in str(raised.value)


def test_a_key_without_a_scheme_is_told_how_a_file_is_named(tmp_path: Path) -> None:
    found = read({"home": str(tmp_path), "requester_key": "/keys/ada.json"})
    with pytest.raises(ConfigurationError, match="write keystore: before its path"):
        found.open_requester()


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        (f"Authorization: {SECRET}", f"Authorization: {SECRET}"),
        (f"A: b\nX-Key: {SECRET}", f"A: b\nX-Key: {SECRET}"),
        (f'{{"A": "b, c; d", "X-Key": "{SECRET}"}}', f"A: b, c; d\nX-Key: {SECRET}"),
    ],
)
def test_several_headers_fit_into_one_line(tmp_path: Path, text: str, setting: str) -> None:
    settings = read({"home": str(tmp_path), "secret_ledger_headers": text}).to_settings()
    assert settings.ledger_headers == setting


@pytest.mark.parametrize(
    "text", [f'{{"A": "{SECRET}"', f'{{"A": ["{SECRET}"]}}', f'{{"A": "b\\nX-Key: {SECRET}"}}']
)
def test_headers_that_are_no_object_of_texts_are_refused_and_not_shown(
    tmp_path: Path, text: str
) -> None:
    with pytest.raises(ConfigurationError, match=r"'prod', field 'Ledger headers'.*JSON") as raised:
        read({"home": str(tmp_path), "secret_ledger_headers": text})
    assert SECRET not in str(raised.value)


def test_a_home_that_is_not_there_is_told_with_who_names_it(tmp_path: Path) -> None:
    named = read({"home": str(tmp_path)}).tell_no_home()
    assert all(word in named for word in ("'prod'", "'Home folder'", "mlops-chain join"))
    assert "MLOPS_CHAIN_HOME" not in named
    assert "[mlops_chain] home, or MLOPS_CHAIN_HOME" in read({}, home=tmp_path).tell_no_home()


def test_a_connection_of_another_type_is_refused_and_one_without_a_type_is_taken(
    tmp_path: Path,
) -> None:
    with pytest.raises(
        ConfigurationError, match=r"'prod' is of type 'http'; expected .*mlops_chain"
    ):
        read_connection("prod", Stored(conn_type="http"), tmp_path)
    assert read_connection("prod", Stored(conn_type=None), tmp_path).home == tmp_path
