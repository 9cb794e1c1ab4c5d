"""Processes that are killed, and a server that is down: what is in doubt is resolved exactly."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable

import mlflow_chain
from chain_client.event_codec import decode_event
from chain_client.events import Event, OutcomeStatus
from chain_client.verify import read_spooled
from tests.integration.postgres.conftest import RecordedPostgres, close_engines
from tests.postgres import ESCAPED

Cli = Callable[..., tuple[int, str, str]]

KILLED = """
import os, signal, sys, warnings
warnings.simplefilter("ignore")
import mlflow
import sqlalchemy
from mlflow.entities import Metric, Param, RunTag
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from chain_client.testing.crash import kill_at
run_id, *uris = sys.argv[1:]

def die_at_commit(number):
    left = [number]
    def count(connection):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
    sqlalchemy.event.listen(sqlalchemy.engine.Engine, "commit", count)

CALLS = {
    "tag": lambda client, name: client.set_tag(run_id, "overwritten", name),
    "run": lambda client, name: client.create_run("0", tags={"name": name}),
    "alias": lambda client, name: client.set_registered_model_alias("m", "champion", "2"),
    "batch": lambda client, name: client.log_batch(
        run_id, [Metric(name, 1.0, 1, 1)], [Param(name, " x ")], [RunTag(name, "1")]),
}
DEATHS = {
    "intent": lambda: kill_at("spool.intent.written"),
    "commit 1": lambda: die_at_commit(1),
    "commit 2": lambda: die_at_commit(2),
    "commit 3": lambda: die_at_commit(3),
    "outcome": lambda: kill_at("spool.outcome.before_write"),
}
for uri in uris:  # opened once; what is forked has stores, and no connections
    mlflow.set_tracking_uri(uri)
    mlflow.MlflowClient().get_run(run_id)
    mlflow.MlflowClient().get_registered_model("m")
for store_class in (SqlAlchemyStore, RegistryStore):
    for engine in store_class._engine_map.values():
        engine.dispose()
number = 0
for call_name, call in CALLS.items():
    for death_name, death in DEATHS.items():
        if call_name != "batch" and death_name in ("commit 2", "commit 3"):
            continue
        number += 1
        child = os.fork()
        if child == 0:
            mlflow.set_tracking_uri(uris[number % len(uris)])
            death()
            call(mlflow.MlflowClient(), f"{call_name} {death_name}")
            os._exit(1)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL, (call_name, death_name)
"""


def kill_in_the_middle(recorded: RecordedPostgres) -> None:
    tracking = mlflow_chain.wrap(recorded.tracking(), recorded.client)
    registry = mlflow_chain.wrap(recorded.registry(), recorded.client)
    run_id = tracking.create_run("0", "me", 1, [], "n").info.run_id
    registry.create_registered_model("m")
    registry.create_model_version("m", "/x")
    registry.create_model_version("m", "/y")
    uris = [recorded.by("psycopg").uri, recorded.by("psycopg2").uri]
    words = [sys.executable, "-c", KILLED, run_id, *uris]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def doubts(recorded: RecordedPostgres) -> list[Event]:
    """What is in the spool without an outcome."""
    events = read_spooled(recorded.client.folder.spool, recorded.client.log).events.values()
    return [event for event in events if event.timing.ended_us is None]


def statuses(recorded: RecordedPostgres, type_: str) -> Counter[OutcomeStatus]:
    """How the calls of one type ended, as the log has it."""
    found = [entry.event for entry in recorded.client.log.entries()]
    events = [decode_event(event) for event in found if event is not None]
    return Counter(event.status for event in events if event.type == type_)


def test_killed_calls_are_resolved_when_the_server_is_back(
    recorded: RecordedPostgres, mlops_chain: Cli
) -> None:
    kill_in_the_middle(recorded)
    in_doubt = len(doubts(recorded))
    assert in_doubt == 2 * 3 + 2 + 5  # an alias is set after a look, with a commit of its own
    close_engines()
    recorded.server.stop(signal.SIGINT)
    try:
        code, *shown = mlops_chain("relay", "--once", "--json")
        assert ESCAPED not in str(shown)
        assert len(doubts(recorded)) == in_doubt, (code, shown)
        code, *shown = mlops_chain("verify", "--json")
        assert code != 0
        assert ESCAPED not in str(shown)
        assert not json.loads(shown[0])["findings"]
    finally:
        recorded.server.start()
    code, out, err = mlops_chain("relay", "--once", "--json")
    assert code == 0, out + err
    assert doubts(recorded) == []
    code, out, err = mlops_chain("verify", "--json")
    report = json.loads(out)
    assert report["findings"] == []
    # A version is needed for the alias; its files are nowhere.
    assert [check["name"] for check in report["checks"] if not check["ok"]] == ["mlflow rest"]
    done, recovered = OutcomeStatus.DONE, OutcomeStatus.RECOVERED
    nothing, partly = OutcomeStatus.NOT_APPLIED, OutcomeStatus.PARTLY_APPLIED
    killed = {nothing: 2, recovered: 1}
    assert statuses(recorded, "run.tag_set") == killed
    assert statuses(recorded, "registered_model.alias_set") == {nothing: 1, recovered: 1}
    assert statuses(recorded, "run.created") == killed | {done: 1}
    assert statuses(recorded, "run.batch_logged") == {nothing: 2, partly: 2, recovered: 1}
    assert recorded.edit("update runs set name = name") == 2  # those that were said to be there
