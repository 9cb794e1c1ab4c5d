"""Folders that settings name are taken from the home, unless they are absolute."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain_client.config import Settings
from chain_client.home import Home


def _settings(tmp_path: Path, **variables: str) -> Settings:
    return Settings.from_environment(variables, tmp_path, home=tmp_path / "home")


def test_spool_and_inbox_are_in_the_home_unless_they_are_set(tmp_path: Path) -> None:
    found = _settings(tmp_path)
    assert found.spool_path == tmp_path / "home" / "spool"
    assert found.inbox_path == tmp_path / "home" / "inbox"
    assert not Home(found.home, found.spool_path).shares_spool


@pytest.mark.parametrize(
    ("named", "expected"), [("/mnt/spool", "/mnt/spool"), ("~/spool", "~/spool"), ("a/b", "")]
)
def test_a_folder_that_is_set_may_be_anywhere(tmp_path: Path, named: str, expected: str) -> None:
    found = _settings(tmp_path, MLOPS_CHAIN_SPOOL_FOLDER=named, MLOPS_CHAIN_RELAY_INBOX=named)
    wanted = Path(expected).expanduser() if expected else tmp_path / "home" / named
    assert found.spool_path == found.inbox_path == wanted


def test_who_reads_a_shared_spool_is_noted_beside_it_and_not_in_the_home(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    home = Home(tmp_path / "home", shared)
    assert home.shares_spool
    assert home.ingester_file.parent == home.relay_lock.parent == shared
    assert home.relay_log.parent == tmp_path / "home"


def test_two_homes_that_share_a_spool_have_one_ingester(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    homes = [Home(tmp_path / name, shared) for name in ("one", "two")]
    assert homes[0].known_ingester_id() is None
    assert len({home.ingester_id() for home in homes}) == 1
