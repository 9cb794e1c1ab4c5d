"""Making, checking and migrating the schema."""

from __future__ import annotations

import re
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from chain_client.errors import LogCorrupt, LogUnavailable, SchemaTooNew, SchemaTooOld
from chain_client.log import Log
from chain_client.log.schema import REVISIONS, metadata
from chain_client.log.schema_version import MIGRATIONS
from tests.unit.chain_client.log.logs import LogUnderTest, make_entry


def test_the_migrations_make_exactly_the_schema(empty_log: Path) -> None:
    engine = create_engine(f"sqlite:///{empty_log}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_known_revisions_are_those_of_the_folder() -> None:
    found = {}
    for path in (MIGRATIONS / "versions").glob("*.py"):
        text = path.read_text()
        revision = re.search(r'^revision = "(\w+)"', text, re.MULTILINE)
        before = re.search(r'^down_revision = (?:"(\w+)"|None)', text, re.MULTILINE)
        assert revision is not None
        assert before is not None
        assert path.name.startswith(f"v{revision[1]}_")
        found[before[1]] = revision[1]
    ordered, last = [], None
    while last in found:
        last = found[last]
        ordered.append(last)
    assert tuple(ordered) == REVISIONS
    assert len(found) == len(REVISIONS)


def test_a_new_log_may_be_read_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "a folder with 100% of # ? odd names" / "log.db"
    path.parent.mkdir()
    log = Log(f"sqlite:///{path}")
    log.create()
    log.check_schema()
    log.close()
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"log.db": 0o600, "log.db-journal": 0o600}


def test_creating_and_upgrading_again_changes_nothing(under_test: LogUnderTest) -> None:
    under_test.append([make_entry(0)])
    under_test.log.create()
    under_test.log.upgrade()
    under_test.log.check_schema()
    assert under_test.log.size() == 1


def test_two_processes_may_create_at_once(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom chain_client.log import Log\n"
        "log = Log(f'sqlite:///{sys.argv[1]}', timeout_s=60)\n"
        "sys.stdin.readline()\nlog.create()\nlog.check_schema()\n"
    )
    path = tmp_path / "log.db"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(path)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    for child in children:
        _, told = child.communicate(timeout=60)
        assert (child.returncode, told) == (0, "")
    log = Log(f"sqlite:///{path}")
    log.check_schema()
    assert log.size() == 0
    log.close()


def test_a_creation_that_died_is_finished_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    path.touch(0o600)  # the file was made, and nothing in it
    log = Log(f"sqlite:///{path}")
    with pytest.raises(LogCorrupt, match="mlops-chain init"):
        log.check_schema()
    log.create()
    log.check_schema()
    log.close()


def test_a_log_of_a_newer_version_is_left_alone(under_test: LogUnderTest) -> None:
    under_test.append([make_entry(0)])
    under_test.edit("UPDATE alembic_version SET version_num = '9999'")
    before = under_test.path.read_bytes()
    for act in (under_test.log.check_schema, under_test.log.upgrade, under_test.log.create):
        with pytest.raises(SchemaTooNew, match=r"'9999'.*upgrade mlops-chain"):
            act()
    assert under_test.path.read_bytes() == before


def test_a_log_of_an_older_version_asks_for_its_migration(
    under_test: LogUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chain_client.log.schema_version.REVISIONS", (*REVISIONS, "0999"))
    with pytest.raises(SchemaTooOld, match=r"needs 0999.*mlops-chain init"):
        under_test.log.check_schema()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM alembic_version",
        "INSERT INTO alembic_version VALUES ('9998')",
        "DROP TABLE alembic_version",
        "ALTER TABLE alembic_version RENAME COLUMN version_num TO other",
    ],
)
def test_a_log_whose_version_is_gone_is_damaged(under_test: LogUnderTest, statement: str) -> None:
    under_test.edit(statement)
    for act in (under_test.log.check_schema, under_test.log.create):
        with pytest.raises(LogCorrupt):
            act()


def test_another_programs_database_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE runs (id TEXT)")
    connection.close()
    before = path.read_bytes()
    log = Log(f"sqlite:///{path}")
    for act in (log.create, log.upgrade, log.check_schema, log.size):
        with pytest.raises(LogCorrupt, match="another program's"):
            act()
    log.close()
    assert path.read_bytes() == before


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    log = Log(f"sqlite:///{tmp_path}/missing/log.db")
    with pytest.raises(LogUnavailable, match="can't be made"):
        log.create()
