"""Whose database it is: baseline, other homes, missing homes, servers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

import mlflow_chain
from chain_client.client import ChainClient
from chain_client.config import Settings
from chain_client.hosts import Remark, Scope, Unchecked
from mlflow_chain.host import MlflowHost
from tests.recorded_database import Recorded


def plain_stores(recorded: Recorded) -> tuple[Any, Any]:
    uri = recorded.uri.removeprefix("chain+")
    return SqlAlchemyStore(uri, str(recorded.file.with_name("artifacts"))), RegistryStore(uri)


def fill(tracking: Any, registry: Any) -> str:
    """History from before."""
    run_id: str = tracking.create_run("0", "me", 1, [RunTag("a", "1")], "old").info.run_id
    tracking.log_param(run_id, Param("p", "1"))
    for step in range(12):
        tracking.log_metric(run_id, Metric("loss", float(step), step, step))
    gone = tracking.create_run("0", "me", 1, [], "gone").info.run_id
    tracking.delete_run(gone)
    tracking.create_logged_model("0", "net", run_id)
    dead = tracking.create_logged_model("0", "dead", run_id)
    tracking.delete_logged_model(dead.model_id)
    registry.create_registered_model("m")
    registry.create_model_version("m", "/x", tags=[])
    registry.set_registered_model_alias("m", "champion", 1)
    return run_id


def test_what_was_there_before_becomes_a_baseline(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlflow_chain.adopting.baseline.POINTS_A_NOTE", 5)
    tracking, registry = plain_stores(recorded)
    run_id = fill(tracking, registry)
    mlflow_chain.wrap(tracking, recorded.client)
    assert recorded.findings() == []
    tracking.log_metric(run_id, Metric("loss", 77.0, 77, 77))
    tracking.set_tag(run_id, RunTag("a", "2"))
    assert recorded.findings() == []
    assert recorded.edit("update metrics set value = 5 where step = 3") == 1
    assert recorded.kinds() == ["metric_changed"]


def test_tracking_and_registry_of_one_database_share_its_baseline(recorded: Recorded) -> None:
    tracking, registry = plain_stores(recorded)
    mlflow_chain.wrap(registry, recorded.client)
    mlflow_chain.wrap(tracking, recorded.client)
    adopted = [event for event in recorded.events() if event.type == "store.adopted"]
    assert len(adopted) == 1
    assert len(recorded.client.folder.bindings()) == 1


def test_only_older_versions_need_no_record_of_the_files_at_their_source(
    recorded: Recorded, tmp_path: Path
) -> None:
    def notes() -> list[Unchecked | Remark]:
        (binding,) = recorded.client.folder.bindings()
        found = MlflowHost().compare(binding, recorded.events(), Scope(), lambda *step: None)
        return [item for item in found if isinstance(item, Unchecked | Remark)]

    _, registry = plain_stores(recorded)
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "weights.bin").touch()
    registry.create_registered_model("m")
    for source in ("s3://bucket/prod/model", str(tmp_path / "local"), "models:/m/1"):
        registry.create_model_version("m", source)
    mlflow_chain.wrap(registry, recorded.client)
    assert recorded.findings() == []
    (note,) = notes()
    assert isinstance(note, Remark)
    assert note.subject == "files of 3 versions"
    registry.create_model_version("m", "s3://bucket/prod/model")
    left_out = [note.subject for note in notes() if isinstance(note, Unchecked)]
    assert left_out == ["model m/version 4"]
    recorded.edit("update model_versions set source = 's3://mine' where version = 1")
    assert recorded.kinds() == ["version_field_changed"]
    left_out = [note.subject for note in notes() if isinstance(note, Unchecked)]
    assert left_out == ["model m/version 1", "model m/version 4"]


def test_an_interrupted_adoption_is_done_again(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracking, registry = plain_stores(recorded)
    fill(tracking, registry)

    def fail(self: object, *args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mlflow_chain.reading.sql.SqlReader.registered_model_names", fail)
        with pytest.raises(KeyboardInterrupt):
            mlflow_chain.wrap(tracking, recorded.client)
    registry.delete_registered_model_alias("m", "champion")
    mlflow_chain.wrap(tracking, recorded.client)
    assert recorded.findings() == []


def adopt_and_tamper(recorded: Recorded) -> None:
    """A recorded run, a changed parameter, and a database that says nobody adopted it."""
    store = plain_stores(recorded)[0]
    mlflow_chain.wrap(store, recorded.client)
    run_id = store.create_run("0", "me", 1, [], "new").info.run_id
    store.log_param(run_id, Param("p", "1"))
    assert recorded.findings() == []
    assert recorded.edit("update params set value = '99'") == 1
    assert recorded.edit("update mlops_chain_deployment set adopted_us = NULL") == 1


@pytest.mark.parametrize("note_is_lost", [False, True])
def test_a_database_that_denies_its_adoption_gets_no_second_baseline(
    recorded: Recorded, note_is_lost: bool
) -> None:
    adopt_and_tamper(recorded)
    if note_is_lost:
        (binding,) = recorded.client.folder.bindings()
        (recorded.client.folder.stores / f"{binding.store_id}.json").unlink()
    mlflow_chain.wrap(plain_stores(recorded)[0], recorded.client)
    assert [e.type for e in recorded.events()].count("store.adopted") == 1
    assert recorded.kinds() == ["param_changed"]
    assert recorded.edit("update mlops_chain_deployment set id = 1 where adopted_us > 0") == 1


def test_a_second_baseline_launders_nothing_and_is_found(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    adopt_and_tamper(recorded)
    with monkeypatch.context() as patch:  # as a version did that knew no better
        patch.setattr("mlflow_chain.adopting.adoption.Adoption._is_known", lambda *_: False)
        patch.setattr("mlflow_chain.adopting.adoption.Adoption._was_recorded", lambda *_: False)
        mlflow_chain.wrap(plain_stores(recorded)[0], recorded.client)
    assert recorded.kinds() == ["baseline_repeated", "param_changed"]


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("drop table mlops_chain_deployment", "no longer says so"),
        ("delete from mlops_chain_deployment", "no longer says so"),
        ("update mlops_chain_deployment set store_id = hex(zeroblob(16))", "now says that it is 0"),
        ("update mlops_chain_deployment set store_id = '../deployment'", "none of ours"),
    ],
)
def test_a_known_database_never_becomes_another_one(
    recorded: Recorded, statement: str, text: str
) -> None:
    adopt_and_tamper(recorded)
    before = [(binding, binding.uri) for binding in recorded.client.folder.bindings()]
    count = len(recorded.events())
    recorded.edit(statement)
    with pytest.raises(MlflowException, match=text) as caught:
        mlflow_chain.wrap(plain_stores(recorded)[0], recorded.client)
    assert caught.value.error_code == "INVALID_STATE"
    assert len(recorded.events()) == count
    assert [(b, b.uri) for b in recorded.client.folder.bindings()] == before


def at(recorded: Recorded, file: Path) -> Recorded:
    """The same home with the database in another file."""
    return Recorded(recorded.client, f"chain+sqlite:///{file}", file)


def test_a_copy_does_not_take_the_place_of_its_original(recorded: Recorded, tmp_path: Path) -> None:
    mlflow_chain.wrap(plain_stores(recorded)[0], recorded.client)
    copy = at(recorded, tmp_path / "copy.db")
    shutil.copy(recorded.file, copy.file)
    with pytest.raises(MlflowException, match="is a copy") as caught:
        mlflow_chain.wrap(plain_stores(copy)[0], recorded.client)
    assert str(recorded.file) in str(caught.value)
    (binding,) = recorded.client.folder.bindings()
    assert binding.uri == f"sqlite:///{recorded.file}"
    copy.edit("drop table mlops_chain_deployment")
    copy.edit("drop table mlops_chain_markers")
    mlflow_chain.wrap(plain_stores(copy)[0], recorded.client)
    assert len(recorded.client.folder.bindings()) == 2


def test_a_database_may_be_moved_and_have_several_paths(recorded: Recorded, tmp_path: Path) -> None:
    mlflow_chain.wrap(plain_stores(recorded)[0], recorded.client)
    link = at(recorded, tmp_path / "link.db")
    link.file.symlink_to(recorded.file)
    mlflow_chain.wrap(plain_stores(link)[0], recorded.client)
    assert link.edit("delete from mlops_chain_markers") == 0
    moved = at(recorded, tmp_path / "moved.db")
    recorded.file.rename(moved.file)
    mlflow_chain.wrap(plain_stores(moved)[0], recorded.client)
    (binding,) = recorded.client.folder.bindings()
    assert binding.uri == f"sqlite:///{moved.file}"


def test_dropped_markers_are_made_again(recorded: Recorded) -> None:
    mlflow_chain.wrap(plain_stores(recorded)[0], recorded.client)
    recorded.edit("drop table mlops_chain_markers")
    store = plain_stores(recorded)[0]
    mlflow_chain.wrap(store, recorded.client)
    store.create_run("0", "me", 1, [], "new")
    assert recorded.findings() == []


FORK = """
import os, threading
from mlflow_chain import building
from mlflow_chain.files import repositories
held, forked = threading.Event(), threading.Event()
def hold():
    with building._lock.held(), repositories._lock.held():
        held.set()
        forked.wait()
