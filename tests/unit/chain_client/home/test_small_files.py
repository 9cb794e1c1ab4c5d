"""The small files of a home: whole, and each writer's own until it is in place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chain_client.errors import HomeNotWritable
from chain_client.home import Home
from chain_client.hosts import StoreBinding


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with its folders."""
    made = Home(tmp_path / "home")
    made.create_folders()
    return made


def _binding(name: str) -> StoreBinding:
    return StoreBinding("s1", "mlflow", f"sqlite:////{name}.db")


def test_writers_of_one_process_number_do_not_meet(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 1)  # as in two containers
    fsync = os.fsync

    def meanwhile(descriptor: int) -> None:
        monkeypatch.setattr(os, "fsync", fsync)
        home.put_store(_binding("b"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", meanwhile)
    home.put_store(_binding("a"))
    assert home.bindings() == [_binding("a")]
    [left] = home.stores.iterdir()
    assert left.stat().st_mode & 0o777 == 0o600


def test_a_write_that_breaks_off_leaves_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(HomeNotWritable, match="No space left"):
        home.put_store(_binding("a"))
    assert list(home.stores.iterdir()) == []
