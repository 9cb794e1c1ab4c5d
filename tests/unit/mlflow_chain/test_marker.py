"""A marker is committed with the call's own transaction, by every session there will ever be."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from mlflow_chain.stores.marker import MARKERS, METADATA, mark_sessions, read_markers
from mlflow_chain.stores.recording import Call, current_call


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sqlalchemy.Engine]:
    made = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/host.db")
    METADATA.create_all(made)
    yield made
    made.dispose()


def commit_marked(engine: sqlalchemy.Engine, event_id: bytes, *, fails: bool = False) -> None:
    """One transaction of a store with a session maker of its own, within a recorded call."""
    make_session = sessionmaker(bind=engine)

    @contextmanager
    def managed(read_only: bool = True) -> Iterator[Session]:
        with make_session() as session:
            yield session
            if fails:
                session.rollback()
            else:
                session.commit()

    token = current_call.set(Call(event_id, marks=True))
    try:
        with mark_sessions(managed)(read_only=False) as session:
            session.execute(sqlalchemy.text("SELECT 1"))
    finally:
        current_call.reset(token)


def test_stores_that_come_and_go_are_all_marked(engine: sqlalchemy.Engine) -> None:
    # A new session class may get the place in memory of one that is gone.
    ids = [number.to_bytes(16, "big") for number in range(200)]
    for event_id in ids:
        commit_marked(engine, event_id)
        gc.collect(0)
    with engine.connect() as connection:
        assert set(read_markers(connection, ids)) == set(ids)


READS = (
    lambda session: session.execute(sqlalchemy.text("SELECT 1")),
    lambda session: session.scalars(sqlalchemy.select(Note)).all(),
    lambda session: session.query(Note).filter_by(key=1).one_or_none(),
)
WRITES = (
    lambda session: session.add(Note(key=2)),
    lambda session: session.merge(Note(key=1, text="other")),
    lambda session: session.delete(session.get(Note, 1)),
    lambda session: setattr(session.get(Note, 1), "text", "other"),
    lambda session: session.execute(sqlalchemy.delete(Note)),
    lambda session: session.query(Note).delete(),
    lambda session: session.query(Note).update({"text": "other"}),
    lambda session: session.bulk_save_objects([Note(key=3)]),
    lambda session: session.execute(sqlalchemy.insert(Note), [{"key": 4}]),
)


class _Base(DeclarativeBase):
    pass


class Note(_Base):
    __tablename__ = "notes"
    key: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str | None]


@pytest.mark.parametrize(
    ("work", "marked"), [*((read, 0) for read in READS), *((write, 1) for write in WRITES)]
)
def test_where_sessions_do_not_say_what_they_are_for_those_that_write_are_marked(
    engine: sqlalchemy.Engine, work: Callable[[Session], object], marked: int
) -> None:
    _Base.metadata.create_all(engine)
    make_session = sessionmaker(bind=engine)
    with make_session() as session:
        session.add(Note(key=1))
        session.commit()

    @contextmanager
    def managed() -> Iterator[Session]:  # as in MLflow 3.12
        with make_session() as session:
            yield session
            session.commit()

    token = current_call.set(Call(bytes(16), marks=True))
    try:
        with mark_sessions(managed)() as session:
            work(session)
    finally:
        current_call.reset(token)
    with engine.connect() as connection:
        assert len(connection.execute(sqlalchemy.select(MARKERS)).all()) == marked


def test_a_transaction_that_is_rolled_back_leaves_no_marker(engine: sqlalchemy.Engine) -> None:
    commit_marked(engine, bytes(16), fails=True)
    with engine.connect() as connection:
        assert connection.execute(sqlalchemy.select(MARKERS)).all() == []
