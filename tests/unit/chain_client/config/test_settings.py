"""Settings: where a value comes from, and what an unusable one says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chain_client.config import CONFIG_FILE, Settings, setting_keys, variable_of
from chain_client.errors import ConfigurationError


def settings(folder: Path, toml: str | bytes = "", **environ: str) -> Settings:
    if toml:
        data = toml if isinstance(toml, bytes) else toml.encode()
        (folder / CONFIG_FILE).write_bytes(data)
    return Settings.from_environment(environ, folder, home=folder)


def test_every_key_has_a_default_and_a_help_text(tmp_path: Path) -> None:
    plain = settings(tmp_path)
    for key, (default, help_text) in setting_keys().items():
        assert getattr(plain, key.replace(".", "_")) == default
        assert help_text.endswith(".")


@pytest.mark.parametrize(
    ("environ", "home"),
    [
        ({}, ".mlops-chain"),
        ({"MLOPS_CHAIN_HOME": ""}, ".mlops-chain"),
        ({"MLOPS_CHAIN_HOME": "there"}, "there"),
        ({"MLOPS_CHAIN_HOME": "a/../b"}, "b"),
    ],
)
def test_the_home_is_looked_for_from_the_current_folder(
    tmp_path: Path, environ: dict[str, str], home: str
) -> None:
    found = Settings.from_environment(environ, tmp_path)
    assert found.home == (tmp_path / home).resolve()
    named = Settings.from_environment(environ, tmp_path, home=Path("named"))
    assert named.home == tmp_path.resolve() / "named"


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    toml = "[relay]\nmax_batch = 7\nidle_s = 3\n"
    found = settings(tmp_path, toml, MLOPS_CHAIN_RELAY_MAX_BATCH="9")
    assert (found.relay_max_batch, found.relay_idle_s, found.relay_lease_s) == (9, 3.0, 15.0)
    assert isinstance(found.relay_idle_s, float)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("relay.autostart", "no", False),
        ("relay.autostart", " TRUE ", True),
        ("relay.max_batch", "1", 1),
        ("relay.idle_s", "0.5", 0.5),
        ("spool.durability", "process", "process"),
        ("log.url", "postgresql+psycopg://h/d", "postgresql+psycopg://h/d"),
        ("log.payloads_from_bytes", "0", 0),
    ],
)
def test_the_environment_gives_texts(tmp_path: Path, key: str, text: str, value: object) -> None:
    found = settings(tmp_path, **{variable_of(key): text})
    assert getattr(found, key.replace(".", "_")) == value


BAD: list[tuple[str, Any, str]] = [
    ("relay.autostart", "maybe", "true or false"),
    ("relay.autostart", 1, "true or false"),
    ("relay.max_batch", 0, "a whole number above 0"),
    ("relay.max_batch", 1.7, "a whole number above 0"),
    ("relay.max_batch", "many", "a whole number above 0"),
    ("relay.max_batch", True, "a whole number above 0"),
    ("relay.max_batch", [1], "a whole number above 0"),
    ("relay.idle_s", -1, "a number above 0"),
    ("relay.idle_s", "inf", "a number above 0"),
    ("relay.idle_s", "nan", "a number above 0"),
    ("spool.durability", "quantum", "one of power, process"),
    ("spool.on_error", "", "one of continue, refuse"),
    ("log.url", 5, "a text"),
    ("log.payloads_from_bytes", -1, "a whole number, 0 or more"),
    ("log.payloads_from_bytes", "0.0", "a whole number, 0 or more"),
]


def _toml(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)


@pytest.mark.parametrize(("key", "value", "expected"), BAD)
def test_a_wrong_value_in_the_file_names_key_file_and_what_was_expected(
    tmp_path: Path, key: str, value: Any, expected: str
) -> None:
    section, name = key.split(".")
    with pytest.raises(ConfigurationError) as caught:
        settings(tmp_path, f"[{section}]\n{name} = {_toml(value)}\n")
    assert str(caught.value).startswith(f"{key} in {tmp_path / CONFIG_FILE}: expected {expected}")


@pytest.mark.parametrize(
    ("key", "value", "expected"), [row for row in BAD if isinstance(row[1], str)]
)
def test_a_wrong_value_in_the_environment_names_the_variable(
    tmp_path: Path, key: str, value: str, expected: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings(tmp_path, **{variable_of(key): value})
    assert str(caught.value).startswith(f"{variable_of(key)}: expected {expected}")


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        ("[relay]\nidel_s = 3\n", "unknown setting 'relay.idel_s'; known are checks.timeout_s"),
        ("relay = 3\n", "unknown setting 'relay'"),
        ("idle_s = 3\n", "unknown setting 'idle_s'"),
        ("[relay\n", "is not valid TOML"),
        (b"[relay]\nidle_s = '\xff'\n", "is not valid TOML: it is no UTF-8 text"),
    ],
)
def test_a_file_that_can_not_be_used_is_named(tmp_path: Path, toml: str | bytes, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings(tmp_path, toml)
    assert str(tmp_path / CONFIG_FILE) in str(caught.value)
    assert text in str(caught.value)


def test_a_config_file_that_is_a_folder_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / CONFIG_FILE).mkdir()
    with pytest.raises(ConfigurationError, match=r"can't read .*config\.toml"):
        settings(tmp_path)


@pytest.mark.parametrize(
    ("url", "resolved"),
    [
        ("sqlite:///log.db", "sqlite:///{home}/log.db"),
        ("sqlite:////srv/log.db", "sqlite:////srv/log.db"),
        ("embedded:chain/embedded.db", "embedded:{home}/chain/embedded.db"),
        ("postgresql+psycopg://h/d", "postgresql+psycopg://h/d"),
    ],
)
def test_relative_files_are_taken_from_the_home(tmp_path: Path, url: str, resolved: str) -> None:
    assert settings(tmp_path).resolve_url(url) == resolved.format(home=tmp_path)


@pytest.mark.parametrize("name", ["LOG_URL", "LEDGER_URL", "CROSS_LEDGER_URL"])
def test_a_repr_of_the_settings_shows_no_url(tmp_path: Path, name: str) -> None:
    url = "postgresql+psycopg://log:hunter2@db/log"
    settings = Settings.from_environment({f"MLOPS_CHAIN_{name}": url}, tmp_path)
    assert getattr(settings, name.lower()) == url
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize("name", ["LEDGER_HEADERS", "CROSS_LEDGER_HEADERS"])
def test_a_repr_of_the_settings_shows_no_header(tmp_path: Path, name: str) -> None:
    header = "Authorization: Bearer hunter2"
    settings = Settings.from_environment({f"MLOPS_CHAIN_{name}": header}, tmp_path)
    assert getattr(settings, name.lower()) == header
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize("key", ["registry.registrar", "registry.submitter", "cross.key"])
@pytest.mark.parametrize("value", [f"0x{'1f' * 32}", f"keystore:{'1f' * 32}", 0x1F1F1F1F1F1F1F1F])
def test_a_key_in_the_place_of_its_uri_is_refused_and_not_shown(
    tmp_path: Path, key: str, value: Any
) -> None:
    section, name = key.split(".")
    with pytest.raises(ConfigurationError, match=key) as raised:
        settings(tmp_path, f"[{section}]\n{name} = {_toml(value)}\n")
    assert "1f1f" not in str(raised.value)
    assert str(value) not in str(raised.value)
