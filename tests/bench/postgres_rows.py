"""Rows of a relay whose log is on Postgres: the same work, and the same targets, as in a file."""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil

from chain_client import ChainClient
from chain_client.config import CONFIG_FILE
from tests.bench.bench_home import Options, settings_of
from tests.bench.figures import Row
from tests.bench.million_rows import EVENTS, memory_row
from tests.bench.relay_rows import Place, drain, rows_at
from tests.postgres import Postgres, running_postgres

_SUFFIX = ", log on Postgres"


def postgres_rows(options: Options) -> list[Row]:
    """The rows of this module that are wanted."""
    # Settings of a server as it is installed, durable ones: nothing is made faster for the bench.
    with running_postgres((), parent=options.work.parent) as server:
        homes = HomesOnPostgres(options, server)
        place = Place("postgres_", _SUFFIX, homes.make, (_note(server),))
        rows = rows_at(place, options)
        if "postgres_memory" in options.rows:
            count = 8_000 if options.quick else EVENTS
            before_s = _busy_s(server)
            report = drain(options, homes.make("million"), count)
            busy_s = _busy_s(server) - before_s
            row = memory_row(report, judged=count == EVENTS, name="postgres_memory", suffix=_SUFFIX)
            size = homes.size_bytes("million") / report["entries"]
            row.notes.append(
                f"{report['entries'] / report['elapsed_s']:,.0f} events/s over all of them; the "
                f"relay took {report['cpu_s']:.0f} s of its core, the server {busy_s:.0f} s of "
                f"the others. The log takes {size / 1000:.2f} kB an event on the server."
            )
            rows.append(row)
        return rows


class HomesOnPostgres:
    """Homes whose logs are in databases of one server.

    Args:
        options: where they are made.
        server: that has the logs.
    """

    def __init__(self, options: Options, server: Postgres) -> None:
        self._options = options
        self._server = server
        self._databases: dict[str, str] = {}
        self._template = self._point_to(options.work / "postgres-template", server.create())
        client = ChainClient.open(settings_of(self._template, relay_autostart=False), create=True)
        client.close()

    def make(self, name: str) -> Path:
        """A new home of that name, with a database of its own."""
        home = self._options.work / f"postgres-{name}"
        shutil.copytree(self._template, home)
        self._databases[name] = self._server.create(self._databases[self._template.name])
        return self._point_to(home, self._databases[name])

    def _point_to(self, home: Path, database: str) -> Path:
        home.mkdir(mode=0o700, exist_ok=True)
        url = self._server.uri(database, "psycopg")
        (home / CONFIG_FILE).write_text(f'[log]\nurl = "{url}"\n', encoding="utf-8")
        self._databases[home.name] = database
        return home

    def size_bytes(self, name: str) -> int:
        """Size of a home's log."""
        with self._server.connected() as connection:
            statement = "SELECT pg_database_size(%s)"
            found = connection.exec_driver_sql(statement, (self._databases[name],)).scalar_one()
        return int(found)


def _note(server: Postgres) -> str:
    return (
        f"Postgres {server.version()} on the same machine, on the same disk, with the settings "
        "that it is installed with; its own processes use the other cores."
    )


def _busy_s(server: Postgres) -> float:
    assert server.process is not None
    main = psutil.Process(server.process.pid)
    times = [main.cpu_times(), *(p.cpu_times() for p in main.children())]
    ended = main.cpu_times()
    own_s = sum(t.user + t.system for t in times)
    return float(own_s + ended.children_user + ended.children_system)
