"""An empty log for each test: in a SQLite file, or where a test asks for it, on a Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_client.log import Log
from tests.postgres import Postgres
from tests.unit.chain_client.log.logs import LogOnPostgres, LogUnderTest


@pytest.fixture(scope="session")
def empty_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a log that was just created; copy it."""
    path = tmp_path_factory.mktemp("template") / "log.db"
    log = Log(f"sqlite:///{path}")
    log.create()
    log.close()
    return path


@pytest.fixture(scope="session")
def template_database(postgres: Postgres) -> str:
    """The database of a log that was just created; to be copied."""
    name = postgres.create()
    log = Log(postgres.uri(name, "psycopg"))
    log.create()
    log.close()
    return name


@pytest.fixture(scope="session")
def shared_database(postgres: Postgres, template_database: str) -> str:
    """The database of one test after the other."""
    return postgres.create(template_database)


@pytest.fixture
def on_postgres(postgres: Postgres, shared_database: str) -> Iterator[LogOnPostgres]:
    """An empty log on the server, with a relay's lease."""
    found = LogOnPostgres(postgres, shared_database)
    yield found
    found.log.close()


@pytest.fixture
def to_be_damaged(postgres: Postgres, template_database: str) -> Iterator[LogOnPostgres]:
    """The same in a database of its own, for what no emptying takes back."""
    found = LogOnPostgres(postgres, postgres.create(template_database))
    yield found
    found.log.close()
    postgres.execute(f"drop database {found.name} with (force)")


@pytest.fixture
def under_test(
    request: pytest.FixtureRequest, empty_log: Path, tmp_path: Path
) -> Iterator[LogUnderTest]:
    """A log of its own, with a relay's lease; `both_databases` asks for one of each kind."""
    if getattr(request, "param", "sqlite") == "postgres":
        yield request.getfixturevalue("on_postgres")
        return
    found = LogUnderTest(empty_log, tmp_path)
    yield found
    found.log.close()
