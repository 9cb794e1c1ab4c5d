"""Connections to the log database: how transactions begin. Their errors: `trouble`.

A server's connections are made in `postgres`. SQLite: rollback journal (TRUNCATE) and
synchronous=FULL, so a commit is on disk when it returns; WAL is not used, because SQLite before
3.51.3 can lose pages with it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from chain_client.errors import ConfigurationError, LogUnavailable
from chain_client.log.postgres import DRIVER, is_postgres, make_postgres_engine
from chain_client.log.trouble import sqlite_path, translated
from chain_client.sqlite_files import check_mode, check_place

__all__ = [
    "KNOWN",
    "make_engine",
    "make_file",
    "parse_url",
    "reading",
    "sqlite_path",
    "translated",
    "writing",
]

KNOWN = "sqlite:///<path>, postgresql+psycopg://…"
"""Forms of a log's URL."""

_SQLITE = "sqlite:///"
_WRITES = "mlops_chain_writes"


def parse_url(url: str) -> URL:
    """The parsed URL of a log. A path stands in it as it is, with nothing escaped.

    Raises:
        ConfigurationError: not one of `KNOWN`.
    """
    if url.startswith(_SQLITE):
        path = url.removeprefix(_SQLITE)
        if path in ("", ":memory:"):
            raise ConfigurationError(f"a log needs a file, give a path: {KNOWN}")
        return URL.create("sqlite", database=path)
    try:
        parsed = make_url(url)
    except (SQLAlchemyError, ValueError):
        # Without the cause: its text may show the URL, and that may hold a password.
        raise ConfigurationError(f"the log's URL can't be read; expected one of: {KNOWN}") from None
    if parsed.drivername not in ("postgresql", DRIVER):
        raise ConfigurationError(
            f"a log can't be kept in {parsed.drivername!r}; expected one of: {KNOWN}"
        )
    return parsed.set(drivername=DRIVER)


def make_engine(url: URL, timeout_s: float) -> Engine:
    """An engine for `reading` and `writing`; connects to nothing yet.

    Parameters are never shown in errors or logs: they hold payloads and seeds.

    Raises:
        ConfigurationError: the database driver is not installed.
    """
    path = sqlite_path(url)
    if path is not None:
        return _sqlite_engine(url, path, timeout_s)
    return make_postgres_engine(url, timeout_s)


def _sqlite_engine(url: URL, path: Path, timeout_s: float) -> Engine:
    def connect() -> sqlite3.Connection:
        _check_place(path)
        # mode=rw: a missing file is an error here, never a new and empty log.
        connection = sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?mode=rw",
            uri=True,
            timeout=timeout_s,
            isolation_level=None,
            check_same_thread=False,
        )
        # What others wrote into a column may be any bytes; finding it must not fail on them.
        connection.text_factory = _decode_text
        try:
            check_mode(connection, path, "the log")
            connection.execute("PRAGMA journal_mode=TRUNCATE").close()
            connection.execute("PRAGMA synchronous=FULL").close()
            connection.execute("PRAGMA foreign_keys=ON").close()
            connection.execute("PRAGMA cache_size=-16384").close()
        except BaseException:
            connection.close()
            raise
        return connection

    engine = create_engine(url, creator=connect, poolclass=QueuePool, hide_parameters=True)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A deferred transaction that reads first and writes then can fail without waiting.
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    @event.listens_for(engine, "connect")
    def _remember_file(_: Any, record: Any) -> None:
        record.info["file"] = _identity(path)

    @event.listens_for(engine, "checkout")
    def _same_file(_: Any, record: Any, __: Any) -> None:
        # What is written into a file that was removed or replaced would be lost.
        opened = record.info["file"]
        if opened is None or opened != _identity(path):
            raise DisconnectionError("the log's file was removed or replaced")

    return engine


def _decode_text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


@contextlib.contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads, and sees one state of the database.

    Keep it short: on SQLite a writer can't commit before it ends.

    Raises:
        LogUnavailable: the database does not answer.
        LogCorrupt: it is damaged.
    """
    with translated(engine), engine.connect() as connection:
        if is_postgres(connection):
            connection = connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        with connection.begin():
            yield connection


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: committed when the block ends, rolled back if it raises.

    On SQLite it is the only writer from its beginning on. Begin it with `leases.fence`.

    Raises:
        LogUnavailable: the database does not answer; nothing was written, unless a server's
            connection broke while it committed.
        LogCorrupt: it is damaged.
    """
    with translated(engine), engine.connect() as connection:
        connection = connection.execution_options(**{_WRITES: True})
        with connection.begin():
            yield connection


def make_file(path: Path) -> None:
    """An empty database file that only its owner may read, if there is none.

    Raises:
        LogUnavailable: it can't be made.
        ConfigurationError: SQLite's locks do not hold there.
    """
    _check_place(path)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as exc:
        raise LogUnavailable(
            f"the log database {path} can't be made ({exc.strerror}); make its folder writable"
        ) from exc


def _check_place(path: Path) -> None:
    check_place(path, "the log", ", or keep the log on Postgres")
