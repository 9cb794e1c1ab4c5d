"""Several processes write over the API of one server into one home."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlflow

from chain_client.events import Event
from tests.integration.rest import writing_script
from tests.integration.rest.test_recording import unique
from tests.recorded_database import Recorded


def events_by_type(recorded: Recorded, type_: str) -> list[Event]:
    return [event for event in recorded.events() if event.type == type_]


def test_four_processes_record_each_write_once_after_one_baseline(
    recorded: Recorded, tmp_path: Path, mlops_chain: Callable[..., tuple[int, str, str]]
) -> None:
    plain = mlflow.MlflowClient(recorded.uri.removeprefix("chain+"))
    experiment = plain.create_experiment(unique("many"))
    script = Path(writing_script.__file__)
    started = [
        subprocess.Popen(
            [sys.executable, str(script), experiment, "5"],
            env={**os.environ, "MLFLOW_TRACKING_URI": recorded.uri, "PYTHONWARNINGS": "ignore"},
            cwd=tmp_path,
            stderr=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    for process in started:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()
    assert len(recorded.client.folder.bindings()) == 1
    assert len(events_by_type(recorded, "store.adopted")) == 1
    runs = {event.subject.id for event in events_by_type(recorded, "run.created")}
    assert len(runs) == 20
    for type_ in ("run.param_logged", "run.tag_set", "run.batch_logged", "run.updated"):
        assert len(events_by_type(recorded, type_)) == 20
    assert mlops_chain("relay", "--once")[0] == 0
    spelled = recorded.uri.replace("127.0.0.1", "me:pw-4711@127.0.0.1") + "/"
    report = json.loads(mlops_chain("verify", "--json", "--tracking-uri", spelled)[1])
    assert report["findings"] == []
    assert "in no listing" in json.dumps(report["checks"])
