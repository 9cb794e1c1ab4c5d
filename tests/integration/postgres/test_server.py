"""A shared server with two workers on Postgres, written to by plain clients."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.mlflow_server import Server, Site, serving
from tests.postgres import ESCAPED, PASSWORD, Postgres


@dataclass
class PostgresSite(Site):
    """A site whose database is on a server.

    Args:
        database_uri: without our prefix.
    """

    database_uri: str = ""

    @property
    def plain_uri(self) -> str:
        """The database as MLflow knows it."""
        return self.database_uri


def write(server: Server, number: int) -> None:
    made = server.call("runs/create", {"experiment_id": "0", "run_name": f"run {number}"})
    run_id = made["run"]["info"]["run_id"]
    server.call("runs/log-metric", {"run_id": run_id, "key": "a", "value": number, "timestamp": 1})
    batch = {"run_id": run_id, "params": [{"key": "p", "value": " é "}]}
    server.call("runs/log-batch", batch | {"tags": [{"key": "t", "value": str(number)}]})
    tag = {"name": "m", "key": "last", "value": str(number)}
    server.call("registered-models/set-tag", tag)


def test_a_server_with_two_workers_records(
    postgres: Postgres, template: str, founded_home: Path, tmp_path: Path
) -> None:
    shutil.copytree(founded_home, tmp_path / "home")
    uri = postgres.uri(postgres.create(template), "psycopg2")
    site = PostgresSite(tmp_path, tmp_path / "home", database_uri=uri)
    with serving(site, workers=2) as server:
        tags = [{"key": "last", "value": "none"}]  # two inserts of it at once MLflow refuses
        server.call("registered-models/create", {"name": "m", "tags": tags})
        with ThreadPoolExecutor(6) as clients:
            list(clients.map(lambda number: write(server, number), range(12)))
        server.kill()
        shown = server.log.read_text()
    assert PASSWORD not in shown
    assert ESCAPED not in shown
    types = [event.type for event in site.events()]
    assert types.count("run.created") == 12
    assert types.count("registered_model.tag_set") == 12
    site.verify()
