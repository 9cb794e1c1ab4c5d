"""A server with workspaces: what is written in each of them is recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.mlflow_server import Server, Site, serving

HEADER = "X-MLFLOW-WORKSPACE"


def _train(server: Server, workspace: str) -> str:
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
    return run_id


def test_writes_in_two_workspaces_are_recorded(new_site: Callable[..., Site]) -> None:
    site = new_site()
    with serving(site, "--enable-workspaces") as server:
        made = server.ask("/api/3.0/mlflow/workspaces", {"name": "team-a"})
        assert made.status_code in (200, 201), made.text
        runs = {_train(server, "default"), _train(server, "team-a")}
        refused = server.ask(
            "/api/2.0/mlflow/experiments/search", {"max_results": 1}, headers={HEADER: "nobody"}
        )
        assert refused.status_code == 404
    written = [event for event in site.events() if event.type == "run.metric_logged"]
    assert {event.subject.id for event in written} == runs
    for type_ in ("experiment.created", "registered_model.created", "registered_model.alias_set"):
        assert [e.type for e in site.events()].count(type_) == 2
    site.verify()
