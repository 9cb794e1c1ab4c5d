"""Making, checking and migrating the schema. alembic is imported only when a migration runs."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from chain_client.errors import LogCorrupt, SchemaTooNew, SchemaTooOld
from chain_client.log.database import reading, writing
from chain_client.log.postgres import is_postgres, wide_limits
from chain_client.log.schema import REVISIONS
from chain_client.steps import step

MIGRATIONS = Path(__file__).with_name("migrations")

_MIGRATION_LOCK = 0x6D6C6F70_63686169
"""Key of the Postgres advisory lock (the text ``mlopchai``)."""


def check(engine: Engine) -> None:
    """See that the database has the schema of this version; one SELECT.

    Raises:
        SchemaTooNew: a newer version of mlops-chain wrote it.
        SchemaTooOld: an older one did; `upgrade` migrates it.
        LogCorrupt: it holds no log.
        LogUnavailable: it does not answer.
    """
    with reading(engine) as connection:
        revision = _revision(connection)
        _refuse_newer(connection, revision)
    if revision != REVISIONS[-1]:
        raise SchemaTooOld(
            f"the log has schema {revision}, this version of mlops-chain needs {REVISIONS[-1]}; "
            "stop its relay, then migrate it with: mlops-chain init"
        )


def upgrade(engine: Engine) -> None:
    """Bring the schema to this version's: from nothing, or from any older one. Repeatable.

    One transaction: a process that dies leaves the database as it was, and a second process
    that does the same waits for the first.

    Raises:
        SchemaTooNew: a newer version of mlops-chain wrote it; nothing is changed.
        LogCorrupt: it is another program's database, or damaged.
        LogUnavailable: it does not answer.
    """
    with writing(engine) as connection, wide_limits(connection):
        if is_postgres(connection):
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        tables = set(inspect(connection).get_table_names())
        if "alembic_version" in tables:
            revision = _revision(connection)
            _refuse_newer(connection, revision)
            if revision == REVISIONS[-1]:
                return
        elif tables:
            raise LogCorrupt(
                "the log database is another program's: it has tables, but none that says "
                "which version of a log it is. Name another one"
            )
        _migrate(connection)
        step("log.migrated.before_commit")


def _revision(connection: Connection) -> str:
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    if len(found) != 1:
        raise LogCorrupt(
            f"the log database names {len(found)} schema versions, expected one. "
            "Put back its newest copy"
        )
    return str(found[0])


def _refuse_newer(connection: Connection, revision: str) -> None:
    if revision not in REVISIONS:
        if "entries" not in inspect(connection).get_table_names():
            # MLflow and Airflow note their versions in a table of the same name.
            raise LogCorrupt(
                "the log database is another program's: it has no tables of a log. Give the log "
                "a database of its own"
            )
        raise SchemaTooNew(
            f"the log has schema {revision[:40]!r}, which this version of mlops-chain does not "
            f"know (it knows up to {REVISIONS[-1]}); upgrade mlops-chain"
        )


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    # The option is interpolated, so a % in a path must be doubled.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
