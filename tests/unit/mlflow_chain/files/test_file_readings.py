"""Which read-backs change what is expected of a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain_client.events import Subject
from mlflow_chain.files.bracket import DELETED, KIND
from mlflow_chain.files.locations import Storage
from tests.unit.mlflow_chain.files.history import CLIENT, History

STORAGE = Storage(served=True)
CHANGED = [("artifact_changed", "f")]


@pytest.fixture
def history() -> History:
    """A run that was created and ended."""
    history = History()
    history.run("RUNNING", new=True)
    history.run("FINISHED")
    return history


@pytest.fixture
def root(tmp_path: Path) -> str:
    """Where the run's file lies, exchanged."""
    (tmp_path / "f").write_bytes(b"new")
    return str(tmp_path)


def test_a_run_that_only_ends_again_makes_nothing_right(history: History, root: str) -> None:
    history.read_back(root, {"f": b"old"})
    history.run("FINISHED")
    history.read_back(root, {"f": b"new"})
    assert history.kinds(STORAGE, root) == CHANGED


@pytest.mark.parametrize("whole", [True, False])
def test_a_run_that_was_taken_up_again_may_have_written(
    history: History, root: str, whole: bool
) -> None:
    history.read_back(root, {"f": b"old"})
    history.run("RUNNING")
    history.run("FINISHED")
    history.read_back(root, {"other": b""}, whole=False)
    history.read_back(root, {"f": b"new"}, whole=whole)
    (Path(root) / "other").touch()
    assert history.kinds(STORAGE, root) == []


def test_a_file_that_was_read_while_its_run_went_on_may_be_written_later(
    history: History, root: str
) -> None:
    history.run("RUNNING")
    history.read_back(root, {"f": b"old"}, source="…", by="server")
    history.run("FINISHED")
    history.read_back(root, {"f": b"new"})
    assert history.kinds(STORAGE, root) == []


def test_a_run_that_was_taken_up_before_the_last_reading_counts_no_more(
    history: History, root: str
) -> None:
    history.read_back(root, {"f": b"old"})
    history.run("RUNNING")
    history.run("FINISHED")
    history.read_back(root, {})
    history.run("FINISHED")
    history.read_back(root, {"f": b"new"})
    assert history.kinds(STORAGE, root) == CHANGED


def test_what_passed_us_stands_whatever_is_read_later(history: History, root: str) -> None:
    history.logged(root, "f", b"old")
    history.run("RUNNING")
    history.run("FINISHED")
    history.read_back(root, {"f": b"new"})
    assert history.kinds(STORAGE, root) == CHANGED


def test_another_version_from_the_same_place_makes_the_first_no_better(root: str) -> None:
    history = History()
    for data in (b"old", b"new"):
        history.read_back(root, {"f": data}, source=root, by="server")
    assert history.kinds(STORAGE, root) == CHANGED


def test_a_file_in_parts_is_what_was_read_after_each_upload(history: History, root: str) -> None:
    for data in (b"old", b"new"):
        history.uploaded(root, "f", None)
        history.read_back(root, {"f": data}, whole=False, location=root, path="f")
    assert history.kinds(STORAGE, root) == []
    history.read_back(root, {"f": b"odd"}, whole=False, location=root, path="f")
    assert history.kinds(STORAGE, root) == []
    (Path(root) / "f").write_bytes(b"odd")
    assert history.kinds(STORAGE, root) == CHANGED


def test_a_file_that_was_deleted_may_be_written_again(history: History, root: str) -> None:
    history.read_back(root, {"f": b"old"})
    history.add(CLIENT, DELETED, Subject("s", KIND, root), {"path": "f"})
    assert history.kinds(STORAGE, root) == [("artifact_unexpected", "f")]
    history.read_back(root, {"f": b"new"})
    assert history.kinds(STORAGE, root) == []
