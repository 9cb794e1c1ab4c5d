"""What a SQLite file must not be: on a file system without locks, or in a mode that loses pages.

SQLite 3.7.0 to 3.51.2 can lose pages of a database in WAL mode when two connections write or
checkpoint at once (the WAL-reset bug); 3.51.3 mended it (https://sqlite.org/wal.html).
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from chain_client.errors import ConfigurationError
from chain_client.mounts import WITHOUT_LOCKS, find_file_system, may_share_locks_badly

_FIRST_WITH_BUG, _FIRST_MENDED = (3, 7, 0), (3, 51, 3)


def check_place(path: Path, what: str, instead: str) -> None:
    """See that the file is, or will be, where SQLite's locks hold; nothing is opened.

    Args:
        path: the file; it may be missing.
        what: what it is, for the text.
        instead: what else can be done than to move the file.

    Raises:
        ConfigurationError: it is on a network file system.
    """
    file_system = find_file_system(path)
    if file_system in WITHOUT_LOCKS:
        raise ConfigurationError(
            f"{what} {path} is on a network file system ({file_system}), where SQLite's locks are "
            f"not reliable and two writers can destroy it. Move it to a local disk{instead}"
        )


def check_mode(connection: sqlite3.Connection, path: Path, what: str) -> None:
    """See that the database is in no mode in which this SQLite loses pages.

    By a connection, and never by a look into the file: closing a file takes away every lock that
    this process has on it.

    Raises:
        ConfigurationError: it is in WAL mode under a SQLite that has the bug.
        sqlite3.Error: it can't be read.
    """
    if has_wal_reset_bug() and _is_wal(connection):
        raise ConfigurationError(
            f"{what} {path} was put into WAL mode, in which SQLite {sqlite3.sqlite_version} can "
            "lose pages (mended in 3.51.3). End every program that has it open, then run: "
            f"python -c \"import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA "
            f"journal_mode=DELETE')\" '{path}'"
        )


def find_dangers(path: Path, what: str) -> list[str]:
    """What endangers a database that is not ours, or a whole folder of files; for `doctor`.

    Args:
        path: the file or folder.
        what: what it is, for the text.
    """
    found = []
    file_system = find_file_system(path)
    if file_system is not None and may_share_locks_badly(file_system):
        found.append(
            f"{what} {path} is on {file_system}: locks may not reach other machines, so use it "
            "from one"
        )
    if path.is_file() and has_wal_reset_bug() and _is_wal_file(path):
        found.append(
            f"{what} {path} is in WAL mode, in which SQLite {sqlite3.sqlite_version} can lose "
            "pages when several processes write: use SQLite 3.51.3, or another journal mode"
        )
    return found


def _is_wal_file(path: Path) -> bool:
    try:
        uri = path.absolute().as_uri() + "?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
            return _is_wal(connection)
    except sqlite3.Error:
        return False


def _is_wal(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("PRAGMA journal_mode").fetchone() == ("wal",))


def has_wal_reset_bug(version: tuple[int, ...] | None = None) -> bool:
    """Whether a version of SQLite, by default the one in this process, has the bug."""
    return _FIRST_WITH_BUG <= (version or sqlite3.sqlite_version_info) < _FIRST_MENDED
