"""What the task runner's `before_stopping` does with the spool: in time, and never in the way."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from airflow_chain.shipping import ship_before_stopping
from chain_client import records
from chain_client.config import Settings
from chain_client.events import Subject
from chain_client.recorder import Recorder
from chain_client.spool import Durability, Position, SpoolWriter, list_sources
from tests.forked import in_fork

TIMEOUT_S = 10.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "inbox").mkdir()
    return Settings.from_environment({}, tmp_path, home=tmp_path / "home")


def _recorder(settings: Settings) -> Recorder:
    spool = SpoolWriter(
        settings.spool_path,
        opening=lambda: records.encode_opening("a deployment"),
        closing=records.encode_closing,
        durability=Durability.PROCESS,
    )
    return Recorder(spool)


def _record(recorder: Recorder, count: int = 1) -> None:
    for number in range(count):
        recorder.note("task.seen", Subject("", "task", "t"), {"number": number})


def _arrived(inbox: Path) -> list[str]:
    return sorted(reader.directory.name for reader in list_sources(inbox))


def test_the_source_is_closed_and_handed_over(settings: Settings, tmp_path: Path) -> None:
    recorder = _recorder(settings)
    _record(recorder)
    own = recorder.source_id
    ship_before_stopping(recorder, settings, ship_to="folder:../inbox", timeout_s=TIMEOUT_S)
    assert own is not None
    assert _arrived(tmp_path / "inbox") == [own.hex()]
    assert list_sources(settings.spool_path) == []
    found = list_sources(tmp_path / "inbox")[0].read(Position(0, 0), 1 << 20).records
    types = [records.decode_note(r.body, own, r.sequence).type for r in found]
    assert types == ["source.opened", "task.seen", "source.closed"]


def test_without_a_destination_the_source_is_closed_and_stays(settings: Settings) -> None:
    recorder = _recorder(settings)
    _record(recorder)
    ship_before_stopping(recorder, settings, ship_to="", timeout_s=TIMEOUT_S)
    (reader,) = list_sources(settings.spool_path)
    assert not reader.is_live()


def test_what_processes_before_it_left_is_handed_over_too_and_what_others_write_is_not(
    settings: Settings, tmp_path: Path
) -> None:
    def killed() -> str:
        _record(_recorder(settings))
        os._exit(1)

    in_fork(killed)
    alive = _recorder(settings)
    _record(alive)
    ours = _recorder(settings)
    _record(ours)
    assert len(list_sources(settings.spool_path)) == 3
    ship_before_stopping(ours, settings, ship_to="folder:../inbox", timeout_s=TIMEOUT_S)
    assert alive.source_id is not None
    assert [r.source_id for r in list_sources(settings.spool_path)] == [alive.source_id]
    assert len(_arrived(tmp_path / "inbox")) == 2
    alive.close()


@pytest.mark.parametrize(
    ("ship_to", "said"),
    [
        ("folder:../not-mounted", "No such file or directory"),
        ("nowhere", "no scheme is named"),
        ("s3://key:secret@bucket", "no shipper is known for 's3:'"),
    ],
)
def test_a_destination_that_takes_nothing_costs_a_warning_and_the_next_task_hands_it_over(
    settings: Settings,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    ship_to: str,
    said: str,
) -> None:
    recorder = _recorder(settings)
    _record(recorder)
    with caplog.at_level(logging.WARNING):
        ship_before_stopping(recorder, settings, ship_to=ship_to, timeout_s=TIMEOUT_S)
    assert said in caplog.text
    assert "secret" not in caplog.text
    assert len(list_sources(settings.spool_path)) == 1
    ship_before_stopping(None, settings, ship_to="folder:../inbox", timeout_s=TIMEOUT_S)
    assert list_sources(settings.spool_path) == []
    assert len(_arrived(tmp_path / "inbox")) == 1


def test_a_destination_that_hangs_costs_the_budget_and_no_more(
    settings: Settings, tmp_path: Path
) -> None:
    def hangs() -> str:
        recorder = _recorder(settings)
        _record(recorder)
        assert recorder.source_id is not None
        # To open a pipe that nobody writes to waits in the kernel, as a dead file server does.
        target = tmp_path / "inbox" / recorder.source_id.hex()
        target.mkdir()
        os.mkfifo(target / "parcel.json")
        began = time.monotonic()
        ship_before_stopping(recorder, settings, ship_to="folder:../inbox", timeout_s=0.3)
        took = time.monotonic() - began
        return "in time" if 0.3 <= took < 5 else f"{took} s"

    assert in_fork(hangs) == "in time"
    assert len(list_sources(settings.spool_path)) == 1


def test_one_with_no_time_ships_nothing_and_says_so(
    settings: Settings, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    recorder = _recorder(settings)
    _record(recorder)
    with caplog.at_level(logging.WARNING):
        ship_before_stopping(recorder, settings, ship_to="folder:../inbox", timeout_s=0.0)
        for thread in threading.enumerate():
            if thread.name == "mlops-chain-ship":
                thread.join()
    assert "stay" in caplog.text
    assert len(list_sources(settings.spool_path)) == 1
    assert _arrived(tmp_path / "inbox") == []


class _Broken(Recorder):
    """A recorder whose spool can't be closed, and that lets something else out."""

    def close(self) -> None:
        raise RuntimeError("a secret in a foreign text")


def test_no_fault_reaches_the_task(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = _Broken(
        SpoolWriter(
            settings.spool_path,
            opening=lambda: b"",
            closing=lambda count: b"",
            durability=Durability.PROCESS,
        )
    )
    with caplog.at_level(logging.WARNING):
        ship_before_stopping(broken, settings, ship_to="folder:../inbox", timeout_s=TIMEOUT_S)
        (tmp_path / "home").write_text("no folder")
        ship_before_stopping(None, settings, ship_to="folder:../inbox", timeout_s=TIMEOUT_S)
    assert "RuntimeError" in caplog.text
    assert "a secret" not in caplog.text


def test_importing_it_loads_nothing_heavy() -> None:
    code = (
        "import sys, airflow_chain.shipping; "
        "bad = {'airflow', 'sqlalchemy', 'web3', 'mlflow'} & set(sys.modules); "
        "sys.exit(f'loaded {bad}' if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
