"""What holds for every test: a clean environment, a folder of its own, no process left behind."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import psutil
import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from chain_client.plugin_host import PluginHost
    from tests.airflow_home import AirflowHome
    from tests.postgres import Postgres

CLEANED = ("MLFLOW_", "MLOPS_CHAIN_", "AIRFLOW", "_MLFLOW_")
"""Variables with these prefixes never reach a test from outside."""

PLUGINS = "MLOPS_CHAIN_PLUGINS"
"""Says whether plugins of other distributions are loaded: here only where a test asks for them."""

SESSION = "PYTEST_SESSION_MARK"
"""Inherited by every process that a test starts, so that the last check can find it."""

# The same examples in every run of `make test`; `make soak` looks further, and at random.
settings.register_profile("default", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("quick", parent=settings.get_profile("default"), max_examples=15)
settings.register_profile("soak", deadline=None, max_examples=5_000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


class _AirflowNotYet:
    """Fails what imports Airflow in pytest's process before it was given a home of the tests.

    The import reads ``AIRFLOW_HOME`` once and for ever: all later tests of that process would have
    the home of whoever runs them.
    """

    def find_spec(self, name: str, *_: object) -> None:
        if name == "airflow" and not os.environ.get("AIRFLOW_HOME"):
            pytest.fail(
                "Airflow is imported in pytest's own process: ask for the fixture "
                "airflow_in_process, and import it inside the test's functions"
            )


def pytest_configure() -> None:
    sys.meta_path.insert(0, cast(Any, _AirflowNotYet()))
    # Where Python may not keep what it compiled, every process of Airflow compiles all of it anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    os.environ[SESSION] = uuid.uuid4().hex
    os.environ["DO_NOT_TRACK"] = "true"  # MLflow reports its use over the network otherwise
    for name in list(os.environ):
        if name.startswith(CLEANED):
            del os.environ[name]
    os.environ[PLUGINS] = "own"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test starts in an empty folder, so nothing is written into the checkout."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(CLEANED) and name != PLUGINS:
            monkeypatch.delenv(name)
    monkeypatch.setenv(PLUGINS, "own")
    yield
    # Set by `mlflow.set_experiment`: a fixture of the session would hand it on to its processes.
    os.environ.pop("MLFLOW_EXPERIMENT_ID", None)


@pytest.fixture
def third_party_plugins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[PluginHost]:
    """Plugins of other distributions are loaded in this test, and in the processes it starts.

    What was imported of the test's own folder is forgotten when it ends.
    """
    from chain_client.plugin_host import using_plugin_host

    monkeypatch.setenv(PLUGINS, "all")
    with using_plugin_host() as host:
        yield host
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(f"{tmp_path}/"):
            del sys.modules[name]


@pytest.fixture(scope="session")
def founded_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that is made once; each test works on a copy (`home`)."""
    from chain_client import ChainClient, Settings

    folder = tmp_path_factory.mktemp("founded") / "home"
    settings = Settings.from_environment(
        {"MLOPS_CHAIN_RELAY_AUTOSTART": "false"}, folder.parent, home=folder
    )
    ChainClient.open(settings, create=True).close()
    return folder


@pytest.fixture
def home(founded_home: Path, tmp_path: Path) -> Path:
    """A fresh copy of a whole home."""
    copy = tmp_path / "home"
    shutil.copytree(founded_home, copy)
    return copy


@pytest.fixture
def mlops_chain(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """The command line in this process: give its words, get exit code, output and errors."""
    from chain_client.cli import main

    level = logging.getLogger("chain_client").level

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["mlops-chain", *map(str, words)])
        capsys.readouterr()
        code: object = 0
        try:
            main()
        except SystemExit as exc:
            code = exc.code
        out, err = capsys.readouterr()
        assert isinstance(code, int | None)
        return code or 0, out, err

    yield run
    logging.getLogger("chain_client").setLevel(level)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The Postgres of this process's tests, started when one asks for it; see `Postgres.create`."""
    from tests.postgres import running_postgres

    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def airflow_template(tmp_path_factory: pytest.TempPathFactory) -> AirflowHome:
    """A migrated ``AIRFLOW_HOME``, made once for all workers; it is only ever copied."""
    from tests.airflow_home import shared_template

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    return shared_template(folder / "airflow-template")


@pytest.fixture
def airflow_home(airflow_template: AirflowHome, tmp_path: Path) -> AirflowHome:
    """A fresh ``AIRFLOW_HOME``; see `tests/airflow_home.py` for what can be done with it."""
    return airflow_template.copied(tmp_path / "airflow")


@pytest.fixture(scope="session")
def _airflow_of_process(
    airflow_template: AirflowHome, tmp_path_factory: pytest.TempPathFactory
) -> AirflowHome:
    from tests.airflow_home import import_here

    copy = airflow_template.copied(tmp_path_factory.mktemp("airflow-here") / "airflow")
    import_here(copy)
    return copy


@pytest.fixture
def airflow_in_process(
    _airflow_of_process: AirflowHome, monkeypatch: pytest.MonkeyPatch
) -> AirflowHome:
    """Airflow can be imported in this test, inside its functions; one home for all of them."""
    monkeypatch.setenv("AIRFLOW_HOME", str(_airflow_of_process.folder))
    return _airflow_of_process


@pytest.fixture(scope="session")
def forking_programs(
    tmp_path_factory: pytest.TempPathFactory, _no_process_is_left: None
) -> Iterator[Path]:
    """A folder with a ``mlops-chain`` that starts at once; see `tests.forked_commands`."""
    from tests.forked_commands import forked_commands

    with forked_commands(tmp_path_factory.mktemp("forks")) as folder:
        yield folder


@pytest.fixture(autouse=True, scope="session")
def _no_process_is_left() -> Iterator[None]:
    """Whatever the tests started has ended when they end, detached relays included."""
    yield
    left = _started_here()
    if not left:
        return
    _, alive = psutil.wait_procs(left, timeout=30)
    found = [_describe(process) for process in alive]
    for process in alive:
        process.kill()
    assert not found, "processes left running:\n" + "\n".join(found)


def _started_here() -> list[psutil.Process]:
    ours = {os.getpid(), os.getppid()}
    mark = os.environ[SESSION]
    left = []
    for process in psutil.process_iter():
        try:
            if process.pid in ours or process.environ().get(SESSION) != mark:
                continue
            if any("resource_tracker" in word for word in process.cmdline()):
                continue  # ends with the Python process that owns it
        except psutil.Error:
            continue
        left.append(process)
    return left


def _describe(process: psutil.Process) -> str:
    try:
        test = process.environ().get("PYTEST_CURRENT_TEST", "outside a test")
        return f"{process.pid} {' '.join(process.cmdline())!r}, started in {test}"
    except psutil.Error:
        return f"{process.pid}, ended just now"
