"""Four workers on MLflow's default stack: what they record, say and survive; and workspaces."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from mlflow_chain.server.announcement import parse_announcement
from tests.mlflow_server import Server, Site, serving, wait_until

CLIENTS = 6
INFO = "/api/3.0/mlflow/server-info"
HEADER = "X-MLFLOW-WORKSPACE"
KILLED = "written while workers die"


@pytest.fixture(scope="module")
def server(new_site: Callable[..., Site]) -> Iterator[Server]:
    """Shared by the tests of this file, which run in their order or alone."""
    # The four also make the tables, all at once.
    with serving(new_site(has_tables=False), workers=4) as running:
        yield running


def _train(server: Server, number: int) -> str:
    made = server.call("runs/create", {"experiment_id": "0", "run_name": f"client-{number}"})
    info = made["run"]["info"]
    run_id = str(info["run_id"])
    for step in range(3):
        metric = {"key": "loss", "value": 1 / (step + 1), "timestamp": 1000 + step, "step": step}
        server.call("runs/log-metric", {"run_id": run_id, **metric})
    server.call("runs/log-parameter", {"run_id": run_id, "key": "depth", "value": str(number)})
    server.call("runs/set-tag", {"run_id": run_id, "key": "team", "value": "ä🙂"})
    batch = {"metrics": [{"key": "acc", "value": 0.5, "timestamp": 1, "step": 0}]}
    server.call("runs/log-batch", {"run_id": run_id, **batch})
    server.upload(info["artifact_uri"], "weights.bin", b"%d" % number)
    version = {"name": "shared", "source": info["artifact_uri"], "run_id": run_id}
    server.call("model-versions/create", version)
    alias = {"name": "shared", "alias": "champion", "version": "1"}
    server.call("registered-models/alias", alias)
    server.call("runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": 2000})
    return run_id


def _counted(site: Site) -> Counter[str]:
    return Counter(event.type for event in site.events())


def test_concurrent_clients_of_four_workers_are_recorded_once_each(server: Server) -> None:
    server.call("registered-models/create", {"name": "shared"})
    # MLflow refuses one of two clients that set an alias at once for the first time.
    _train(server, CLIENTS)
    before = _counted(server.site)
    with ThreadPoolExecutor(CLIENTS) as clients:
        run_ids = list(clients.map(lambda n: _train(server, n), range(CLIENTS)))
    made = _counted(server.site) - before
    assert len(set(run_ids)) == CLIENTS
    assert {
        "run.created": CLIENTS,
        "run.metric_logged": 3 * CLIENTS,
        "run.param_logged": CLIENTS,
        "run.tag_set": CLIENTS,
        "run.batch_logged": CLIENTS,
        "run.updated": CLIENTS,
        "model_version.created": CLIENTS,
        "registered_model.alias_set": CLIENTS,
    }.items() <= made.items()
    # As a stream, or, by MLflow 3.12's server, as a file of its own.
    assert made["artifacts.uploaded"] + made["artifacts.logged"] == CLIENTS
    written = [e for e in server.site.events() if e.type == "run.metric_logged"]
    assert len({e.source_id for e in written}) > 1, "only one worker has answered"
    assert {(e.actor.authenticated, e.actor.claimed) for e in written} == {(None, None)}


def test_every_worker_says_what_it_records_from_its_first_answer_on(server: Server) -> None:
    [store_id] = {path.stem for path in (server.site.home / "stores").glob("*.json")}
    answers = [server.ask(INFO) for _ in range(24)]
    answers.append(server.ask("/api/2.0/mlflow/runs/get?run_id=" + 32 * "0"))
    answers.append(server.ask("/api/2.0/mlflow-artifacts/artifacts?path="))
    for answer in answers:
        announcement = parse_announcement(answer.headers)
        assert announcement is not None
        assert announcement.stores == {"tracking": store_id, "registry": store_id}
        assert answer.headers["X-Mlops-Chain-Deployment"] == announcement.deployment_id
        assert "," not in announcement.deployment_id, "announced twice"
    assert parse_announcement(server.ask("/health").headers) is None


def test_the_page_and_the_searches_answer(server: Server) -> None:
    page = server.ask("/")
    assert page.status_code == 200
    assert "html" in page.headers["content-type"]
    assert server.call("experiments/search", {"max_results": 5})["experiments"]
    assert isinstance(server.call("runs/search", {"experiment_ids": ["0"]}), dict)
    assert isinstance(server.call("registered-models/search?max_results=5"), dict)


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("runs/get?run_id=" + 32 * "0", None, 404, "RESOURCE_DOES_NOT_EXIST"),
        ("experiments/create", {"name": "Default"}, 400, "RESOURCE_ALREADY_EXISTS"),
        ("runs/log-metric", {"run_id": 32 * "0"}, 400, "INVALID_PARAMETER_VALUE"),
        ("experiments/create", {"name": ""}, 400, "INVALID_PARAMETER_VALUE"),
    ],
)
def test_errors_keep_their_status(
    server: Server, path: str, body: dict[str, object] | None, status: int, code: str
) -> None:
    answer = server.ask(f"/api/2.0/mlflow/{path}", body)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)


def test_a_name_that_nobody_checked_is_no_actor(server: Server) -> None:
    made = server.call("runs/create", {"experiment_id": "0"}, auth=("mallory", "any"))
    run_id = made["run"]["info"]["run_id"]
    [created] = [e for e in server.site.events() if e.subject.id == run_id]
    assert created.type == "run.created"
    assert (created.actor.authenticated, created.actor.claimed) == (None, None)


@pytest.fixture(scope="module")
def restarted(server: Server) -> Iterator[Server]:
    """The same with one worker and with workspaces, after the first died while it was written to.

    Its workers died first one by one, and then at once.
    """
    _write_until_killed(server)
    with serving(server.site, "--enable-workspaces") as running:
        yield running


def _write_until_killed(server: Server) -> None:
    made = server.call("runs/create", {"experiment_id": "0", "run_name": KILLED})
    run_id = made["run"]["info"]["run_id"]
    over = threading.Event()

    def write(number: int) -> None:
        step = 0
        while not over.is_set():
            step += 1
            metric = {"key": f"m{number}", "value": step, "timestamp": step, "step": step}
            tag = {"key": f"t{number}", "value": str(step)}
            try:
                server.ask("/api/2.0/mlflow/runs/log-metric", {"run_id": run_id, **metric})
                server.ask("/api/2.0/mlflow/runs/set-tag", {"run_id": run_id, **tag})
            except requests.RequestException:
                over.wait(0.05)

    with ThreadPoolExecutor(4) as clients:
        try:
            for number in range(4):
                clients.submit(write, number)
            wait_until(lambda: _written(server.site) > 10, 60)
            victim = server.workers()[0]
            victim.kill()
            reached = _written(server.site)
            wait_until(lambda: _written(server.site) > reached + 10, 60)
            server.kill()
        finally:
            over.set()


def _written(site: Site) -> int:
    [(count,)] = site.rows(
        "select count(*) from metrics where run_uuid in (select run_uuid from runs where name = ?)",
        KILLED,
    )
    return int(count)


def test_after_workers_are_killed_every_committed_change_is_recorded_once(
    restarted: Server,
) -> None:
    site = restarted.site
    assert _written(site) > 20
    [(run_id,)] = site.rows("select run_uuid from runs where name = ?", KILLED)
    metric = {"key": "after", "value": 1, "timestamp": 1, "step": 0}
    restarted.call("runs/log-metric", {"run_id": run_id, **metric})
    site.verify()


def _train_in(server: Server, workspace: str) -> set[str]:
    inside: dict[str, Any] = {"headers": {HEADER: workspace}}
    made = server.call("experiments/create", {"name": "same name"}, **inside)
    run = server.call("runs/create", {"experiment_id": made["experiment_id"]}, **inside)
    info = run["run"]["info"]
    run_id = str(info["run_id"])
    server.upload(info["artifact_uri"], "weights.bin", workspace.encode(), **inside)
    metric = {"key": "loss", "value": 0.5, "timestamp": 1, "step": 0}
    server.call("runs/log-metric", {"run_id": run_id, **metric}, **inside)
    server.call("registered-models/create", {"name": "model"}, **inside)
    version = {"name": "model", "source": info["artifact_uri"], "run_id": run_id}
    server.call("model-versions/create", version, **inside)
    alias = {"name": "model", "alias": "champion", "version": "1"}
    server.call("registered-models/alias", alias, **inside)
    return {run_id}


def test_writes_in_two_workspaces_are_recorded(restarted: Server) -> None:
    site = restarted.site
    before = site.events()
    made = restarted.ask("/api/3.0/mlflow/workspaces", {"name": "team-a"})
    assert made.status_code in (200, 201), made.text
    runs = _train_in(restarted, "default") | _train_in(restarted, "team-a")
    refused = restarted.ask(
        "/api/2.0/mlflow/experiments/search", {"max_results": 1}, headers={HEADER: "nobody"}
    )
    assert refused.status_code == 404
    known = {event.event_id for event in before}
    new = [event for event in site.events() if event.event_id not in known]
    assert {e.subject.id for e in new if e.type == "run.metric_logged"} == runs
    for type_ in ("experiment.created", "registered_model.created", "registered_model.alias_set"):
        assert [e.type for e in new].count(type_) == 2
    site.verify()
