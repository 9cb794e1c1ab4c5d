"""A real DAG whose tasks start MLflow runs: from the model back to the graph, and on again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import airflow_home as airflow

DAG = """
import sys
from datetime import timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, get_current_context, task

CODE = 'import mlflow; mlflow.start_run(run_name="reported")'

with DAG("train"):

    @task(retries=1, retry_delay=timedelta(0))
    def fit():
        import mlflow
        import numpy

        with mlflow.start_run(run_name="fitted") as run:
            data = mlflow.data.from_numpy(numpy.arange(9.0), name="numbers")
            mlflow.log_input(data, context="training")
            if get_current_context()["ti"].try_number == 1:
                raise ValueError("the first try fails")
            client = mlflow.MlflowClient()
            model = mlflow.initialize_logged_model(name="tree")
            mlflow.finalize_logged_model(model.model_id, "READY")
            client.create_registered_model("fraud")
            client.create_model_version("fraud", f"models:/{model.model_id}", run.info.run_id)
            client.set_registered_model_alias("fraud", "champion", 1)

    report = BashOperator.partial(
        task_id="report",
        bash_command=f"{sys.executable} -c '{CODE}'",
        append_env=True,
    ).expand(env=[{"PART": "a"}])
    fit() >> report
"""

Run = Callable[..., tuple[int, str, str]]


@dataclass(frozen=True)
class Site:
    """A home in which that DAG ran once."""

    home: Path
    tested: airflow.Tested


@pytest.fixture(scope="module")
def site(
    airflow_template: airflow.AirflowHome,
    founded_home: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Site:
    """See `Site`."""
    folder = tmp_path_factory.mktemp("lineage")
    home = shutil.copytree(founded_home, folder / "home")
    airflow_home = airflow_template.copied(folder / "airflow").with_variables(
        MLFLOW_TRACKING_URI=f"chain+sqlite:///{folder}/mlflow.db",
        MLOPS_CHAIN_HOME=home,
        MLOPS_CHAIN_RELAY_AUTOSTART="false",
        PYTHONWARNINGS="ignore",
    )
    airflow_home.put_dag("train.py", DAG)
    return Site(home, airflow.dag_test(airflow_home, "train", home))


@pytest.fixture
def lineage(site: Site, mlops_chain: Run) -> Callable[..., dict[str, Any]]:
    """`mlops-chain lineage … --json`: what it tells in the first direction."""

    def ask(*words: object) -> dict[str, Any]:
        code, out, err = mlops_chain("--home", site.home, "lineage", *words, "--json")
        assert code == 0, err
        found: dict[str, Any] = json.loads(out)["lineages"][0]
        return found

    return ask


def _links(found: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    nodes = {node["key"]: node for node in found["nodes"]}
    return {
        (link["relation"], nodes[link["earlier"]]["title"].partition(" (")[0]): link
        for link in found["links"]
    }


def test_a_model_is_followed_back_to_the_graph_of_the_dag_that_made_it(
    site: Site, lineage: Callable[..., dict[str, Any]]
) -> None:
    assert site.tested.state == "success", site.tested.output
    found = lineage("fraud@champion")
    links = _links(found)
    assert [relation for relation, _ in links] == [
        "points to",
        "made of",
        "made by",
        "logged by",
        "read",
        "ran in",
        "part of",
        "had the graph",
    ]
    ran = links["ran in", "fit, try 2"]
    assert (ran["claimed"], ran["note"]) == (False, "the task's own process recorded both")
    assert links["part of", f"train, {site.tested.run_id}"]["claimed"] is False
    assert {link["entry"]["status"] for link in found["links"]} == {"finalized"}
    assert found["missing"] == []
    graph = next(node for node in found["nodes"] if node["kind"] == "dag_version")
    assert (graph["facts"]["tasks"], graph["facts"]["edges"]) == (2, 1)


def test_a_dag_run_is_followed_on_to_what_each_try_and_each_subprocess_made(
    site: Site, lineage: Callable[..., dict[str, Any]]
) -> None:
    found = lineage("--dag-run", f"train/{site.tested.run_id}")
    nodes = {node["key"]: node for node in found["nodes"]}
    made = {
        nodes[link["earlier"]]["title"]: (nodes[link["later"]]["facts"]["name"], link["claimed"])
        for link in found["links"]
        if link["relation"] == "ran in"
    }
    assert made == {
        "fit, try 1": ("fitted", False),
        "fit, try 2": ("fitted", False),
        "report[0], try 1": ("reported", False),
    }
    states = {node["title"]: node["facts"].get("state") for node in found["nodes"]}
    assert (states["fit, try 1"], states["fit, try 2"]) == ("up_for_retry", "success")
    assert "fraud@champion" in states


def test_a_dataset_is_followed_on_to_what_is_current_and_drawn(
    site: Site, mlops_chain: Run, tmp_path: Path
) -> None:
    file = tmp_path / "numbers.svg"
    words = ("--home", site.home, "lineage", "--dataset", "numbers", "--svg", file)
    code, out, err = mlops_chain(*words)
    assert code == 0, err
    assert out.count("was read by run") == 2
    assert "had by target fraud@champion" in out
    assert "fraud@champion" in file.read_text()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("fraud@nobody",), "the log knows no version that ever had it"),
        (("fraud/9",), "the log has no version 'fraud/9'"),
        (("--run", "x"), "the log has no run"),
        (("--dag-run", "train"), "expected DAG_ID/RUN_ID"),
        (("fraud@champion", "--svg", "nowhere/x.svg"), "nowhere/x.svg can't be written"),
        ((), "name one thing"),
        (("fraud@champion", "--run", "0"), "name one thing"),
    ],
)
def test_what_is_not_there_is_said(
    site: Site, mlops_chain: Run, words: tuple[str, ...], text: str
) -> None:
    code, out, err = mlops_chain("--home", site.home, "lineage", *words)
    assert text in " ".join((out + err).split())
    assert code == (0 if "nobody" in str(words) else 2)
