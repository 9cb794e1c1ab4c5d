"""Locks of models where the database is a file: how many files, and who may hold them on."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy

from mlflow_chain.gating.locks import LockTimeout, ModelLocks, lock_key

KEY = lock_key("s", "default", "fraud")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sqlalchemy.Engine]:
    """Of SQLite, which has no locks of its own."""
    made = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/m.db")
    yield made
    made.dispose()


def test_many_models_need_few_files_and_may_be_held_together(
    engine: sqlalchemy.Engine, tmp_path: Path
) -> None:
    locks = ModelLocks(engine, tmp_path / "locks", patience_s=0.1)
    keys = [lock_key("s", "default", f"model {number}") for number in range(2_000)]
    with locks.held(keys):
        pass
    for key in keys:
        with locks.held([key]):
            pass
    assert len(list((tmp_path / "locks").iterdir())) <= 256


def test_threads_hold_a_lock_one_after_the_other(engine: sqlalchemy.Engine, tmp_path: Path) -> None:
    inside, most = 0, 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal inside, most
        for _ in range(20):
            with ModelLocks(engine, tmp_path / "locks").held([KEY]):
                with lock:
                    inside += 1
                    most = max(most, inside)
                with lock:
                    inside -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == 1
    with (
        ModelLocks(engine, tmp_path / "locks").held([KEY]),
        pytest.raises(LockTimeout),
    ):
        in_thread(ModelLocks(engine, tmp_path / "locks", patience_s=0.05))


def in_thread(locks: ModelLocks) -> None:
    """Take the lock in another thread; what it raises is raised here."""
    raised: list[Exception] = []

    def take() -> None:
        try:
            with locks.held([KEY]):
                pass
        except LockTimeout as exc:
            raised.append(exc)

    thread = threading.Thread(target=take)
    thread.start()
    thread.join(30)
    if raised:
        raise raised[0]


def test_a_child_that_was_forked_within_a_lock_does_not_hold_it_on(
    engine: sqlalchemy.Engine, tmp_path: Path
) -> None:
    read_end, write_end = os.pipe()
    holder = os.fork()
    if holder == 0:
        with ModelLocks(engine, tmp_path / "locks").held([KEY]):
            child = os.fork()
            if child == 0:
                signal.pause()
                os._exit(0)
            os.write(write_end, str(child).encode())
            signal.pause()
        os._exit(0)
    child = int(os.read(read_end, 32))
    os.close(read_end)
    os.close(write_end)
    try:
        impatient = ModelLocks(engine, tmp_path / "locks", patience_s=0.1)
        with pytest.raises(LockTimeout), impatient.held([KEY]):
            pass
        os.kill(holder, signal.SIGKILL)
        os.waitpid(holder, 0)
        with impatient.held([KEY]):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_child_that_leaves_the_block_it_was_forked_in_does_not_free_its_parent_s_lock(
    engine: sqlalchemy.Engine, tmp_path: Path
) -> None:
    held = ModelLocks(engine, tmp_path / "locks").held([KEY])
    held.__enter__()

    def leave() -> int:
        held.__exit__(None, None, None)
        return 7

    def take() -> int:
        try:
            with ModelLocks(engine, tmp_path / "locks", patience_s=0.1).held([KEY]):
                return 6
        except LockTimeout:
            return 7

    assert in_fork(leave) == 7
    assert in_fork(take) == 7, "it is the parent's still"
    held.__exit__(None, None, None)
    assert in_fork(take) == 6


def in_fork(act: Callable[[], int]) -> int:
    """What it gives in a forked child."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = act()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