thread = threading.Thread(target=hold)
thread.start()
held.wait()
child = os.fork()
if child == 0:
    def enter():
        with building._lock.held(), repositories._lock.held():
            pass
    entering = threading.Thread(target=enter, daemon=True)
    entering.start()
    entering.join(5)
    os._exit(1 if entering.is_alive() else 0)
forked.set()
thread.join()
print(os.waitpid(child, 0)[1])
"""


def test_a_lock_that_is_held_at_a_fork_does_not_hold_up_the_child() -> None:
    script = [sys.executable, "-W", "ignore", "-c", FORK]
    run = subprocess.run(script, capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout == "0\n"


def test_of_several_that_come_at_once_one_adopts(recorded: Recorded) -> None:
    stores = [plain_stores(recorded)[0] for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda store: mlflow_chain.wrap(store, recorded.client), stores))
    assert [e.type for e in recorded.events()].count("store.adopted") == 1


def test_a_home_of_another_deployment_is_refused(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow_chain.wrap(plain_stores(recorded)[0], recorded.client)
    other = Settings(home=tmp_path / "other", relay_autostart=False)
    stranger = ChainClient.open(other, create=True)
    with pytest.raises(MlflowException, match="belongs to deployment") as caught:
        mlflow_chain.wrap(plain_stores(recorded)[0], stranger)
    assert caught.value.error_code == "INVALID_STATE"
    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(other.home))
    with pytest.raises(MlflowException, match="MLOPS_CHAIN_HOME"):
        mlflow_chain.wrap(plain_stores(recorded)[0])


def test_a_missing_home_is_never_replaced_by_a_new_one(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow_chain.wrap(plain_stores(recorded)[0], recorded.client)
    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(tmp_path / "lost"))
    with pytest.raises(MlflowException, match="there is no home"):
        mlflow_chain.wrap(plain_stores(recorded)[0])
    assert not (tmp_path / "lost").exists()


SCRIPT = """
import warnings
warnings.simplefilter("ignore")
import sys
import mlflow
from mlflow.tracking._tracking_service.utils import _get_store
from mlflow.exceptions import MlflowException
try:
    _get_store(sys.argv[1])
except MlflowException as exc:
    print(exc)
"""


@pytest.mark.parametrize("is_worker", [True, False])
def test_a_server_never_makes_a_home(made_database: Path, tmp_path: Path, is_worker: bool) -> None:
    shutil.copy(made_database, tmp_path / "mlflow.db")
    environ = {"PATH": "/usr/bin:/bin", "MLOPS_CHAIN_HOME": str(tmp_path / "none")}
    if is_worker:
        environ["_MLFLOW_SERVER_FILE_STORE"] = "chain+sqlite:///mlflow.db"
    script = tmp_path / "mlflow"
    script.write_text(SCRIPT)
    arguments = [sys.executable, str(script), "chain+sqlite:///mlflow.db"]
    run = subprocess.run(
        [*arguments, *([] if is_worker else ["server"])],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert "there is no home" in run.stdout
    assert not (tmp_path / "none").exists()
