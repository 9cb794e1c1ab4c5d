"""A chain or log that does not answer changes nothing for training: only the backlog grows."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chain_client import ChainClient
from tests.integration.core.conftest import Site

Run = Callable[..., tuple[int, str, str]]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program holds the database."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


@contextmanager
def missing(path: Path) -> Iterator[None]:
    """The file is elsewhere for a while."""
    elsewhere = path.with_name("elsewhere")
    path.replace(elsewhere)
    try:
        yield
    finally:
        elsewhere.replace(path)


@contextmanager
def replaced_by_a_folder(path: Path) -> Iterator[None]:
    """Nobody can read or write it, not even root, for whom no mode is read-only."""
    with missing(path):
        path.mkdir()
        try:
            yield
        finally:
            shutil.rmtree(path)


FAULTS = {"locked": locked, "missing": missing, "unusable": replaced_by_a_folder}


@pytest.fixture(autouse=True)
def _short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests need not wait as long for a lock as operators are glad of."""
    monkeypatch.setattr("chain_client.client._OPEN_PATIENCE_S", 0.1)


def be_impatient(site: Site) -> None:
    from chain_client.ledger import open_ledger

    client = site.client
    client.__dict__["ledger"] = open_ledger(client.settings, timeout_s=0.1)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_chain_that_does_not_answer_only_makes_the_backlog_grow(
    site: Site, fault: str, mlops_chain: Run, caplog: pytest.LogCaptureFixture
) -> None:
    site.note(2)
    site.drain()
    site.close()
    with FAULTS[fault](site.chain_file):
        opened = ChainClient.open(site.settings, create=True)
        assert "recording goes on" in caplog.text
        assert opened.recorder is site.client.recorder
        site.note(5, first=2)
        assert opened.recorder.lost_count == 0

        be_impatient(site)
        relay = site.relay()
        relay.start()
        relay._anchoring._waiting_since_us = 0
        done, anchored = relay.run_round()
        relay.close()
        assert done is not None
        assert (done.entries, anchored) == (5, None)
        [alarm] = site.client.log.alarms()
        assert alarm.kind == "chain"
        assert str(site.chain_file) in alarm.detail
        site.note(3, first=7)
        site.close()
        if fault != "locked":  # they would wait for a lock, as they should
            code, out, _ = mlops_chain("--home", site.home, "status", "--json")
            document = json.loads(out)
            assert (code, document["ok"]) == (0, False)
            assert document["alarms"][0]["kind"] == "chain"
            assert (document["spooled_events"], document["counts"]["sequenced"]) == (3, 5)
            assert any(text.startswith("chain: ") for text in document["trouble"])
            assert mlops_chain("--home", site.home, "doctor")[0] == 1
    site.end_source()
    site.drain()
    assert site.numbers() == list(range(10))
    assert site.findings() == []
    assert site.client.log.alarms() == []
    assert mlops_chain("--home", site.home, "doctor")[0] == 0


@pytest.mark.parametrize("fault", FAULTS)
def test_a_log_that_does_not_answer_only_makes_the_spool_grow(
    site: Site, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    site.note(2)
    site.drain()
    site.close()
    with FAULTS[fault](site.log_file):
        opened = ChainClient.open(site.settings, create=True)
        assert "recording goes on" in caplog.text
        site.note(5, first=2)
        assert opened.recorder.lost_count == 0
    site.end_source()
    site.drain()
    assert site.numbers() == list(range(7))
    assert site.findings() == []


def test_a_relay_outlives_a_log_that_is_away_for_a_while(site: Site) -> None:
    site.note(2)
    relay = site.relay()
    relay.start()
    gone, back = threading.Event(), threading.Event()
    turn = relay._turn

    def watched() -> tuple[bool, bool]:
        found = turn()
        (gone if not site.log_file.exists() else back).set()
        return found

    relay._turn = watched  # type: ignore[method-assign]
    thread = threading.Thread(target=lambda: relay.run(until_idle=False))
    thread.start()
    try:
        assert back.wait(30)
        with missing(site.log_file):
            site.note(3, first=2)
            gone.clear()
            assert gone.wait(30)
        back.clear()
        assert back.wait(30)
        assert thread.is_alive()
    finally:
        relay.stop()
        thread.join(30)
        relay.close()
    site.end_source()
    site.drain()
    assert site.numbers() == list(range(5))
    assert site.findings() == []
