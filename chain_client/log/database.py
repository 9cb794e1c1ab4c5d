"""Connections to the log database: how transactions begin, and what their errors become.

SQLite: rollback journal (TRUNCATE) and synchronous=FULL, so a commit is on disk when it returns;
WAL is not used, because SQLite before 3.51.3 can lose pages with it.
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
from sqlalchemy.exc import DBAPIError, DisconnectionError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from chain_client.errors import ConfigurationError, LogCorrupt, LogUnavailable
from chain_client.shown_uri import to_shown_uri

KNOWN = "sqlite:///<path>, postgresql+psycopg://…"
"""Forms of a log's URL."""

_SQLITE = "sqlite:///"
_WRITES = "mlops_chain_writes"
_UNAVAILABLE = {
    sqlite3.SQLITE_PERM: "it may not be opened; check the file's owner and mode",
    sqlite3.SQLITE_BUSY: "it stayed locked; another process is writing, try again",
    sqlite3.SQLITE_LOCKED: "it stayed locked; another process is writing, try again",
    sqlite3.SQLITE_READONLY: "it is read-only; make the file and its folder writable",
    sqlite3.SQLITE_IOERR: "the disk reports an error; check the disk",
    sqlite3.SQLITE_FULL: "the disk is full; free some space, then the relay goes on",
    sqlite3.SQLITE_CANTOPEN: "it is missing or may not be opened; put the file back, or check "
    "its owner and mode",
}
_CORRUPT = {
    sqlite3.SQLITE_CORRUPT: "its content is damaged",
    sqlite3.SQLITE_NOTADB: "the file is no SQLite database",
}
_UNDEFINED_TABLE = "42P01"


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
    if parsed.get_backend_name() != "postgresql":
        raise ConfigurationError(
            f"a log can't be kept in {parsed.drivername!r}; expected one of: {KNOWN}"
        )
    return parsed


def sqlite_path(url: URL) -> Path | None:
    """The file of a SQLite log, None for a server."""
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


def make_engine(url: URL, timeout_s: float) -> Engine:
    """An engine for `reading` and `writing`; connects to nothing yet.

    Parameters are never shown in errors or logs: they hold payloads and seeds.

    Raises:
        ConfigurationError: the database driver is not installed.
    """
    path = sqlite_path(url)
    if path is not None:
        return _sqlite_engine(url, path, timeout_s)
    try:
        return create_engine(
            url,
            hide_parameters=True,
            pool_pre_ping=True,
            connect_args={"connect_timeout": max(1, round(timeout_s))},
        )
    except ImportError as exc:
        raise ConfigurationError(
            f"the driver for {url.drivername} is not installed; "
            "install it with: pip install 'mlops-chain[postgres]'"
        ) from exc


def _sqlite_engine(url: URL, path: Path, timeout_s: float) -> Engine:
    def connect() -> sqlite3.Connection:
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
    """A transaction that only reads, and sees one state of a SQLite database.

    Keep it short: on SQLite a writer can't commit before it ends.

    Raises:
        LogUnavailable: the database does not answer.
        LogCorrupt: it is damaged.
    """
    with translated(engine), engine.connect() as connection, connection.begin():
        yield connection


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: committed when the block ends, rolled back if it raises.

    On SQLite it is the only writer from its beginning on. Begin it with `leases.fence`.

    Raises:
        LogUnavailable: the database does not answer; nothing was written.
        LogCorrupt: it is damaged.
    """
    with translated(engine), engine.connect() as connection:
        connection = connection.execution_options(**{_WRITES: True})
        with connection.begin():
            yield connection


@contextlib.contextmanager
def translated(engine: Engine) -> Iterator[None]:
    """Turn the database's errors into ours.

    Raises:
        LogUnavailable: for what passes or can be put right beside the database.
        LogCorrupt: for what is wrong inside it.
    """
    try:
        yield
    except SQLAlchemyError as exc:
        raise _translate(exc, engine) from exc


def _translate(exc: SQLAlchemyError, engine: Engine) -> LogUnavailable | LogCorrupt:
    cause = exc.orig if isinstance(exc, DBAPIError) else None
    path = sqlite_path(engine.url)
    where = f"the log database {path or to_shown_uri(str(engine.url))}"
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        if code in _CORRUPT:
            return LogCorrupt(
                f"{where} can't be read: {_CORRUPT[code]}. Put back its newest copy; events that "
                "are still in a spool are not lost"
            )
        if code in _UNAVAILABLE:
            return LogUnavailable(f"{where} does not answer: {_UNAVAILABLE[code]}")
        if "no such table" in str(cause) or "no such column" in str(cause):
            return _no_tables(where)
    elif getattr(cause, "sqlstate", None) == _UNDEFINED_TABLE:
        return _no_tables(where)
    elif isinstance(exc, DisconnectionError):
        return LogUnavailable(f"{where} does not answer: its file was removed or replaced")
    name = type(cause or exc).__name__
    return LogUnavailable(
        f"{where} does not answer ({name}); try again, or run: mlops-chain doctor"
    )


def _no_tables(where: str) -> LogCorrupt:
    return LogCorrupt(
        f"{where} has not the tables of a log: it was emptied, or is another program's. Put back "
        "its newest copy, or name another one; a new home is made by: mlops-chain init"
    )


def make_file(path: Path) -> None:
    """An empty database file that only its owner may read, if there is none.

    Raises:
        LogUnavailable: it can't be made.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as exc:
        raise LogUnavailable(
            f"the log database {path} can't be made ({exc.strerror}); make its folder writable"
        ) from exc
