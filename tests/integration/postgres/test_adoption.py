"""Whose database it is, where the database is on a server with names, users and rights."""

from __future__ import annotations

import logging
import stat
from collections.abc import Callable
from typing import Any

import pytest
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

import mlflow_chain
from tests.integration.postgres.conftest import RecordedPostgres, close_engines
from tests.postgres import ESCAPED, PASSWORD

Cli = Callable[..., tuple[int, str, str]]


def fill(recorded: RecordedPostgres) -> str:
    """History from before, and what is recorded after it."""
    tracking, registry = recorded.tracking(), recorded.registry()
    run_id: str = tracking.create_run("0", "me", 1, [RunTag("a", "1")], "old").info.run_id
    tracking.log_batch(run_id, [Metric("loss", n / 3, n, n) for n in range(9)], [], [])
    tracking.log_param(run_id, Param("p", " 1 "))
    dead = tracking.create_logged_model("0", "dead", run_id)
    tracking.delete_logged_model(dead.model_id)
    registry.create_registered_model("m")
    registry.create_model_version("m", "/x", tags=[])
    registry.set_registered_model_alias("m", "champion", 1)
    return run_id


def bound(recorded: RecordedPostgres) -> str:
    (binding,) = recorded.client.folder.bindings()
    return binding.uri


def refusal(recorded: RecordedPostgres) -> str:
    """What opening it with recording says."""
    with pytest.raises(MlflowException) as caught:
        mlflow_chain.wrap(recorded.tracking(), recorded.client)
    text = f"{caught.value} {caught.value.json_kwargs}"
    assert PASSWORD not in text
    assert ESCAPED not in text
    assert caught.value.error_code == "INVALID_STATE", text
    return text


def test_a_database_in_use_becomes_a_baseline(recorded: RecordedPostgres) -> None:
    run_id = fill(recorded)
    store = mlflow_chain.wrap(recorded.tracking(), recorded.client)
    mlflow_chain.wrap(recorded.registry(), recorded.client)
    store.set_tag(run_id, RunTag("a", "2"))
    assert recorded.findings() == []
    assert [e.type for e in recorded.events()].count("store.adopted") == 1
    assert recorded.edit("update metrics set value = 5 where step = 3") == 1
    assert recorded.kinds() == ["metric_changed"]


def test_one_database_by_several_drivers_and_hosts_is_one_store(recorded: RecordedPostgres) -> None:
    for other in (
        recorded,
        recorded.by("psycopg"),
        recorded.by("psycopg2", host="localhost"),
        recorded.by(""),
    ):
        store = mlflow_chain.wrap(other.tracking(), recorded.client)
        store.create_run("0", "me", 1, [], "new")
        assert bound(recorded) == other.plain_uri
    assert recorded.edit("delete from mlops_chain_markers") == 4  # of the probes none is left
    assert recorded.findings() == []


def test_a_copy_is_refused_and_a_moved_database_is_not(recorded: RecordedPostgres) -> None:
    mlflow_chain.wrap(recorded.tracking(), recorded.client)
    close_engines()
    recorded.name = recorded.server.create(original := recorded.name)
    copy = recorded.by("psycopg2")
    assert "is a copy" in refusal(copy)
    assert original in bound(recorded)
    close_engines()
    recorded.server.execute(f"drop database {original}")
    mlflow_chain.wrap(copy.tracking(), recorded.client)
    assert bound(recorded) == copy.plain_uri


@pytest.mark.parametrize(
    "options", [{}, {"driver": "psycopg"}, {"host": "localhost"}], ids=["same", "driver", "host"]
)
def test_a_known_database_that_forgot_us_gets_no_new_history(
    recorded: RecordedPostgres, options: dict[str, str]
) -> None:
    mlflow_chain.wrap(recorded.tracking(), recorded.client)
    before, count = bound(recorded), len(recorded.events())
    assert recorded.edit("delete from mlops_chain_deployment") == 1
    assert "no longer says so" in refusal(recorded.by(**{"driver": "psycopg2", **options}))
    assert bound(recorded) == before
    assert len(recorded.events()) == count
    assert recorded.edit("delete from mlops_chain_deployment") == 0


MISSING_RIGHTS = [
    ("select 1", "needs the right to create them"),
    ("create table mlops_chain_deployment (id int)", "needs the right to, as to MLflow's own"),
]


def clerk(recorded: RecordedPostgres) -> RecordedPostgres:
    """The same database for a user who may only read and write MLflow's tables."""
    role = f"clerk_{recorded.name}"
    recorded.edit(f"create role {role} login password '{PASSWORD}'")
    recorded.edit(f"grant select, insert, update, delete on all tables in schema public to {role}")
    return recorded.by("psycopg2", user=role)


@pytest.mark.parametrize(("statement", "text"), MISSING_RIGHTS)
def test_a_missing_right_is_named(recorded: RecordedPostgres, statement: str, text: str) -> None:
    user = clerk(recorded)
    recorded.edit(statement)
    assert text in refusal(user)
    assert recorded.types() == []


def test_a_missing_right_on_the_markers_is_named_when_the_store_is_opened(
    recorded: RecordedPostgres,
) -> None:
    user = clerk(recorded)
    mlflow_chain.wrap(recorded.tracking(), recorded.client)
    recorded.edit(f"grant select on mlops_chain_deployment to clerk_{recorded.name}")
    assert "needs the right to read, insert and delete there" in refusal(user)
    recorded.edit(f"grant select, insert, delete on mlops_chain_markers to clerk_{recorded.name}")
    mlflow_chain.wrap(user.tracking(), recorded.client)
    assert bound(recorded) == user.plain_uri
    assert recorded.findings() == []


def test_the_password_is_kept_private_and_never_shown(
    recorded: RecordedPostgres, mlops_chain: Cli, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[Any] = []
    store = mlflow_chain.wrap(recorded.tracking(), recorded.client)
    store.create_run("0", "me", 1, [], "new")
    (binding,) = recorded.client.folder.bindings()
    assert ESCAPED in binding.uri
    file = recorded.client.folder.stores / f"{binding.store_id}.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    shown += mlops_chain("relay", "--once"), mlops_chain("verify"), mlops_chain("status")
    wrong = recorded.by("psycopg").uri.replace(ESCAPED, "wr0ng-" + ESCAPED)
    file.write_text(file.read_text().replace(recorded.plain_uri, wrong.removeprefix("chain+")))
    close_engines()
    store.create_run("0", "me", 1, [], "new")
    for words in (["status", "--json"], ["verify", "--json"], ["verify"], ["relay", "--once"]):
        shown.append(mlops_chain(*words))
    shown.append(mlops_chain("verify", "--tracking-uri", wrong))
    shown.append(mlops_chain("verify", "--tracking-uri", wrong.replace("/db_", "/other_")))
    shown.append(mlops_chain("doctor"))
    text = f"{shown}{caplog.text}{[repr(vars(record)) for record in caplog.records]}"
    assert f"127.0.0.1:{recorded.server.port}" in text
    assert PASSWORD not in text
    assert ESCAPED not in text
    for path in recorded.client.folder.path.rglob("*"):
        if path.is_file() and path != file:
            assert ESCAPED.encode() not in path.read_bytes(), path
