"""Whatever goes wrong in the listener, Airflow does not notice; unconfigured, it is not there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.airflow_home import AirflowHome

pytestmark = pytest.mark.timeout(700)  # with Airflow 3.1 a dag.test() takes seconds

_DAG = """
from datetime import timedelta
from airflow.sdk import dag, task
from airflow.providers.common.compat.sdk import AirflowSkipException

@dag(schedule=None, catchup=False)
def shop():
    @task
    def works(): return 1

    @task
    def fails(): raise ValueError

    @task
    def skips(): raise AirflowSkipException

    works() >> [fails(), skips()]

shop()
"""
_TASKS = [["fails", "failed"], ["skips", "skipped"], ["works", "success"]]
_ALL_HOOKS = {
    f"on_{hook}"
    for hook in (
        "dag_run_failed",
        "task_instance_failed",
        "task_instance_running",
        "task_instance_skipped",
        "task_instance_success",
    )
}


@pytest.fixture(scope="module")
def tried(
    airflow_template: AirflowHome, founded_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("harm")
    airflow = airflow_template.copied(folder / "airflow")
    airflow.put_dag("shop.py", _DAG)
    home = shutil.copytree(founded_home, folder / "home")
    configured = airflow.configured(home=home).with_variables(
        MLOPS_CHAIN_SPOOL_DURABILITY="process", PYTHONPATH=Path(__file__).parents[3]
    )
    result = folder / "result.json"
    words = (str(home), str(result))
    configured.run_python(Path(__file__).with_name("harm_runner.py"), *words, timeout_s=600)
    found: dict[str, Any] = json.loads(result.read_text())
    return found


_FAULTS = {
    "none": None,
    "Exception": "RuntimeError",
    "SystemExit": "SystemExit",
    "KeyboardInterrupt": "KeyboardInterrupt",
    "logging fails": "RuntimeError",
    "full disk": None,  # counted by the recorder, as the home's settings say
    "full disk, refused": "SpoolUnavailable",
    "locked files": None,
    "missing home": "HomeMissing",
    "wrong setting": "ConfigurationError",
    "wrong name": "ConfigurationError",
    "wrong patience": None,
    "rules are a folder": None,
    "wrong rules": None,
    "damaged home": "ConfigurationError",
    "none again": None,
}


@pytest.mark.parametrize(("fault", "error"), _FAULTS.items(), ids=list(_FAULTS))
def test_a_fault_of_the_listener_changes_nothing_of_a_dag_run(
    tried: dict[str, Any], fault: str, error: str | None
) -> None:
    found = tried[fault]
    assert (found["state"], found["tasks"]) == ("failed", _TASKS)
    # It has really happened, in every hook.
    told = {cause.partition(": ")[0] for cause in found["faults"] if cause.endswith(f": {error}")}
    assert told >= (_ALL_HOOKS if error is not None else set())
    assert found["took_s"] < 30


def test_every_fault_was_tried(tried: dict[str, Any]) -> None:
    assert set(tried) == set(_FAULTS)


def test_rules_that_cant_be_read_stop_no_recording(tried: dict[str, Any]) -> None:
    order = list(_FAULTS)
    for name in ("rules are a folder", "wrong rules", "none again"):
        before = tried[order[order.index(name) - 1]]["recorded"]
        assert tried[name]["recorded"] > before or not before


_UNCONFIGURED = """
import json, os, sys
from airflow.listeners.listener import get_listener_manager
try:
    from airflow.sdk.listener import get_listener_manager as of_tasks
except ImportError:  # Airflow 3.1 has one for all
    of_tasks = get_listener_manager
from airflow.plugins_manager import get_plugin_info
plugins = [p["name"] for p in get_plugin_info(["name"])]
listeners = [str(p) for m in (get_listener_manager(), of_tasks()) for p in m.pm.get_plugins()]
os.environ["AIRFLOW__MLOPS_CHAIN__HOME"] = "/nowhere"
os.environ["AIRFLOW__MLOPS_CHAIN__LISTENER"] = "False"
from airflow_chain.plugin import MlopsChainPlugin
MlopsChainPlugin.on_load()
listeners += MlopsChainPlugin.listeners
middlewares = MlopsChainPlugin.fastapi_root_middlewares
before = sorted(sys.modules)
os.environ["AIRFLOW__MLOPS_CHAIN__LISTENER"] = "True"
MlopsChainPlugin.on_load()
loaded = [len(MlopsChainPlugin.listeners), sorted(sys.modules)]
print("FOUND" + json.dumps([plugins, listeners, middlewares, before, loaded]))
"""
_HEAVY = ("mlflow", "web3", "eth", "coincurve", "chain_client.client", "chain_client.spool")
_RECORDING = ("airflow_chain.listener", "airflow_chain.recording", "airflow_chain.mapping")


def test_without_configuration_nothing_is_registered_imported_or_written(
    airflow_home: AirflowHome,
) -> None:
    before = _files(airflow_home.folder)
    done = airflow_home.run_python(_UNCONFIGURED)
    line = next(line for line in done.stdout.splitlines() if line.startswith("FOUND"))
    plugins, listeners, middlewares, modules, loaded = json.loads(line.removeprefix("FOUND"))
    assert "mlops_chain" in plugins
    assert listeners == middlewares == []
    assert set(modules).isdisjoint(_HEAVY + _RECORDING)
    assert loaded[0] == 1, "with a home, the listener was not registered"
    assert set(loaded[1]).isdisjoint((*_HEAVY, "airflow_chain.recording"))
    assert {path for path in _files(airflow_home.folder) - before if "/logs/" not in path} == set()


def _files(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*") if path.is_file()}


_FAULTY = """
import errno, itertools
from airflow_chain import recording
faults = itertools.cycle([OSError(errno.ENOSPC, "full"), KeyboardInterrupt(), SystemExit(1)])
def fail(*args, **kwargs):
    print("the listener was called", flush=True)
    raise next(faults)
recording.get_recording = fail
"""

_EMPTY = """
import pendulum
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
with DAG("empty", schedule="@once", start_date=pendulum.datetime(2026, 1, 1), catchup=False,
         is_paused_upon_creation=False):
    EmptyOperator(task_id="first") >> EmptyOperator(task_id="last")
"""


def test_no_fault_in_the_hook_of_a_dag_run_ends_the_scheduler(
    airflow_home: AirflowHome, home: Path
) -> None:
    airflow_home.put_dag("empty.py", _EMPTY)
    (airflow_home.folder / "plugins" / "faulty.py").write_text(_FAULTY)
    configured = airflow_home.configured(home=home).with_variables(
        AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME=0.1
    )
    configured.run_airflow("dags", "reserialize")
    done = configured.run_airflow("scheduler", "--num-runs", "12")
    assert airflow_home.rows("select state from dag_run") == [("success",)]
    for fault in ("OSError", "KeyboardInterrupt", "SystemExit"):
        assert f"was not recorded ({fault})" in done.stdout + done.stderr
    assert done.stdout.count("the listener was called") >= 3  # at its start, and twice for the run
