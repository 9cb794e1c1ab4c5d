"""What can't work is said before any work is lost: what it is, what was expected, what to do."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from chain_client import ChainClient, Settings
from chain_client.errors import (
    AnotherRelay,
    ChainBehindLog,
    ChainError,
    ConfigurationError,
    ContractMissing,
    HomeMismatch,
    HomeMissing,
    HomeNotWritable,
    LogBehindChain,
    LogCorrupt,
    LogMismatch,
    SchemaTooNew,
    WrongChain,
)
from chain_client.ledger import create_embedded
from tests.integration.core.conftest import Site

Run = Callable[..., tuple[int, str, str]]


def open_home(home: Path, expected: str | None = None, *, create: bool = False) -> ChainClient:
    environment = {"MLOPS_CHAIN_RELAY_AUTOSTART": "false"}
    settings = Settings.from_environment(environment, home.parent, home=home)
    return ChainClient.open(settings, create=create, expected_deployment_id=expected)


def assert_refused(home: Path, error: type[ChainError], text: str, *, create: bool = False) -> None:
    """Opening it is refused with this error, whose text shows nothing secret."""
    with pytest.raises(error, match=text) as caught:
        open_home(home, create=create)
    shown = str(caught.value)
    for key in (home / "keys").glob("*"):
        assert key.read_text().strip() not in shown
    assert "item.seen" not in shown
    assert '"number"' not in shown


def replace_chain(home: Path, chain_id: int | None = None) -> None:
    """Put a fresh chain in the place of the home's."""
    path = home / "chain" / "embedded.db"
    path.unlink()
    known = json.loads((home / "deployment.json").read_text())["chain_id"]
    create_embedded(path, chain_id=chain_id or known, funded=[])


def edit_deployment(home: Path, **changes: object) -> None:
    path = home / "deployment.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def execute(database: Path, statement: str) -> None:
    connection = sqlite3.connect(database)
    with connection:
        connection.execute(statement)
    connection.close()


def test_a_home_that_can_not_be_written(tmp_path: Path, mlops_chain: Run) -> None:
    (tmp_path / "file").write_text("")
    home = tmp_path / "file" / "home"
    text = r"the home .* can't be written \(.*\); make it writable, or name another .*MLOPS_CHAIN_H"
    assert_refused(home, HomeNotWritable, text, create=True)
    code, _, err = mlops_chain("--home", home, "init")
    assert (code, "can't be written" in err) == (2, True)


def test_a_missing_home(tmp_path: Path) -> None:
    assert_refused(tmp_path / "none", HomeMissing, "there is no home at .*mlops-chain init")
    assert not (tmp_path / "none").exists()


def test_a_missing_home_of_a_database_is_never_begun_anew(tmp_path: Path) -> None:
    with pytest.raises(HomeMissing, match=r"belongs to deployment abc, .*MLOPS_CHAIN_HOME"):
        open_home(tmp_path / "none", "abc", create=True)
    assert not (tmp_path / "none").exists()


