"""The home folder: private, made once, and clear about what can't be used."""

from __future__ import annotations

import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chain_client.errors import ConfigurationError, HomeNotWritable
from chain_client.home import Home
from chain_client.hosts import StoreBinding

SECRET = "postgresql://user:hunter2@host/db"


@pytest.fixture
def made(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.create_folders()
    return home


def test_folders_are_private_and_made_twice_without_harm(made: Home) -> None:
    made.create_folders()
    for folder in (made.path, made.keys, made.chain, made.spool, made.stores):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not made.exists()
    assert {path.name for path in made.path.iterdir()} == {"keys", "chain", "spool", "stores"}


def test_a_home_below_a_file_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeNotWritable, match=r"can't be written \(.*MLOPS_CHAIN_HOME"):
        Home(tmp_path / "file" / "home").create_folders()


def test_a_binding_is_kept_in_a_file_of_its_owner_only(made: Home) -> None:
    bindings = [StoreBinding("b", "mlflow", SECRET), StoreBinding("a", "mlflow", "sqlite:///x")]
    for binding in bindings:
        made.put_store(binding)
        made.put_store(binding)
    made.put_store(StoreBinding("a", "mlflow", "sqlite:///y"))
    assert made.bindings() == [StoreBinding("a", "mlflow", "sqlite:///y"), bindings[0]]
    for file in made.stores.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "hunter2" not in repr(bindings[0])


@pytest.mark.parametrize("content", ["", "{", "[]", '{"store_id": "a"}', '"text"'])
def test_a_damaged_binding_is_named_and_never_shown(made: Home, content: str) -> None:
    made.put_store(StoreBinding("a", "mlflow", SECRET))
    (made.stores / "a.json").write_text(content)
    with pytest.raises(ConfigurationError, match=r"a\.json is damaged; remove it"):
        made.bindings()


def test_a_binding_that_can_not_be_written_is_an_error_of_ours(made: Home) -> None:
    made.stores.rmdir()
    made.stores.write_text("")
    with pytest.raises(HomeNotWritable, match="can't be written") as caught:
        made.put_store(StoreBinding("a", "mlflow", SECRET))
    assert "hunter2" not in str(caught.value)


def test_the_lock_lets_one_in_at_a_time(made: Home) -> None:
    inside: list[str] = []
    entered = threading.Event()

    def second() -> None:
        entered.set()
        with Home(made.path).locked():
            inside.append("second")

    thread = threading.Thread(target=second)
    with made.locked():
        thread.start()
        assert entered.wait(10)
        inside.append("first")
    thread.join(10)
    assert inside == ["first", "second"]


def test_every_destination_of_servers_is_remembered(made: Home) -> None:
    made.put_store(StoreBinding("a", "mlflow", "sqlite:///y"))
    assert [(b.served, b.artifacts) for b in made.bindings()] == [(False, ())]
    for destination in ("/data/kept", None, "/elsewhere/mlartifacts", "/data/kept"):
        made.put_served("a", destination)
    (binding,) = made.bindings()
    assert (binding.served, binding.artifacts) == (True, ("/data/kept", "/elsewhere/mlartifacts"))


def test_a_server_that_keeps_nothing_is_remembered(made: Home) -> None:
    made.put_store(StoreBinding("a", "mlflow", "sqlite:///y"))
    made.put_served("a", None)
    assert [(b.served, b.artifacts) for b in made.bindings()] == [(True, ())]


def test_threads_may_look_at_a_home_at_the_same_time(made: Home) -> None:
    def look() -> None:
        for _ in range(100):
            made.create_folders()

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(look) for _ in range(4)]:
            done.result()
    assert not list(made.path.glob(".probe*"))
