"""Loading by alias, stage and version: only what the chain approves, and nothing before that."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import mlflow
import psutil
import pytest
import requests
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

import mlflow_chain
from chain_client.client import ChainClient
from chain_client.config import Settings
from chain_client.errors import InvalidInput
from chain_client.manifests import model_digest
from chain_client.registry.identity import digest_commitment
from chain_client.types import Digest
from mlflow_chain.attesting.attest import read_manifest
from mlflow_chain.files.locations import Spot
from mlflow_chain.files.stored import StoredFiles
from tests.governed import BREAKER, REGISTRAR, Registry
from tests.integration.gate_files.conftest import Keeping, Version, write_model
from tests.mlflow_server import Site, launch, wait_until

pytestmark = pytest.mark.filterwarnings("ignore")

_numbers = count(1)


@dataclass
class Promoted:
    """A model of which a version is current on chain and in MLflow.

    Args:
        keeping: the server.
        version: promoted.
        module: of its code.
        mark: is there once that was imported.
    """

    keeping: Keeping
    version: Version
    module: str
    mark: Path

    @property
    def champion(self) -> str:
        """Its alias."""
        return f"models:/{self.version.name}@champion"

    def imported(self) -> bool:
        """Whether any of its code ran, in this process or another."""
        return self.mark.exists() or self.module in sys.modules


@pytest.fixture(scope="module")
def server(new_site: Callable[..., Site]) -> Iterator[Keeping]:
    """A server on the default stack, its aliases and stages gated."""
    server = launch(new_site())
    keeping = Keeping(server)
    try:
        MlflowClient(server.url).search_experiments()
        with keeping.opened() as client:
            Registry(client).govern()
        yield keeping
    finally:
        server.stop()


@pytest.fixture(scope="module")
def make(server: Keeping, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Promoted]:
    """Makes a model, promoted to champion, whose code nobody has imported."""

    def make() -> Promoted:
        number = next(_numbers)
        module = f"verified_model_{os.getpid()}_{number}"
        folder = tmp_path_factory.mktemp("promoted")
        source = write_model(folder / "source", module, mark=folder / "mark")
        version = server.register(f"fraud-{number}", source)
        server.relay()
        promote(server, version.name, version.number, "alias:champion")
        client = MlflowClient(server.server.url)
        client.set_registered_model_alias(version.name, "champion", str(version.number))
        return Promoted(server, version, module, folder / "mark")

    return make


@pytest.fixture(scope="module")
def never_loaded(make: Callable[[], Promoted]) -> Promoted:
    """A model that every test refuses."""
    return make()


@pytest.fixture
def promoted(never_loaded: Promoted, tmp_path: Path, here: None) -> Iterator[Promoted]:
    """The same, with its files as they were approved."""
    folder = never_loaded.version.folder
    shutil.copytree(folder, tmp_path / "approved")
    yield never_loaded
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "approved", folder)
    assert not never_loaded.imported()


@pytest.fixture(scope="module")
def loadable(make: Callable[[], Promoted]) -> Promoted:
    """A model that is loaded."""
    return make()


@pytest.fixture
def here(server: Keeping, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is a client of the server, with its home."""
    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(server.site.home))
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")
    mlflow.set_tracking_uri(server.server.url)


def promote(keeping: Keeping, name: str, version: int, target: str) -> None:
    """By two of three approvers, on chain."""
    with keeping.opened() as client:
        Registry(client).promote(name, version, target)


def refusal(uri: str) -> str:
    """Why a model is not loaded, by each way of loading it."""
    with pytest.raises(MlflowException) as said:
        mlflow_chain.load_model(uri)
    with pytest.raises(MlflowException) as plain:
        mlflow.pyfunc.load_model(uri.replace("models:", "chain+models:", 1))
    assert plain.value.error_code == said.value.error_code
    return f"{said.value.error_code} {said.value.message}"


def test_the_approved_bytes_are_loaded_by_alias_version_and_plain_mlflow(
    loadable: Promoted, here: None
) -> None:
    assert not loadable.imported()
    model = mlflow_chain.load_model(loadable.champion)
    assert model.predict(["x"]) == "approved"
    assert loadable.mark.exists()
    for uri in (loadable.champion, f"models:/{loadable.version.name}/1"):
        plain = mlflow.pyfunc.load_model(f"chain+{uri}")
        assert plain.predict(["x"]) == "approved"


