"""What goes wrong in a hook stays there, and what a signal's handler raises does not."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from airflow_chain import guard
from airflow_chain.guard import Guard
from chain_client.errors import HomeMissing


class TaskTimedOut(BaseException):
    """As Airflow's, which is no `Exception`."""


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGALRM, signal.SIGTERM)}
    guard.faults.clear()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    guard.faults.clear()


@pytest.mark.parametrize(
    "error",
    [ValueError("secret"), SystemExit(1), KeyboardInterrupt(), GeneratorExit(), MemoryError()],
    ids=lambda error: type(error).__name__,
)
def test_whatever_a_hook_raises_stays_inside(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        with Guard("some_hook"):
            raise error
    assert guard.faults == {f"some_hook: {type(error).__name__}": 3}
    assert len(caplog.records) == 1
    assert "secret" not in caplog.text


def test_our_own_errors_are_told_in_words(caplog: pytest.LogCaptureFixture) -> None:
    with Guard("some_hook"):
        raise HomeMissing("there is no home at /x")
    assert "there is no home at /x" in caplog.text


def test_a_logger_that_fails_changes_nothing() -> None:
    def fail(record: logging.LogRecord) -> bool:
        raise SystemExit

    logger = logging.getLogger("airflow_chain.guard")
    logger.addFilter(fail)
    try:
        with Guard("some_hook"):
            raise ValueError
    finally:
        logger.removeFilter(fail)


def test_a_timeout_within_a_hook_reaches_airflow_when_the_hook_is_done() -> None:
    steps = []

    def time_out(number: int, frame: FrameType | None) -> None:
        raise TaskTimedOut

    signal.signal(signal.SIGALRM, time_out)

    def hook() -> None:
        with Guard("some_hook"):
            os.kill(os.getpid(), signal.SIGALRM)
            steps.append("the hook goes on")

    with pytest.raises(TaskTimedOut):
        hook()
    assert steps == ["the hook goes on"]
    assert signal.getsignal(signal.SIGALRM) is time_out
    assert not guard.faults


def test_a_timeout_reaches_airflow_also_when_the_hook_fails() -> None:
    def time_out(number: int, frame: FrameType | None) -> None:
        raise TaskTimedOut

    signal.signal(signal.SIGALRM, time_out)

    def hook() -> None:
        with Guard("some_hook"):
            os.kill(os.getpid(), signal.SIGALRM)
            raise ValueError

    with pytest.raises(TaskTimedOut):
        hook()
    assert guard.faults == {"some_hook: ValueError": 1}


def test_the_end_of_a_scheduler_within_a_hook_is_its_end() -> None:
    def exit_gracefully(number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, exit_gracefully)
    with pytest.raises(SystemExit), Guard("some_hook"):
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("swallows", [False, True])
def test_a_hook_that_hangs_in_a_file_makes_nobody_deaf(
    swallows: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "away")
    monkeypatch.setattr(guard, "PATIENCE_S", 0.2)

    def exit_gracefully(number: int, frame: FrameType | None) -> None:
        raise SystemExit(7)

    signal.signal(signal.SIGTERM, exit_gracefully)
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()

    def hook() -> None:
        around = contextlib.suppress(SystemExit) if swallows else contextlib.nullcontext()
        with Guard("outer"), Guard("inner"), around:
            (tmp_path / "away").read_text()  # nobody ever writes

    with pytest.raises(SystemExit) as ended:
        hook()
    assert ended.value.code == 7
    assert signal.getsignal(signal.SIGTERM) is exit_gracefully
    assert not guard.faults


def test_ctrl_c_within_a_hook_is_not_lost() -> None:
    # Where the tests run in the background of a shell, the signal is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), Guard("some_hook"):
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_every_signal_that_came_is_delivered_and_every_handler_given_back() -> None:
    called = []

    def first(number: int, frame: FrameType | None) -> None:
        called.append(number)
        raise TaskTimedOut

    def second(number: int, frame: FrameType | None) -> None:
        called.append(number)

    signal.signal(signal.SIGALRM, first)
    signal.signal(signal.SIGTERM, second)

    def hook() -> None:
        with Guard("outer"), Guard("inner"):
            for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGTERM):
                os.kill(os.getpid(), number)

    with pytest.raises(TaskTimedOut):
        hook()
    assert sorted(called) == sorted([signal.SIGALRM, signal.SIGTERM])
    assert signal.getsignal(signal.SIGALRM) is first
    assert signal.getsignal(signal.SIGTERM) is second


def test_a_hook_in_another_thread_touches_no_handler() -> None:
    done = []

    def work() -> None:
        with Guard("some_hook"):
            done.append(signal.getsignal(signal.SIGTERM))
            raise SystemExit

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [before]
    assert guard.faults == {"some_hook: SystemExit": 1}


def test_causes_are_counted_without_end_but_not_named_without_end() -> None:
    for number in range(150):
        with Guard(f"hook {number}"):
            raise ValueError
    assert len(guard.faults) == 101
    assert guard.faults["others"] == 50
