"""Forks, children and the end of the interpreter: each process has a source of its own."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from multiprocessing.context import ForkContext, SpawnContext
from pathlib import Path

import pytest

from chain_client.spool import Durability, Kind, SourceReader, SpoolWriter, list_sources
from tests.unit.chain_client.spool.journals import make_writer, read_all

# Python 3.12+ warns of a fork beside threads; the spool's own flusher is one, and is what we test.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:This process .* is multi-threaded, use of fork\(\):DeprecationWarning"
)

_MAKE = """
import atexit, os, sys, threading
from pathlib import Path
from chain_client.spool import Durability, SpoolWriter
writer = SpoolWriter(
    Path(sys.argv[1]), opening=lambda: b"opening", closing=lambda n: b"closing %d" % n,
    durability=Durability.POWER,
)
"""


def _forked(work: Callable[[], None]) -> int:
    """Run ``work`` in a forked child that leaves without any handler; its exit code."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _run(root: Path, script: str) -> None:
    """Run a script in an interpreter of its own; it must end well, and say nothing."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _MAKE + textwrap.dedent(script), str(root)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def _bodies(source: SourceReader) -> list[bytes]:
    records, corruptions = read_all(source)
    assert corruptions == []
    return [record.body for record in records]


def _by_first_note(root: Path) -> dict[bytes, list[bytes]]:
    """Bodies of each source, by the first that follows its opening."""
    found = [_bodies(source) for source in list_sources(root)]
    return {bodies[1]: bodies for bodies in found}


def test_a_forked_child_opens_a_source_of_its_own(tmp_path: Path) -> None:
    writer = make_writer(tmp_path, durability=Durability.POWER)
    number = writer.append_intent(b"parent")
    parent_source = writer.source_id

    def child() -> None:
        assert writer.source_id is None
        writer.append_outcome(number, b"the parent's")  # the parent gives it
        writer.append_note(b"child")
        assert writer.source_id not in (None, parent_source)
        writer.close()

    assert _forked(child) == 0
    assert writer.source_id == parent_source
    writer.append_outcome(number, b"done")
    writer.close()
    assert _by_first_note(tmp_path) == {
        b"parent": [b"opening", b"parent", b"done", b"closing 2"],
        b"child": [b"opening", b"child", b"closing 2"],
    }


def test_the_parents_outcome_is_not_written_to_the_childs_intent_of_that_number(
    tmp_path: Path,
) -> None:
    writer = make_writer(tmp_path)
    number = writer.append_intent(b"parent")

    def child() -> None:
        assert writer.append_intent(b"child") == number
        writer.append_outcome(number, b"the parent's")
        writer.close()

    assert _forked(child) == 0
    writer.close()
    assert _by_first_note(tmp_path)[b"child"] == [b"opening", b"child", b"closing 2"]


def test_a_child_that_lives_on_does_not_keep_its_parents_source_alive(tmp_path: Path) -> None:
    writer = make_writer(tmp_path)
    writer.append_note(b"parent")
    (source,) = list_sources(tmp_path)
    read_end, write_end = os.pipe()
    born_read, born_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(write_end)
        os.write(born_write, b"1")  # its fork hooks have run
        os.read(read_end, 1)  # lives until the parent says so
        os._exit(0)
    os.close(read_end)
    try:
        os.read(born_read, 1)
        writer.close()
        assert not source.is_live()
    finally:
        os.close(write_end)
        os.close(born_read)
        os.close(born_write)
        os.waitpid(pid, 0)


def test_a_child_that_dies_leaves_its_parents_source_alive(tmp_path: Path) -> None:
    writer = make_writer(tmp_path)
    writer.append_note(b"parent")
    (source,) = list_sources(tmp_path)
    assert _forked(lambda: None) == 0
    assert _forked(writer.close) == 0
    assert source.is_live()
    writer.close()


def test_a_fork_beside_recording_threads_never_hangs_and_mixes_nothing(tmp_path: Path) -> None:
    writer = make_writer(tmp_path, durability=Durability.PROCESS)
    writer.append_note(b"parent")
    stop = threading.Event()

    def record() -> None:
        while not stop.is_set():
            writer.append_outcome(writer.append_intent(b"parent"), b"parent")

    threads = [threading.Thread(target=record) for _ in range(3)]
    for thread in threads:
        thread.start()

    def child() -> None:
        writer.append_note(b"child")
        writer.close()

    try:
        codes = [_forked(child) for _ in range(10)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    writer.close()
    assert codes == [0] * 10
    seen = sorted((set(_bodies(source)[1:-1]) for source in list_sources(tmp_path)), key=str)
    assert seen == [{b"child"}] * 10 + [{b"parent"}]


def _record_in_child(root: str) -> None:
    writer = make_writer(Path(root), durability=Durability.POWER)
    writer.append_outcome(writer.append_intent(b"child"), b"done")


@pytest.mark.parametrize(
    "context",
    [multiprocessing.get_context("fork"), multiprocessing.get_context("spawn")],
    ids=["fork", "spawn"],
)
def test_a_multiprocessing_child_closes_its_source(
    tmp_path: Path, context: ForkContext | SpawnContext
) -> None:
    writer = make_writer(tmp_path)
    writer.append_note(b"parent")
    process = context.Process(target=_record_in_child, args=(str(tmp_path),))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    writer.close()
    assert _by_first_note(tmp_path)[b"child"] == [b"opening", b"child", b"done", b"closing 2"]


def test_the_end_of_the_interpreter_closes_the_source(tmp_path: Path) -> None:
    _run(tmp_path, 'writer.append_outcome(writer.append_intent(b"call"), b"done")')
    (source,) = list_sources(tmp_path)
    assert not source.is_live()
    assert _bodies(source) == [b"opening", b"call", b"done", b"closing 2"]


def test_a_child_closes_its_source_though_it_was_made_to_forget_its_parents_exit_handlers(
    tmp_path: Path,
) -> None:
    _run(
        tmp_path,
        """
        writer.append_note(b"parent")
        if os.fork() == 0:
            atexit._clear()  # as Airflow's supervisor does, before it runs a task
            writer.append_note(b"child")
            sys.exit()
        os.wait()
        """,
    )
    found = _by_first_note(tmp_path)
    assert found[b"child"] == [b"opening", b"child", b"closing 2"]
    assert found[b"parent"] == [b"opening", b"parent", b"closing 2"]


def test_other_exit_handlers_may_still_record(tmp_path: Path) -> None:
    # registered before the spool's own handler, so it runs after it
    _run(
        tmp_path,
        """
        def late():
            writer.append_outcome(writer.append_intent(b"late"), b"late done")
            writer.append_note(b"last")
            assert writer.source_id is None
        atexit.register(late)
        writer.append_note(b"early")
        """,
    )
    assert _by_first_note(tmp_path) == {
        b"early": [b"opening", b"early", b"closing 2"],
        b"late": [b"opening", b"late", b"late done", b"closing 2"],
        b"last": [b"opening", b"last", b"closing 2"],
    }


def test_a_call_under_way_at_exit_still_gets_its_outcome(tmp_path: Path) -> None:
    _run(
        tmp_path,
        """
        def late():
            writer.append_outcome(number, b"done")
        atexit.register(late)
        number = writer.append_intent(b"call")
        """,
    )
    assert list(_by_first_note(tmp_path).values()) == [[b"opening", b"call", b"done", b"closing 2"]]


def test_a_process_that_leaves_at_once_has_no_closing_note(tmp_path: Path) -> None:
    _run(tmp_path, 'writer.append_intent(b"call"); os._exit(0)')
    (source,) = list_sources(tmp_path)
    assert not source.is_live()
    assert _bodies(source) == [b"opening", b"call"]


def test_a_thread_that_records_while_the_interpreter_ends_harms_nothing(tmp_path: Path) -> None:
    _run(
        tmp_path,
        """
        begun = threading.Event()
        def work():
            while True:
                writer.append_note(b"n")
                begun.set()
        threading.Thread(target=work, daemon=True).start()
        begun.wait()
        """,
    )
    for source in list_sources(tmp_path):
        records, corruptions = read_all(source)
        assert corruptions == []
        assert [record.sequence for record in records] == list(range(len(records)))
        assert {record.kind for record in records} == {Kind.NOTE}


def test_importing_the_spool_opens_nothing(tmp_path: Path) -> None:
    SpoolWriter(
        tmp_path / "spool",
        opening=bytes,
        closing=lambda _: b"",
        durability=Durability.PROCESS,
    ).close()
    _run(tmp_path / "spool", "assert not Path(sys.argv[1]).exists()")
    assert list(tmp_path.iterdir()) == []
