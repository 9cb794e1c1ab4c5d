"""Markers: rows that MLflow's own transaction commits together with the change.

Whether a call that overwrites was applied can't be seen by looking. So its transaction also
inserts the id of its event: if the marker is there, the change was committed.
"""

from __future__ import annotations

import functools
import inspect
import json
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Session

from mlflow_chain.stores.capture import capture, kind_of
from mlflow_chain.stores.recording import Call, call_under_way

METADATA = sqlalchemy.MetaData()

LONG_TEXT = sqlalchemy.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
"""MySQL's TEXT ends at 64 KiB, and a batch of 1,000 tags is longer."""

MARKERS = sqlalchemy.Table(
    "mlops_chain_markers",
    METADATA,
    sqlalchemy.Column("event_id", sqlalchemy.String(32), primary_key=True),
    sqlalchemy.Column("commit_no", sqlalchemy.Integer, primary_key=True, autoincrement=False),
    sqlalchemy.Column("created_ms", sqlalchemy.BigInteger, nullable=False),
    sqlalchemy.Column("written", LONG_TEXT, nullable=False),
    sqlite_with_rowid=False,  # one page that each commit touches, instead of two
)
"""One row for each marked commit; ``written`` holds the captured rows as JSON."""

DEPLOYMENT = sqlalchemy.Table(
    "mlops_chain_deployment",
    METADATA,
    sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True, autoincrement=False),
    sqlalchemy.Column("deployment_id", sqlalchemy.String(64), nullable=False),
    sqlalchemy.Column("store_id", sqlalchemy.String(64), nullable=False),
    sqlalchemy.Column("adopted_us", sqlalchemy.BigInteger, nullable=True),
)
"""At most one row: whose database this is. ``adopted_us`` is NULL until the baseline is whole."""

_CALL = "mlops_chain_call"
_TOUCHED = "mlops_chain_touched"
_PENDING = "mlops_chain_pending"
_WROTE = "mlops_chain_wrote"

_statements: weakref.WeakKeyDictionary[sqlalchemy.Dialect, _Statement] = weakref.WeakKeyDictionary()

_listened: weakref.WeakSet[Any] = weakref.WeakSet()
"""Session classes that tell us of their commits."""

SessionMaker = Callable[..., AbstractContextManager[Session]]


class _Statement(NamedTuple):
    """An insert as a driver takes it; ``order`` is None where parameters go by name."""

    text: str
    order: list[str] | None


def mark_sessions(inner: SessionMaker) -> SessionMaker:
    """A session maker like ``inner`` whose writing sessions commit the marker of their call."""
    says_so = _says_what_it_is_for(inner)

    @functools.wraps(inner)
    def managed(*args: Any, **kwargs: Any) -> AbstractContextManager[Session]:
        call = call_under_way()
        reads = says_so and kwargs.get("read_only", args[0] if args else True)
        if call is None or not call.marks or reads:
            return inner(*args, **kwargs)
        return _marked(inner, args, kwargs, call, watched=not says_so)

    return managed


def _says_what_it_is_for(inner: SessionMaker) -> bool:
    """Whether this MLflow tells sessions that write from those that read (3.12 does not)."""
    try:
        return "read_only" in inspect.signature(inner).parameters
    except (TypeError, ValueError):
        return False


@contextmanager
def _marked(
    inner: SessionMaker, args: tuple[Any, ...], kwargs: dict[str, Any], call: Call, *, watched: bool
) -> Iterator[Session]:
    with inner(*args, **kwargs) as session:
        # A sessionmaker gives its sessions a class of their own: listening there touches nobody
        # else's sessions, and costs once.
        _listen(session if type(session) is Session else type(session), watched)
        session.info[_CALL] = call
        session.info[_WROTE] = not watched
        session.info[_TOUCHED] = {}
        yield session


def _listen(target: Any, watched: bool) -> None:
    # Not `event.contains`: it goes by id(), and finds a collected target's entry for a new one.
    if target not in _listened:
        _listened.add(target)
        event.listen(target, "before_flush", _before_flush)
        event.listen(target, "before_commit", _before_commit)
        event.listen(target, "after_commit", _after_commit)
        event.listen(target, "after_rollback", _after_rollback)
        if watched:
            event.listen(target, "after_transaction_create", _after_transaction_create)
            event.listen(target, "do_orm_execute", _do_orm_execute)


def _after_transaction_create(session: Session, transaction: Any) -> None:
    # A flush and a bulk write are transactions within the session's own.
    if transaction.parent is not None:
        session.info[_WROTE] = True


def _do_orm_execute(state: Any) -> None:
    if state.is_insert or state.is_update or state.is_delete:
        state.session.info[_WROTE] = True


def _before_flush(session: Session, context: Any, instances: Any) -> None:
    call: Call | None = session.info.get(_CALL)
    if call is None or not call.captures:
        return
    touched = session.info[_TOUCHED]
    for item in (*session.new, *session.dirty, *session.deleted):
        if kind_of(item) in call.captures:
            touched[id(item)] = item


def _before_commit(session: Session) -> None:
    call: Call | None = session.info.get(_CALL)
    if call is None:
        return
    session.flush()
    if not session.info[_WROTE]:
        return
    rows = capture(session.info[_TOUCHED].values())
    if not rows and (call.only_captured or call.commits):
        return
    _insert(
        session.connection(),
        {
            "event_id": call.event_id.hex(),
            "commit_no": call.commits,
            "created_ms": time.time_ns() // 1_000_000,
            "written": json.dumps(rows),
        },
    )
    session.info[_PENDING] = rows


def _insert(connection: sqlalchemy.Connection, values: dict[str, Any]) -> None:
    """Insert a marker; compiled once, for what SQLAlchemy does for each costs as much again."""
    statement = _statements.get(connection.dialect)
    if statement is None:
        compiled = MARKERS.insert().compile(dialect=connection.dialect)
        order = compiled.positiontup if compiled.positional else None
        statement = _statements[connection.dialect] = _Statement(str(compiled), order)
    text, order = statement
    connection.exec_driver_sql(text, values if order is None else tuple(values[n] for n in order))


def _after_commit(session: Session) -> None:
    rows = session.info.pop(_PENDING, None)
    if rows is None:
        return
    call: Call = session.info[_CALL]
    call.rows += rows
    call.commits += 1
    session.info[_TOUCHED] = {}


def _after_rollback(session: Session) -> None:
    if session.info.pop(_PENDING, None) is not None or _TOUCHED in session.info:
        session.info[_TOUCHED] = {}


def read_markers(
    connection: sqlalchemy.Connection, event_ids: list[bytes]
) -> dict[bytes, list[Any]]:
    """The captured rows of each event that has a marker; an event without one is missing."""
    found: dict[bytes, list[Any]] = {}
    for start in range(0, len(event_ids), 500):
        chunk = [event_id.hex() for event_id in event_ids[start : start + 500]]
        query = (
            sqlalchemy.select(MARKERS.c.event_id, MARKERS.c.written)
            .where(MARKERS.c.event_id.in_(chunk))
            .order_by(MARKERS.c.event_id, MARKERS.c.commit_no)
        )
        for event_id, written in connection.execute(query):
            found.setdefault(bytes.fromhex(event_id), []).extend(json.loads(written))
    return found