def test_a_stage_is_loaded_in_whatever_case_once_it_is_approved(
    loadable: Promoted, here: None
) -> None:
    keeping, name = loadable.keeping, loadable.version.name
    set_stage = "update model_versions set current_stage = ? where name = ?"
    with edited(keeping.site, (set_stage, "Production", name), (set_stage, "None", name)):
        assert "nothing is approved" in refusal(f"models:/{name}/Production")
    promote(keeping, name, 1, "stage:Production")
    client = MlflowClient(keeping.server.url)
    client.transition_model_version_stage(name, "1", "production", archive_existing_versions=True)
    assert mlflow_chain.load_model(f"models:/{name}/PRODUCTION").predict([]) == "approved"


@contextlib.contextmanager
def edited(site: Site, change: tuple[object, ...], back: tuple[object, ...]) -> Iterator[None]:
    """Change MLflow's database behind its back, for a while."""
    edit(site, *change)
    try:
        yield
    finally:
        edit(site, *back)


def edit(site: Site, statement: object, *values: object) -> None:
    """Change MLflow's database behind its back."""
    with contextlib.closing(sqlite3.connect(site.database, timeout=30)) as database, database:
        assert database.execute(str(statement), values).rowcount


def test_files_are_downloaded_verified_whole_and_by_path(
    promoted: Promoted, tmp_path: Path
) -> None:
    whole = Path(mlflow.artifacts.download_artifacts(f"chain+{promoted.champion}"))
    assert sorted(p.name for p in whole.iterdir()) == ["MLmodel", "code", "data.bin"]
    assert whole.parent.stat().st_mode & 0o077 == 0
    one = mlflow.artifacts.download_artifacts(f"chain+{promoted.champion}/data.bin")
    assert Path(one).read_bytes() == b"d" * 100_000
    target = tmp_path / "target"
    given = mlflow.artifacts.download_artifacts(f"chain+{promoted.champion}", dst_path=str(target))
    assert (Path(given), (target / "data.bin").exists()) == (target, True)
    names = [f.path for f in mlflow.artifacts.list_artifacts(f"chain+{promoted.champion}")]
    assert "MLmodel" in {Path(name).name for name in names}


def test_a_folder_that_is_not_empty_is_refused_as_target(
    promoted: Promoted, tmp_path: Path
) -> None:
    (tmp_path / "code").mkdir()
    with pytest.raises(MlflowException, match="not empty"):
        mlflow_chain.load_model(promoted.champion, dst_path=str(tmp_path))


def _swap(folder: Path) -> None:
    (folder / "data.bin").write_bytes(b"e" * 100_000)


def _rename(folder: Path) -> None:
    (folder / "data.bin").rename(folder / "data2.bin")


def _add(folder: Path) -> None:
    (folder / "code" / "os_shadow.py").write_text("")


def _ignore(folder: Path) -> None:
    (folder / ".gitignore").write_text("*")


def _remove(folder: Path) -> None:
    (folder / "data.bin").unlink()


def _truncate(folder: Path) -> None:
    (folder / "data.bin").write_bytes(b"")


@pytest.mark.parametrize("tamper", [_swap, _rename, _add, _ignore, _remove, _truncate])
def test_other_bytes_are_refused_before_any_code_of_the_model_runs(
    promoted: Promoted, tamper: Callable[[Path], None]
) -> None:
    tamper(promoted.version.folder)
    for uri in (promoted.champion, f"models:/{promoted.version.name}/1"):
        said = refusal(uri)
        assert said.startswith("PERMISSION_DENIED"), said
        assert "not those that were approved" in said
    assert not promoted.imported()


def test_a_symbolic_link_in_storage_gives_nothing_to_load(promoted: Promoted) -> None:
    _remove(promoted.version.folder)
    (promoted.version.folder / "data.bin").symlink_to("/etc/hostname")
    assert refusal(promoted.champion)
    assert not promoted.imported()


def test_mlflow_s_note_of_a_load_is_dropped_from_the_copy(promoted: Promoted) -> None:
    note = promoted.version.folder / "registered_model_meta"
    note.write_text(f"model_name: {promoted.version.name}\nmodel_version: '1'\n")
    copy = Path(mlflow.artifacts.download_artifacts(f"chain+{promoted.champion}"))
    assert not (copy / "registered_model_meta").exists()
    note.write_text("model_name: [1, 2]\nmodel_version: '1'\n")
    assert "not those that were approved" in refusal(promoted.champion)


def test_an_alias_that_was_moved_in_the_database_is_refused(
    promoted: Promoted, tmp_path: Path
) -> None:
    name, site = promoted.version.name, promoted.keeping.site
    promoted.keeping.register(name, write_model(tmp_path / "two", f"{promoted.module}_b", "evil"))
    move = "update registered_model_aliases set version = ? where name = ?"
    with edited(site, (move, 2, name), (move, 1, name)):
        said = refusal(promoted.champion)
    assert "MLflow has version 2" in said
    assert "version 1 is current on chain" in said
    assert "mlops-chain sync" in said
    assert "not registered" in refusal(f"models:/{name}/2")


