"""What a relay's sync does when it fails, when the chain is down, and where it is not wanted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from chain_client.errors import ChainError, ConfigurationError, LedgerUnavailable
from chain_client.home import Home
from chain_client.log import Log
from chain_client.relay.registry_sync import SUBJECT, RegistrySync
from chain_client.sync.syncing import Syncer


class Chain:
    """Opens a syncer that fails as it is told, or has nothing to do."""

    def __init__(self) -> None:
        self.trouble: ChainError | None = None
        self.lack: str | None = None
        self.asked = 0

    def open(self) -> Syncer:
        return cast(Syncer, self)

    def is_wanted(self, *, at_once: bool) -> bool:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        return False

    def close(self) -> None:
        pass


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    made = Log(f"sqlite:///{tmp_path}/log.db")
    made.create()
    yield made
    made.close()


@pytest.fixture
def chain() -> Chain:
    return Chain()


def sync_of(folder: Path, log: Log, chain: Chain, *, wanted: bool = True) -> RegistrySync:
    folder.mkdir(exist_ok=True)
    opener = chain.open if wanted else None
    return RegistrySync(Home(folder), opener, lambda: chain.lack, lambda: None, log, 0.01)


def look(sync: RegistrySync) -> None:
    sync.run_once()
    assert not sync.is_busy(30)
    sync.stop()


def subjects(log: Log) -> list[str]:
    return [alarm.subject for alarm in log.alarms() if alarm.kind == "sync"]


def test_an_alarm_names_the_home_and_another_one_leaves_it_alone(
    tmp_path: Path, log: Log, chain: Chain
) -> None:
    chain.trouble = ConfigurationError("no salt")
    look(sync_of(tmp_path / "a", log, chain))
    (subject,) = subjects(log)
    assert subject == SUBJECT + Home(tmp_path / "a").ingester_id()
    assert f":{tmp_path}/a: no salt" in log.alarms()[0].detail
    look(sync_of(tmp_path / "b", log, Chain()))
    assert subjects(log) == [subject]
    chain.trouble = None
    look(sync_of(tmp_path / "a", log, chain))
    assert subjects(log) == []


def test_a_chain_that_does_not_answer_is_no_alarm_of_its_own(
    tmp_path: Path, log: Log, chain: Chain
) -> None:
    sync = sync_of(tmp_path / "a", log, chain)
    chain.trouble = LedgerUnavailable("nobody answers")
    look(sync)
    assert (subjects(log), sync.trouble) == ([], "nobody answers")
    chain.trouble = ConfigurationError("no salt")
    look(sync)
    assert len(subjects(log)) == 1
    chain.trouble = None
    look(sync)
    assert (subjects(log), sync.trouble) == ([], None)


@pytest.mark.parametrize("wanted", [True, False])
def test_where_it_is_not_wanted_or_lacks_the_salt_it_asks_nothing_and_clears_its_alarm(
    tmp_path: Path, log: Log, chain: Chain, wanted: bool
) -> None:
    chain.trouble = ConfigurationError("no salt")
    look(sync_of(tmp_path / "a", log, chain))
    assert (len(subjects(log)), chain.asked) == (1, 1)
    chain.lack = "joined without it" if wanted else None
    look(sync_of(tmp_path / "a", log, chain, wanted=wanted))
    assert (subjects(log), chain.asked) == ([], 1)
