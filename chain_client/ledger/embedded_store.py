"""The embedded chain's file: connection, lock and durability. Its tables: `embedded_tables`.

One SQLite transaction is one block. A rollback journal (TRUNCATE) and synchronous=FULL make a
committed block durable, and SQLite's write lock makes blocks of several processes follow each
other. WAL is not used: `FACTS.md` names the defect of older SQLite versions.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chain_client import steps
from chain_client.errors import ConfigurationError, LedgerUnavailable, SchemaTooNew, WrongChain
from chain_client.ledger.embedded_tables import (
    APPLICATION_ID,
    FORMAT,
    Identity,
    NewBlock,
    Snapshot,
)
from chain_client.sqlite_files import check_mode, check_place

CHAIN, INSTEAD = "the embedded chain", ", or use a node by its URL"
"""What `check_place` says of it."""

_stores: weakref.WeakSet[ChainStore] = weakref.WeakSet()
_held_for_fork = threading.local()
_inherited: list[sqlite3.Connection] = []
"""Connections of the parent process, which a forked child must neither use nor close."""


class ChainStore:
    """This process's connection to a chain's file. Connects on first use.

    Threads take turns. A forked child connects for itself, and a fork waits for the
    transaction that another thread is in: SQLite's own notes about locks, which the child
    inherits, are then true for the child as well.

    Args:
        path: the file, made by `create_embedded`; never made here.
        timeout_s: how long to wait for another process's block.
    """

    def __init__(self, path: Path, *, timeout_s: float) -> None:
        self.path = path
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._file_id: tuple[int, int] | None = None
        self._identity: Identity | None = None
        self._checked_version: int | None = None
        _stores.add(self)

    @contextmanager
    def reading(self) -> Iterator[Snapshot]:
        """One consistent state of the chain, unchanged by what others write meanwhile.

        Raises:
            LedgerUnavailable: the file is missing, locked, unreadable or damaged.
            SchemaTooNew: a newer version of mlops-chain wrote it.
            WrongChain: another chain's file is at the path since it was first read.
        """
        with self._transaction("BEGIN") as connection:
            yield Snapshot(connection, self.path)

    @contextmanager
    def writing(self) -> Iterator[NewBlock]:
        """The one writer's view; what it wrote is durable when the block ends without error.

        Raises:
            LedgerUnavailable: as `reading`, and for a full disk or a read-only file. The new
                block is either whole or absent then; only a later look can tell.
        """
        with self._transaction("BEGIN IMMEDIATE") as connection:
            block = NewBlock(connection, self.path)
            yield block
            block.flush()
            steps.step("embedded.block.before_commit")
            connection.execute("COMMIT")
            steps.step("embedded.block.committed")

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            self._disconnect()

    def before_fork(self) -> bool:
        """Wait until no thread is in a transaction; True if that was reached."""
        return self._lock.acquire(timeout=self._timeout_s)

    def after_fork_in_parent(self) -> None:
        """Go on as before."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Leave the parent's connection alone and connect anew."""
        self._lock = threading.Lock()
        if self._connection is not None:
            _inherited.append(self._connection)
            self._connection = None

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        if not self._lock.acquire(timeout=self._timeout_s):
            raise LedgerUnavailable(
                f"the embedded chain {self.path} was busy for {self._timeout_s:g} s "
                "in another thread; try again"
            )
        try:
            connection = self._connected()
            connection.execute(begin)
            try:
                self._check_when_changed(connection)
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except sqlite3.Error as exc:
            self._disconnect()
            raise self._unavailable(exc) from exc
        finally:
            if self._checked_version is None:
                self._disconnect()
            self._lock.release()

    def _connected(self) -> sqlite3.Connection:
        try:
            status = self.path.stat()
        except OSError as exc:
            self._disconnect()
            if isinstance(exc, FileNotFoundError):
                raise LedgerUnavailable(
                    f"the embedded chain {self.path} is missing; "
                    "put it back from your backup (a new chain can't stand in for it)"
                ) from exc
            raise LedgerUnavailable(
                f"the embedded chain {self.path} can't be reached: {exc.strerror}"
            ) from exc
        file_id = (status.st_dev, status.st_ino)
        if self._connection is not None and file_id != self._file_id:
            self._disconnect()  # the file was replaced, for example by a restored backup
        if self._connection is None:
            self._connection = connect(self.path, self._timeout_s)
            self._file_id = file_id
            self._checked_version = None
        return self._connection

    def _check_when_changed(self, connection: sqlite3.Connection) -> None:
        """Look again what the file is whenever others wrote it: a copy over it may be a restore."""
        (data_version,) = connection.execute("PRAGMA data_version").fetchone()
        if data_version != self._checked_version:
            self._checked_version = None
            self._check(connection)
            self._checked_version = data_version

    def _check(self, connection: sqlite3.Connection) -> None:
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if application_id != APPLICATION_ID:
            raise LedgerUnavailable(
                f"{self.path} is not an embedded chain, or was emptied; "
                "put it back from your backup"
            )
        if version > FORMAT:
            raise SchemaTooNew(
                f"the embedded chain {self.path} has format {version}, this version of "
                f"mlops-chain knows up to {FORMAT}: install the newer version that wrote it"
            )
        identity = Snapshot(connection, self.path).identity()
        if self._identity not in (None, identity):
            raise WrongChain(
                f"{self.path} now holds another chain (id {identity.chain_id}) than before; "
                "put the right file back"
            )
        self._identity = identity

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _unavailable(self, error: sqlite3.Error) -> LedgerUnavailable:
        return unavailable(self.path, error, self._timeout_s)


def connect(path: Path, timeout_s: float) -> sqlite3.Connection:
    """Open an existing file for transactions begun by hand; raises sqlite3.Error.

    Raises:
        ConfigurationError: SQLite can't keep it safe there, or in its mode.
    """
    check_place(path, CHAIN, INSTEAD)
    connection = sqlite3.connect(
        path.absolute().as_uri() + "?mode=rw",
        uri=True,
        timeout=timeout_s,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        check_mode(connection, path, CHAIN)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_mode = TRUNCATE")
    except (sqlite3.Error, ConfigurationError):
        connection.close()
        raise
    return connection


def unavailable(path: Path, error: sqlite3.Error, timeout_s: float) -> LedgerUnavailable:
    """Say what SQLite's error means for the chain's user, and what to do."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    chain = f"the embedded chain {path}"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        text = f"{chain} stayed locked by another process for {timeout_s:g} s; try again"
    elif code == sqlite3.SQLITE_CANTOPEN:
        text = f"{chain} can't be opened; check that this user may read and write it"
    elif code == sqlite3.SQLITE_READONLY:
        text = f"{chain} or its folder is read-only; make both writable for this user"
    elif code == sqlite3.SQLITE_FULL:
        text = f"the disk of {chain} is full; free some space"
    elif code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        text = f"{chain} is damaged; keep the file for inspection and put your backup back"
    else:
        text = f"{chain} does not answer ({error}); check its disk"
    return LedgerUnavailable(text)


def _before_fork() -> None:
    _held_for_fork.stores = [store for store in _stores if store.before_fork()]


def _after_fork_in_parent() -> None:
    for store in _held_for_fork.stores:
        store.after_fork_in_parent()


def _after_fork_in_child() -> None:
    for store in _stores:
        store.after_fork_in_child()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