def test_a_source_that_was_changed_in_the_database_is_refused(
    promoted: Promoted, tmp_path: Path
) -> None:
    name, own = promoted.version.name, f"mlflow-artifacts:/{promoted.version.below}"
    other = promoted.keeping.register("evil", write_model(tmp_path / "e", f"{promoted.module}_e"))
    move = "update model_versions set storage_location = ? where name = ? and version = 1"
    with edited(
        promoted.keeping.site, (move, f"mlflow-artifacts:/{other.below}", name), (move, own, name)
    ):
        assert "not those that were approved" in refusal(promoted.champion)


def test_a_model_that_was_deleted_and_made_again_is_another_one(promoted: Promoted) -> None:
    made = "update registered_models set creation_time = creation_time + ? where name = ?"
    name = promoted.version.name
    with edited(promoted.keeping.site, (made, 1, name), (made, -1, name)):
        assert "nothing is approved" in refusal(promoted.champion)


def test_a_revoked_version_is_refused(make: Callable[[], Promoted], here: None) -> None:
    promoted = make()
    with promoted.keeping.opened() as client:
        registry = Registry(client)
        model = registry.id_of(promoted.version.name)
        call = client.model_registry.revoke_version_call(model, 1, Digest(bytes(31) + b"\1"))
        registry.send(BREAKER, call)
    assert "revoked" in refusal(promoted.champion)
    assert "revoked" in refusal(f"models:/{promoted.version.name}/1")
    assert not promoted.imported()


def test_an_alias_without_a_policy_is_refused(promoted: Promoted) -> None:
    client = MlflowClient(promoted.keeping.server.url)
    client.set_registered_model_alias(promoted.version.name, "candidate", "1")
    assert "no policy stands" in refusal(f"models:/{promoted.version.name}@candidate")


def test_a_chain_that_does_not_answer_is_a_refusal_and_no_second_source(
    promoted: Promoted,
) -> None:
    chain = promoted.keeping.site.home / "chain"
    away = chain.rename(chain.with_name("chain-away"))
    try:
        assert refusal(promoted.champion).startswith("RESOURCE_CONFLICT")
    finally:
        away.rename(chain)
    assert mlflow.artifacts.download_artifacts(f"chain+{promoted.champion}")


def test_a_home_of_another_deployment_is_refused(
    promoted: Promoted, founded_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(founded_home, tmp_path / "other")
    deployment = (tmp_path / "other" / "deployment.json").read_text()
    with promoted.keeping.opened() as client:
        known = client.deployment_id
    (tmp_path / "other" / "deployment.json").write_text(deployment.replace(known, "0" * 32))
    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(tmp_path / "other"))
    assert "MLOPS_CHAIN_HOME" in refusal(promoted.champion)
    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(tmp_path / "none"))
    assert "no home" in refusal(promoted.champion)
    assert not (tmp_path / "none").exists()


def test_a_home_with_the_salt_and_no_key_and_no_log_is_enough(
    promoted: Promoted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, small = promoted.keeping.site.home, tmp_path / "small"
    (small / "keys").mkdir(parents=True)
    (small / "keys" / "registry-salt").write_text("ab" * 32 + "\n")
    shutil.copy(home / "deployment.json", small)
    shutil.copytree(home / "chain", small / "chain")
    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(small))
    assert refusal(promoted.champion)
    shutil.copy(home / "keys" / "registry-salt", small / "keys")
    assert mlflow.artifacts.download_artifacts(f"chain+{promoted.champion}")


def test_a_copy_is_gone_when_its_process_has_ended(promoted: Promoted) -> None:
    script = textwrap.dedent(
        """
        import os, sys, mlflow
        mlflow.set_tracking_uri(sys.argv[1])
        path = mlflow.artifacts.download_artifacts(sys.argv[2])
        if os.fork() == 0:
            sys.exit()
        os.wait()
        print(path, os.path.exists(path))
        """
    )
    words = (promoted.keeping.server.url, f"chain+{promoted.champion}")
    done = promoted.keeping.site.run("-c", script, *words)
    path, was_there = done.stdout.split()
    assert (was_there, Path(path).exists()) == ("True", False), done.stderr


