"""What MLflow 3.12 recorded holds after `mlflow db upgrade` to the schema of this MLflow.

Database and events were made by MLflow 3.12 (`make_old_database`), and are never edited.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from mlflow.db import commands
from mlflow.store.db.utils import _get_latest_schema_revision

from chain_client.errors import HostUnavailable
from chain_client.events import Actor, Event, OutcomeStatus, Subject, Timing
from chain_client.hosts import Finding, Scope, StoreBinding
from chain_client.types import EventId, SourceId
from mlflow_chain.host import MlflowHost

pytestmark = pytest.mark.filterwarnings("ignore")

HERE = Path(__file__).parent
NAME = "recorded-by-mlflow-3.12"
REVISION_3_12 = "7d34483879f0"

EDITS = {
    "update experiments set name = 'x' where name = 'renamed'": "experiment_field_changed",
    "update experiment_tags set value = 'x'": "tag_changed",
    "update runs set user_id = 'x' where name = 'first'": "run_field_changed",
    "update metrics set value = 9 where key = 'loss' and value = 0.5": "metric_changed",
    "update params set value = 'x'": "param_changed",
    "update tags set value = 'x' where key = 'emoji'": "tag_changed",
    "delete from inputs where destination_type = 'MODEL_INPUT'": "input_missing",
    "update logged_models set name = 'x'": "logged_model_field_changed",
    "update logged_model_metrics set metric_value = 9": "metric_changed",
    "update model_versions set source = 'x' where version = 1": "version_field_changed",
    "update registered_model_aliases set version = 1": "alias_changed",
}


def recorded_events() -> list[Event]:
    """The events as they were recorded."""
    return [to_event(row) for row in json.loads(HERE.joinpath(f"{NAME}.json").read_text("utf-8"))]


def to_event(row: dict[str, Any]) -> Event:
    return Event(
        **row
        | {
            "event_id": EventId(bytes.fromhex(row["event_id"])),
            "source_id": SourceId(bytes.fromhex(row["source_id"])),
            "status": OutcomeStatus(row["status"]),
            "subject": Subject(**row["subject"]),
            "actor": Actor(**row["actor"]),
            "timing": Timing(**row["timing"]),
        }
    )


def revision(database: sqlite3.Connection) -> str:
    """The revision of the schema."""
    return str(database.execute("select version_num from alembic_version").fetchone()[0])


def test_what_an_older_mlflow_recorded_holds_after_a_schema_upgrade(tmp_path: Path) -> None:
    events = recorded_events()
    file = tmp_path / "mlflow.db"
    uri = f"sqlite:///{file}"
    store = StoreBinding(next(e.subject.store for e in events if e.subject.store), "mlflow", uri)

    def findings() -> list[Finding]:
        found = list(MlflowHost().compare(store, events, Scope(), lambda *step: None))
        return [item for item in found if isinstance(item, Finding)]

    def change(statement: str) -> int:
        with closing(sqlite3.connect(file)) as database, database:
            return database.execute(statement).rowcount

    with closing(sqlite3.connect(file)) as database:
        database.executescript(HERE.joinpath(f"{NAME}.sql").read_text("utf-8"))
        assert revision(database) == REVISION_3_12

    if _get_latest_schema_revision() != REVISION_3_12:
        with pytest.raises(HostUnavailable, match="mlflow db upgrade"):
            findings()
    assert CliRunner().invoke(commands, ["upgrade", uri]).exit_code == 0
    assert findings() == []

    upgraded = file.read_bytes()
    for statement, kind in EDITS.items():
        assert change(statement) > 0, statement
        assert {finding.kind for finding in findings()} == {kind}, statement
        file.write_bytes(upgraded)


@pytest.mark.parametrize(
    "statement",
    [
        "update alembic_version set version_num = '0a8213491aaa'",
        "update alembic_version set version_num = 'unknown'",
        "drop table latest_metrics",
        "drop table webhooks",
    ],
)
def test_nothing_is_written_into_a_database_of_another_schema(
    made_database: Path, tmp_path: Path, statement: str
) -> None:
    file = tmp_path / "mlflow.db"
    shutil.copy(made_database, file)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(statement)
    before = file.read_bytes()
    store = StoreBinding("store", "mlflow", f"sqlite:///{file}")
    with pytest.raises(HostUnavailable, match=r"mlflow db upgrade|lacks tables"):
        list(MlflowHost().compare(store, [], Scope(), lambda *step: None))
    assert file.read_bytes() == before
