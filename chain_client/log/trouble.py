"""What the errors of a log's database become: ours, with what to do, and without a password.

The driver's own texts are never repeated: those of a failed connection may hold pieces of the URL.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import URL, Engine
from sqlalchemy.exc import DBAPIError, DisconnectionError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from chain_client.errors import LogCorrupt, LogUnavailable
from chain_client.log.postgres import SILENT
from chain_client.shown_uri import to_shown_uri

_LOCKED = "it stayed locked; another process is writing, try again"
_FULL = "free some space, then the relay goes on"

_SQLITE_UNAVAILABLE = {
    sqlite3.SQLITE_PERM: "it may not be opened; check the file's owner and mode",
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_READONLY: "it is read-only; make the file and its folder writable",
    sqlite3.SQLITE_IOERR: "the disk reports an error; check the disk",
    sqlite3.SQLITE_FULL: f"the disk is full; {_FULL}",
    sqlite3.SQLITE_CANTOPEN: "it is missing or may not be opened; put the file back, or check "
    "its owner and mode",
}
_SQLITE_CORRUPT = {
    sqlite3.SQLITE_CORRUPT: "its content is damaged",
    sqlite3.SQLITE_NOTADB: "the file is no SQLite database",
}

_PASSWORD = "the server refused the user or the password; check log.url"  # noqa: S105
_NO_DATABASE = "the server has no such database; make it, then run: mlops-chain init"
_NOT_READY = "the server is starting or stopping; try again"
_TOO_MANY = (
    "the server takes no more connections; raise its max_connections, or stop what holds them"
)
_RIGHTS = "the user lacks a right; see docs/how-to/use-postgres.md for those it needs"
_GONE = "the connection broke; the server was restarted, or ended this session. Try again"
_UNREACHED = "nobody answers there; check that the server runs, its host and its port"

# https://www.postgresql.org/docs/16/errcodes-appendix.html
_STATES = {
    "55P03": _LOCKED,
    "40001": "another writer was in the way; try again",
    "40P01": "another writer was in the way; try again",
    "57014": "a statement took too long and was ended; try again",
    "25P03": _GONE,
    "57P01": _GONE,
    "57P02": _GONE,
    "57P05": _GONE,
    "57P03": _NOT_READY,
    "53100": f"the server's disk is full; {_FULL}",
    "53200": "the server is out of memory",
    "53300": _TOO_MANY,
    "28P01": _PASSWORD,
    "28000": _PASSWORD,
    "3D000": _NO_DATABASE,
    "42501": _RIGHTS,
    "25006": "it is read-only, a standby perhaps; name the server that writes",
    "58030": "the server's disk reports an error; check it",
}
_STATES_OF_DAMAGE = {"XX001", "XX002"}
_STATES_OF_TABLES = {"42P01", "42703", "3F000"}

# A connection that failed has no code, only libpq's text and, in it, the server's.
_SAID = (
    ("password authentication failed", _PASSWORD),
    ("no password supplied", _PASSWORD),
    ("no pg_hba.conf entry", "the server lets this user or host not in; see its pg_hba.conf"),
    ("role", _PASSWORD),
    ("database", _NO_DATABASE),
)
_SAID_FIRST = (
    (SILENT, "the server went silent; check it, then try again"),
    ("the database system is", _NOT_READY),
    ("too many clients", _TOO_MANY),
    ("too many connections", _TOO_MANY),
    ("connection slots", _TOO_MANY),
    ("certificate", "TLS failed: the certificate was not accepted; check sslrootcert and sslmode"),
    ("ssl", "TLS failed; check sslmode in log.url, and whether the server offers TLS"),
    ("could not translate host name", "its host name is unknown; check log.url"),
    ("failed to resolve host", "its host name is unknown; check log.url"),
    ("timeout expired", _UNREACHED),
    ("connection timeout", _UNREACHED),
    ("connection refused", _UNREACHED),
    ("no route to host", _UNREACHED),
    ("is unreachable", _UNREACHED),
    ("no such file", _UNREACHED),
    ("server closed the connection", _GONE),
    ("connection is lost", _GONE),
    ("terminating connection", _GONE),
    ("consuming input failed", _GONE),
    ("sending query failed", _GONE),
    ("connection is closed", _GONE),
)


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
        error = _translate(exc, engine.url)
        if isinstance(exc, DBAPIError) and not _is_of_statement(exc.orig):
            raise error from None  # the driver's text of a connection may show pieces of the URL
        raise error from exc


def _is_of_statement(cause: BaseException | None) -> bool:
    return isinstance(cause, sqlite3.Error) or getattr(cause, "sqlstate", None) is not None


def sqlite_path(url: URL) -> Path | None:
    """The file of a SQLite log, None for a server."""
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


def _translate(exc: SQLAlchemyError, url: URL) -> LogUnavailable | LogCorrupt:
    cause = exc.orig if isinstance(exc, DBAPIError) else None
    where = f"the log database {sqlite_path(url) or to_shown_uri(str(url))}"
    why = None
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        if code in _SQLITE_CORRUPT:
            return _corrupt(where, _SQLITE_CORRUPT[code])
        if "no such table" in str(cause) or "no such column" in str(cause):
            return _no_tables(where)
        why = _SQLITE_UNAVAILABLE.get(code)
    elif cause is not None:
        state = getattr(cause, "sqlstate", None)
        if state in _STATES_OF_DAMAGE:
            return _corrupt(where, "its content is damaged")
        if state in _STATES_OF_TABLES:
            return _no_tables(where)
        why = _STATES.get(str(state)) if state else _by_words(str(cause))
        if why is None and isinstance(exc, DBAPIError) and exc.connection_invalidated:
            why = _GONE
    elif isinstance(exc, DisconnectionError):
        why = "its file was removed or replaced"
    elif isinstance(exc, PoolTimeout):
        why = "all of this process's connections are busy; try again"
    if why is not None:
        return LogUnavailable(f"{where} does not answer: {why}")
    name = type(cause or exc).__name__
    return LogUnavailable(
        f"{where} does not answer ({name}); try again, or run: mlops-chain doctor"
    )


def _by_words(said: str) -> str | None:
    lowered = said.lower()
    for words, why in _SAID_FIRST + _SAID:
        if words in lowered:
            return why
    return None


def _corrupt(where: str, what: str) -> LogCorrupt:
    return LogCorrupt(
        f"{where} can't be read: {what}. Put back its newest copy; events that are still in a "
        "spool are not lost"
    )


def _no_tables(where: str) -> LogCorrupt:
    return LogCorrupt(
        f"{where} has not the tables of a log: it was emptied, or is another program's. Put back "
        "its newest copy, or name another one; a new home is made by: mlops-chain init"
    )