def test_mlflow_models_serve_serves_only_what_is_approved(loadable: Promoted, here: None) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    uri = f"chain+{loadable.champion}"
    words = ("models", "serve", "-m", uri, "--env-manager", "local", "-p", str(port), "-w", "1")
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    variables = {"MLFLOW_TRACKING_URI": loadable.keeping.server.url, "PATH": programs}
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", *words],
        env=loadable.keeping.site.environment | variables,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: _answers(process, f"{url}/ping"), 60)
        answer = requests.post(f"{url}/invocations", json={"inputs": ["x"]}, timeout=30)
        assert answer.json() == {"predictions": "approved"}
    finally:
        _end(process)
    _swap(loadable.version.folder)
    refused = loadable.keeping.site.run("-m", "mlflow", *words, **variables)
    assert refused.returncode != 0
    assert "not those that were approved" in refused.stderr


def _answers(process: subprocess.Popen[bytes], url: str) -> bool:
    assert process.poll() is None
    with contextlib.suppress(requests.ConnectionError):
        return bool(requests.get(url, timeout=10).status_code == 200)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    children: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    process.wait(30)
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(children, timeout=30)


def test_a_database_without_a_server_is_asked_directly_and_must_be_recorded(
    founded_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Plain MLflow imports the code of a local model in its place: what Python compiled would lie
    # among the model's files from then on, which are then not those that were approved.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    home = tmp_path / "home"
    shutil.copytree(founded_home, home)
    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(home))
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")
    database = f"sqlite:///{tmp_path}/mlflow.db"
    mlflow.set_tracking_uri(f"chain+{database}")
    experiment = mlflow.create_experiment("local", str(tmp_path / "artifacts"))
    client = MlflowClient()
    module = f"local_model_{os.getpid()}_{next(_numbers)}"
    model = client.create_logged_model(experiment, name="net")
    client.log_model_artifacts(model.model_id, str(write_model(tmp_path / "source", module)))
    client.finalize_logged_model(model.model_id, "READY")
    client.create_registered_model("fraud")
    client.create_model_version("fraud", f"models:/{model.model_id}", model_id=model.model_id)
    opened = ChainClient.open(Settings(home=home, relay_autostart=False))
    try:
        opened.recorder.close()
        registry = Registry(opened)
        registry.drain()
        registry.govern()
        with pytest.raises(MlflowException, match="refused"):
            client.set_registered_model_alias("fraud", "champion", "1")
        registry.promote("fraud", 1)
    finally:
        opened.close()
    client.set_registered_model_alias("fraud", "champion", "1")
    for uri in (f"chain+{database}", database):
        mlflow.set_tracking_uri(uri)
        # Plain MLflow loads a local model in its place, and writes its note there.
        assert mlflow.pyfunc.load_model("models:/fraud@champion").predict([]) == "approved"
        assert mlflow_chain.load_model("models:/fraud@champion").predict([]) == "approved"
    client.set_registered_model_alias("fraud", "champion", "1")
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as rows, rows:
        rows.execute("drop table mlops_chain_deployment")
    assert "not recorded" in refusal("models:/fraud@champion")


def _lead_out(folder: Path, elsewhere: Path) -> None:
    description = folder / "MLmodel"
    description.write_text(description.read_text().replace("code: code", f"code: {elsewhere}"))


def test_a_model_whose_code_lies_elsewhere_can_t_be_proposed(
    server: Keeping, here: None, tmp_path: Path
) -> None:
    source = write_model(tmp_path / "source", f"elsewhere_{os.getpid()}_{next(_numbers)}")
    _lead_out(source, tmp_path / "elsewhere")
    version = server.register(f"fraud-{next(_numbers)}", source)
    with pytest.raises(InvalidInput, match=r"flavors\.python_function\.code is an absolute path"):
        server.attest(version)


def test_a_model_whose_code_lies_elsewhere_is_not_loaded_also_if_it_was_registered_before(
    server: Keeping, here: None, tmp_path: Path
) -> None:
    module = f"elsewhere_{os.getpid()}_{next(_numbers)}"
    mark = tmp_path / "mark"
    elsewhere = write_model(tmp_path / "other", module, mark=mark) / "code"
    source = write_model(tmp_path / "source", module, mark=mark)
    _lead_out(source, elsewhere)
    version = server.register(f"fraud-{next(_numbers)}", source)
    # As by a release that did not look into descriptions.
    digest = model_digest(read_manifest(StoredFiles(Spot(str(version.folder)))))
    with server.opened() as client:
        registry = Registry(client)
        model = registry.id_of(version.name)
        commitment = digest_commitment(client.salt, model, 1, digest)
        call = client.model_registry.register_version_call(model, 1, commitment, 0)
        registry.send(REGISTRAR, call)
    said = refusal(f"models:/{version.name}/1")
    assert said.startswith("PERMISSION_DENIED"), said
    assert "flavors.python_function.code is an absolute path" in said
    assert not mark.exists()
