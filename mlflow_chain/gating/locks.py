"""One writer at a time for the aliases and stages of a model, over threads, workers and machines.

The lock lies where the database lies: a file for SQLite, the server's own locks elsewhere, on a
connection of their own, so that MLflow's transaction can't end them.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import threading
import time
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy

from chain_client.errors import ChainError, HomeNotWritable, HostUnavailable
from chain_client.forking import ForkableLock, tell_of_forks

_logger = logging.getLogger(__name__)

PATIENCE_S = 20.0
"""How long a call waits for others that change the same model; MLflow's clients wait for 120 s."""

_POLL_S = 0.01

_SLOT_DIGITS = 2
"""Hexadecimal digits of a key that name its file: there are 256."""

_engines: dict[tuple[int, str], sqlalchemy.Engine] = {}
_engines_lock = ForkableLock()


class LockTimeout(HostUnavailable):
    """Another call has been changing the same model for too long."""


def lock_key(store_id: str, workspace: str, name: str) -> str:
    """What a model's lock is named by, the same in every process; MLflow's names may be long."""
    # Some databases do not tell Fraud from fraud: sharing a lock is better than having two.
    plain = unicodedata.normalize("NFKD", name).casefold().rstrip()
    folded = "".join(char for char in plain if not unicodedata.combining(char))
    text = "\n".join((store_id, workspace, folded))
    return hashlib.sha256(text.encode()).hexdigest()[:40]


class ModelLocks:
    """Locks of the models of one database.

    Guarantee: of several blocks that hold the same key, in whatever thread, process or machine
    that reaches the database, one runs at a time. A process that dies leaves no lock behind.

    Args:
        engine: of MLflow's store; a connection of our own is made like its own.
        folder: for the files that are locked where the database has no locks; made when needed.
        patience_s: how long to wait; default: `PATIENCE_S`.
    """

    def __init__(
        self, engine: sqlalchemy.Engine, folder: Path, *, patience_s: float | None = None
    ) -> None:
        self._engine = engine
        self._folder = folder
        self._patience_s = PATIENCE_S if patience_s is None else patience_s

    @contextmanager
    def held(self, keys: Iterable[str]) -> Iterator[None]:
        """The block is the only one with any of the keys.

        Raises:
            LockTimeout: others held one for too long.
            HostUnavailable: the database does not answer.
            HomeNotWritable: the file can't be opened.
        """
        take = _SERVERS.get(self._engine.dialect.name)
        if take is None:
            # Some models share a file: there must not be one more for each name that is tried.
            keys = [key[:_SLOT_DIGITS] for key in keys]
        with ExitStack() as stack:
            # In one order for all, so that nobody waits for who waits for them.
            for key in sorted(set(keys)):
                stack.enter_context(self._held(take, key))
            yield

    def _held(self, take: Any, key: str) -> Any:
        if take is None:
            return _file_lock(self._folder / key, self._patience_s)
        return _on_connection(self._engine, take, key, self._patience_s)


class _ThreadLocks:
    """A lock for the threads of this process beside each file's, which is one of processes."""

    def __init__(self) -> None:
        self.renew_locks()
        tell_of_forks(self)

    def renew_locks(self) -> None:
        """In a forked child: whoever holds one is not there."""
        self._by_file: dict[str, threading.Lock] = {}

    def of(self, path: Path) -> threading.Lock:
        """Of one file, however it is spelled."""
        return self._by_file.setdefault(os.path.realpath(path), threading.Lock())


_threads = _ThreadLocks()


