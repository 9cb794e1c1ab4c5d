"""Connections to a Postgres server: their limits, the clock of leases, and the writers' lock.

Every wait ends: for a lock, for a statement, for an answer of a server that went silent, and for
a peer that was stopped in the middle of a transaction (the server ends its session then).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, text
from sqlalchemy.exc import DBAPIError

from chain_client.errors import ConfigurationError

_T = TypeVar("_T")

DRIVER = "postgresql+psycopg"

STATEMENT_S = 60.0
"""Longest time of one statement; the server ends it then."""
SILENCE_S = 75.0
"""Longest wait for a server that says nothing at all; the connection is given up then."""
IDLE_S = 10.0
"""Longest pause of a process inside a transaction; the server ends its session then, so that a
stopped process does not keep the others waiting."""

_MIGRATION_S = 3600

_APPEND_LOCK = 0x6D6C6F70_6C6F6731
"""Key of the advisory lock (the text ``mloplog1``)."""
_CONNECTIONS, _MORE_CONNECTIONS = 3, 7
_RECYCLE_S = 900
_LIBPQ = {
    "application_name": "mlops-chain",
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""What a URL does not say otherwise. Settings of TLS are the URL's own, and libpq's."""

# A commit is on disk when it returns, also where the server's default is to be faster.
_SESSION = text(
    "SELECT set_config('lock_timeout', :lock_ms, false), "
    "set_config('statement_timeout', :statement_ms, false), "
    "set_config('idle_in_transaction_session_timeout', :idle_ms, false), "
    "set_config('synchronous_commit', CASE current_setting('synchronous_commit') "
    "WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)"
)
_TIME_US = text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")


def make_postgres_engine(url: URL, timeout_s: float) -> Engine:
    """An engine; connects to nothing yet.

    A connection that broke is found when it is taken from the pool, and replaced.

    Args:
        url: of the driver `DRIVER`; what it says of libpq's parameters (TLS, hosts) holds.
        timeout_s: how long locks, connections and the pool are waited for.

    Raises:
        ConfigurationError: the driver is not installed.
    """
    defaults = {name: value for name, value in _LIBPQ.items() if name not in url.query}
    try:
        # READ COMMITTED whatever the server's default is: behind the writers' lock, a statement
        # must see what the writer before has committed.
        engine = create_engine(
            url,
            hide_parameters=True,
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
            pool_use_lifo=True,
            pool_size=_CONNECTIONS,
            max_overflow=_MORE_CONNECTIONS,
            pool_timeout=max(1.0, timeout_s),
            pool_recycle=_RECYCLE_S,
            connect_args=defaults | {"connect_timeout": max(2, round(timeout_s))},
        )
    except ImportError as exc:
        raise ConfigurationError(
            f"the driver for {DRIVER} is not installed; "
            "install it with: pip install 'mlops-chain[postgres]'"
        ) from exc

    @event.listens_for(engine, "do_connect")
    def _connect(_: Any, __: Any, words: Any, options: Any) -> Any:
        return _bounded_connection().connect(*words, **options)

    # In an autocommit of its own, so that no rollback takes it back.
    @event.listens_for(engine, "connect")
    def _limit(connection: Any, _: Any) -> None:
        connection.autocommit = True
        limits = {"lock_ms": timeout_s, "statement_ms": STATEMENT_S, "idle_ms": IDLE_S}
        values = {name: str(max(1, round(1000 * seconds))) for name, seconds in limits.items()}
        statement = _SESSION.compile(dialect=engine.dialect)
        connection.execute(str(statement), values)
        connection.autocommit = False

    return engine


def lock_appends(connection: Connection) -> None:
    """Be the only one that numbers entries, sources and subjects until this transaction ends.

    Each statement after this one sees all that the holder before has committed. SQLite's
    transactions that write are alone anyway.
    """
    if is_postgres(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _APPEND_LOCK})


def server_time_us(connection: Connection) -> int:
    """The server's clock now, and not when the transaction began; in µs since the epoch."""
    return int(connection.execute(_TIME_US).scalar_one())


def is_postgres(connection: Connection) -> bool:
    """Whether this is a connection to a server, and not to a file."""
    return connection.dialect.name == "postgresql"


def copy_rows(
    connection: Connection,
    table: Table,
    columns: Sequence[str],
    rows: Sequence[tuple[object, ...]],
) -> None:
    """Add rows by COPY in binary form: a twelfth of the work of as many INSERTs on this side.

    Args:
        connection: in a transaction.
        table: where to; its types must be among `_TYPES`.
        columns: names of the columns.
        rows: their values.
    """
    import psycopg

    names = ", ".join(f'"{name}"' for name in columns)
    types = [
        str(table.c[name].type.dialect_impl(connection.dialect).compile(connection.dialect))
        for name in columns
    ]
    raw: Any = connection.connection.driver_connection
    try:
        with (
            raw.cursor() as cursor,
            cursor.copy(f'COPY "{table.name}" ({names}) FROM STDIN (FORMAT BINARY)') as copy,
        ):
            copy.set_types([_TYPES[name] for name in types])
            for row in rows:
                copy.write_row(row)
    except psycopg.Error as exc:
        lost = bool(raw.closed)
        if lost:
            connection.invalidate(exc)
        raise DBAPIError(
            f"COPY {table.name}", None, exc, hide_parameters=True, connection_invalidated=lost
        ) from exc


_TYPES = {"BIGINT": "int8", "INTEGER": "int4", "SMALLINT": "int2", "BYTEA": "bytea"}


@contextlib.contextmanager
def wide_limits(connection: Connection) -> Iterator[None]:
    """For a migration, which may take `_MIGRATION_S`, and wait a minute for another one."""
    if not is_postgres(connection):
        yield
        return
    connection.execute(
        text(
            "SELECT set_config('lock_timeout', '60s', true), "
            "set_config('statement_timeout', :longest, true)"
        ),
        {"longest": f"{_MIGRATION_S}s"},
    )
    raw: Any = connection.connection.driver_connection
    raw.silence_s = float(_MIGRATION_S)
    try:
        yield
    finally:
        raw.silence_s = SILENCE_S


@cache
def _bounded_connection() -> Any:
    """A connection that gives a silent server up: no setting of the server's can do that."""
    import psycopg

    class BoundedConnection(psycopg.Connection[Any]):
        silence_s = SILENCE_S

        def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
            return super().wait(_bounded(gen, self.silence_s, self._give_up), *args, **options)

        def _give_up(self) -> None:
            self.pgconn.finish()
            raise psycopg.OperationalError(SILENT)

    return BoundedConnection


SILENT = "the server went silent"


def _bounded(
    waiting: Generator[Any, Any, _T], silence_s: float, give_up: Callable[[], None]
) -> Generator[Any, Any, _T]:
    """What psycopg waits by; it is resumed ten times a second also when nothing arrived."""
    until = time.monotonic() + silence_s
    try:
        wanted = next(waiting)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > until:
                give_up()
            wanted = waiting.send(ready)
    except StopIteration as done:
        result: _T = done.value
        return result
