"""Plain URIs, recorded where a setting says so: what a prefix would break works."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.mlflow_server import Server, Site, serving, wait_until

SCORERS = """
import mlflow
from mlflow.genai.labeling.stores import _get_labeling_store
from mlflow.genai.scorers import RelevanceToQuery
from mlflow.genai.scorers.registry import _get_scorer_store
store = _get_scorer_store()
store.register_scorer("0", RelevanceToQuery())
print([scorer.name for scorer in store.list_scorers("0")])
try:
    _get_labeling_store()
except mlflow.MlflowException as exc:
    print(str(exc)[:60])
"""


@pytest.fixture(scope="module")
def server(new_site: Callable[..., Site]) -> Iterator[Server]:
    """A server on ``sqlite:///…``, recorded."""
    site = new_site(prefix="", MLOPS_CHAIN_MLFLOW_PLAIN_URIS="true")
    with serving(site) as running:
        yield running


def _jobs(server: Server) -> list[psutil.Process]:
    found = []
    for process in psutil.Process(server.process.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any("mlflow.server.jobs" in word for word in process.cmdline()):
                found.append(process)
    return found


def test_a_server_on_a_plain_uri_records_and_runs_jobs(server: Server) -> None:
    assert "job execution requirements not met" not in server.log.read_text()
    wait_until(lambda: _jobs(server), 60, server.log.read_text)
    answer = server.ask("/ajax-api/3.0/jobs/none-of-that-name")
    assert answer.status_code == 404, answer.text
    assert "X-Mlops-Chain-Deployment" in answer.headers
    run_id = server.call("runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
    server.call("runs/delete", {"run_id": run_id})
    types = [event.type for event in server.site.events()]
    assert types.count("run.created") == types.count("run.deleted") == 1


def test_scorers_register_and_labeling_says_what_mlflow_says(server: Server) -> None:
    for uri in (server.site.plain_uri, "chain+" + server.site.plain_uri):
        done = server.site.run("-c", SCORERS, MLFLOW_TRACKING_URI=uri)
        assert done.returncode == 0, done.stderr
        scorers, refusal = done.stdout.splitlines()
        assert "relevance_to_query" in scorers
        assert refusal.startswith("Labeling functionality is unavailable") or "labeling" in refusal


def test_garbage_collection_and_schema_upgrades_leave_no_finding(server: Server) -> None:
    site = server.site
    run_id = server.call("runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
    server.call("runs/delete", {"run_id": run_id})
    # MLflow reaches proxied files through the server only.
    collected = site.run(
        *("-m", "mlflow", "gc", "--backend-store-uri", site.plain_uri, "--jobs"),
        MLFLOW_TRACKING_URI=server.url,
    )
    assert collected.returncode == 0, collected.stderr
    assert run_id in [e.subject.id for e in site.events() if e.type == "run.removed"]
    assert site.rows("select count(*) from runs") == [(0,)]
    server.kill()  # its jobs take their time to end
    upgraded = site.run("-m", "mlflow", "db", "upgrade", site.plain_uri)
    assert upgraded.returncode == 0, upgraded.stderr
    site.verify()