@contextmanager
def _file_lock(path: Path, patience_s: float) -> Iterator[None]:
    # POSIX's locks are of the process: a forked child neither holds them on, if its parent dies,
    # nor frees them. But whoever closes the file frees them too, so one thread at a time has it
    # open.
    deadline = time.monotonic() + patience_s
    own = _threads.of(path)
    if not own.acquire(timeout=patience_s):
        raise _timeout(patience_s)
    try:
        descriptor = _open(path)
        try:
            while not _try_lock(descriptor):
                if time.monotonic() > deadline:
                    raise _timeout(patience_s)
                time.sleep(_POLL_S)
            yield
        finally:
            os.close(descriptor)
    finally:
        own.release()


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise HomeNotWritable(f"the lock {path} can't be opened ({exc.strerror or exc})") from exc


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as exc:
        raise HomeNotWritable(f"the file system gives no lock ({exc.strerror or exc})") from exc
    return True


@contextmanager
def _on_connection(
    engine: sqlalchemy.Engine, take: Any, key: str, patience_s: float
) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            connection = stack.enter_context(_lock_engine(engine).connect())
            take(connection, key, patience_s)
        except ChainError:
            raise
        except sqlalchemy.exc.SQLAlchemyError as exc:
            if "lock timeout" in str(exc.__cause__ or exc):
                raise _timeout(patience_s) from exc
            raise HostUnavailable(
                f"MLflow's database gives no lock ({type(exc).__name__})"
            ) from exc
        try:
            yield
        finally:
            # Ends the transaction, and with it the lock; a connection that can't is thrown away.
            try:
                _release(connection, key)
            except sqlalchemy.exc.SQLAlchemyError:
                _logger.warning("the connection of a model's lock was lost")
                connection.invalidate()


def _postgres(connection: sqlalchemy.Connection, key: str, patience_s: float) -> None:
    # Of a transaction, not of a session: it also holds behind a pooler that shares sessions.
    connection.exec_driver_sql(f"set local lock_timeout = {int(patience_s * 1000)}")
    number = int.from_bytes(bytes.fromhex(key[:16]), "big", signed=True)
    connection.exec_driver_sql(f"select pg_advisory_xact_lock({number})")


def _mysql(connection: sqlalchemy.Connection, key: str, patience_s: float) -> None:
    statement = sqlalchemy.text("select get_lock(:name, :seconds)")
    got = connection.execute(statement, {"name": _NAME + key, "seconds": int(patience_s)}).scalar()
    if got != 1:
        raise _timeout(patience_s)


def _mssql(connection: sqlalchemy.Connection, key: str, patience_s: float) -> None:
    statement = sqlalchemy.text(
        "declare @got int; exec @got = sp_getapplock @Resource = :name, @LockMode = 'Exclusive', "
        "@LockOwner = 'Transaction', @LockTimeout = :ms; select @got"
    )
    values = {"name": _NAME + key, "ms": int(patience_s * 1000)}
    got = connection.execute(statement, values).scalar()
    if got is None or got < 0:
        raise _timeout(patience_s)


def _release(connection: sqlalchemy.Connection, key: str) -> None:
    if connection.dialect.name in ("mysql", "mariadb"):
        # Theirs are of the session, and it goes back into the pool.
        connection.execute(sqlalchemy.text("select release_lock(:name)"), {"name": _NAME + key})
    connection.rollback()


_NAME = "mlops_chain_"

_SERVERS = {"postgresql": _postgres, "mysql": _mysql, "mariadb": _mysql, "mssql": _mssql}


def _lock_engine(engine: sqlalchemy.Engine) -> sqlalchemy.Engine:
    """Connections for locks only: whoever waits must not use up those that the holder needs."""
    key = (os.getpid(), engine.url.render_as_string(hide_password=False))
    with _engines_lock.held():
        found = _engines.get(key)
        if found is None:
            from mlflow.store.db.utils import create_sqlalchemy_engine

            found = _engines[key] = create_sqlalchemy_engine(key[1])
        return found


def close_lock_engines() -> None:
    """Close the connections that this process keeps for locks; they are made again when needed."""
    with _engines_lock.held():
        for key in list(_engines):
            engine = _engines.pop(key)
            if key[0] == os.getpid():
                engine.dispose()


def _timeout(patience_s: float) -> LockTimeout:
    return LockTimeout(
        f"another call has been changing the same model for {patience_s:.0f} s; try again"
    )