def test_a_home_of_another_deployment(home: Path) -> None:
    client = open_home(home)
    assert open_home(home, client.deployment_id).deployment_id == client.deployment_id
    with pytest.raises(HomeMismatch, match=r"belongs to abc: set MLOPS_CHAIN_HOME") as caught:
        open_home(home, "abc", create=True)
    assert client.deployment_id in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "error", "text"),
    [
        (replace_chain, ContractMissing, "there is no contract at 0x.*chain was replaced"),
        (
            lambda home: replace_chain(home, 4242),
            WrongChain,
            r"is chain 4242, but the deployment is on chain \d+; check ledger\.url",
        ),
        (
            lambda home: edit_deployment(home, code_hash="0x" + "11" * 32),
            ContractMissing,
            "has the code 0x.*but 0x1111.* was deployed",
        ),
        (
            lambda home: edit_deployment(home, log_id="0x" + "11" * 32),
            LogMismatch,
            "does not hold the log 0x1111",
        ),
        (
            lambda home: edit_deployment(home, schema_version=3),
            SchemaTooNew,
            r"deployment\.json: .* schema version 3, .*up to 2: upgrade",
        ),
        (
            lambda home: (home / "deployment.json").write_text("{"),
            ConfigurationError,
            r"deployment\.json: the deployment is damaged: .*backup",
        ),
        (
            lambda home: execute(home / "log.db", "UPDATE alembic_version SET version_num = '9'"),
            SchemaTooNew,
            "the log has schema '9', .* upgrade mlops-chain",
        ),
        (
            lambda home: (home / "log.db").write_bytes(b"no database" * 1000),
            LogCorrupt,
            r"log\.db can't be read: .*Put back its newest copy",
        ),
        (
            lambda home: (home / "config.toml").write_text("[relay\n"),
            ConfigurationError,
            r"config\.toml is not valid TOML",
        ),
        (
            lambda home: (home / "config.toml").write_text("[relay]\nidel_s = 1\n"),
            ConfigurationError,
            r"unknown setting 'relay\.idel_s'; known are",
        ),
    ],
    ids=[
        *("contract", "chain id", "code", "log id", "newer deployment", "damaged deployment"),
        *("newer log", "no log", "broken config", "unknown setting"),
    ],
)
def test_a_home_whose_parts_do_not_fit(
    home: Path,
    spoil: Callable[[Path], object],
    error: type[ChainError],
    text: str,
    mlops_chain: Run,
) -> None:
    spoil(home)
    for create in (False, True):
        assert_refused(home, error, text, create=create)
    code, out, err = mlops_chain("--home", home, "init")
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert "Traceback" not in err
    assert re.search(text, " ".join(err.split()))
    assert list((home / "spool").iterdir()) == []


def test_a_log_behind_its_chain(site: Site) -> None:
    site.note(3)
    site.drain()
    site.close()
    shutil.copy(site.log_file, site.home / "older.db")
    site.note(3, first=3)
    site.end_source()
    site.drain()
    site.close()
    (site.home / "older.db").replace(site.log_file)
    text = "a head of 8 entries, the log has only 4: .*Put the newest copy back"
    assert_refused(site.home, LogBehindChain, text)
    with pytest.raises(LogBehindChain):
        site.drain()
    assert [alarm.kind for alarm in site.client.log.alarms()] == ["head"]


def test_a_chain_behind_its_log(site: Site, mlops_chain: Run) -> None:
    site.note(3)
    site.drain()
    site.close()
    shutil.copy(site.chain_file, site.home / "older.db")
    site.note(3, first=3)
    site.end_source()
    site.drain()
    site.close()
    shutil.copy(site.chain_file, site.home / "newest.db")
    (site.home / "older.db").replace(site.chain_file)
    text = "final at 8 entries, but the chain's head is at 4: .*old copy"
    assert_refused(site.home, ChainBehindLog, text)
    assert site.findings() == [("chain_rolled_back", "log")]
    with pytest.raises(ChainBehindLog):
        site.drain()
    assert mlops_chain("--home", site.home, "status", "--json")[0] == 0
    assert mlops_chain("--home", site.home, "doctor")[0] == 1

    site.close()
    (site.home / "newest.db").replace(site.chain_file)
    site.drain()
    assert site.client.log.alarms() == []
    assert mlops_chain("--home", site.home, "doctor")[0] == 0


def test_a_log_that_was_edited(site: Site) -> None:
    site.note(3)
    site.end_source()
    site.drain()
    site.sql("UPDATE entries SET leaf_hash = zeroblob(32) WHERE log_index = 1")
    text = "the log's root at 5 entries is not the one on chain: .*mlops-chain verify"
    assert_refused(site.home, LogMismatch, text)


def test_a_second_relay(site: Site, mlops_chain: Run) -> None:
    relay = site.relay()
    relay.start()
    try:
        with pytest.raises(AnotherRelay, match="holds the lease 'ingest:"):
            site.relay().start()
        assert mlops_chain("--home", site.home, "relay")[0] == 2
    finally:
        relay.close()
