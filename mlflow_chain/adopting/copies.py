"""Telling a copy of a database from a database that was moved, or that has several names."""

from __future__ import annotations

import logging
import uuid
from pathlib import Path

import sqlalchemy

from chain_client.errors import ConfigurationError, HomeMismatch, HostUnavailable
from chain_client.hosts import StoreBinding
from chain_client.shown_uri import to_shown_uri
from mlflow_chain.adopting.row import read_adoption
from mlflow_chain.reading.connecting import engine_of
from mlflow_chain.stores.marker import MARKERS

_logger = logging.getLogger(__name__)


def refuse_copy(engine: sqlalchemy.Engine, binding: StoreBinding, home: Path) -> None:
    """Refuse the database of ``engine`` if the one that the home knows is another one.

    Args:
        engine: of a database that says that it is the binding's store.
        binding: where the home knows that store.
        home: for the error's text.

    Raises:
        HomeMismatch: both are there, and what is written to one does not show in the other.
        HostUnavailable: a file is there, and can't be read.
    """
    url = sqlalchemy.make_url(binding.uri)
    is_file = url.get_backend_name() == "sqlite"
    if is_file and not Path(url.database or "").exists():
        return
    try:
        if not _is_other(engine, binding):
            return
    except (HostUnavailable, ConfigurationError):
        if is_file:
            raise
        # A server that was given up does not answer; nobody could tell it from one that rests.
        _logger.warning(
            "the server that had the database of store %s does not answer; from now on the "
            "database that was opened now is taken for it",
            binding.store_id,
        )
        return
    raise HomeMismatch(
        f"this database says that it is store {binding.store_id}, but the home {home} reaches "
        f"that one at {to_shown_uri(binding.uri)}, and it is still there: this one is a copy. To "
        "record the copy as a database of its own, drop its tables mlops_chain_deployment and "
        "mlops_chain_markers and open it again. If it is to take the place of the original, move "
        "the original away first"
    )


def find_other_name(engine: sqlalchemy.Engine, bindings: list[StoreBinding]) -> str | None:
    """The store that a home knows at another name of the database of ``engine``.

    A server has more than one name, and who opens it by another one must not get a new history.

    Args:
        engine: of a database that says since a moment ago that it is a store of its own.
        bindings: what the home knows.
    """
    row = read_adoption(engine)
    for binding in bindings:
        if row is None or not _may_be_same(engine.url, sqlalchemy.make_url(binding.uri)):
            continue
        try:
            bound = _connect(engine, binding)
            try:
                if read_adoption(bound) == row and row.store_id != binding.store_id:
                    return binding.store_id
            finally:
                bound.dispose()
        except (HostUnavailable, ConfigurationError):
            continue
    return None


def _may_be_same(here: sqlalchemy.URL, there: sqlalchemy.URL) -> bool:
    engine = here.get_backend_name()
    if engine != there.get_backend_name():
        return False
    if engine == "sqlite":
        one, other = Path(here.database or ""), Path(there.database or "")
        return one.exists() and other.exists() and one.samefile(other)
    return here.database == there.database


def _connect(engine: sqlalchemy.Engine, binding: StoreBinding) -> sqlalchemy.Engine:
    """A connection to the bound place, by the driver that is there: that of ``engine``."""
    url = sqlalchemy.make_url(binding.uri)
    if url.get_backend_name() == engine.url.get_backend_name():
        url = url.set(drivername=engine.url.drivername)
    return engine_of(url)


def _is_other(engine: sqlalchemy.Engine, binding: StoreBinding) -> bool:
    """Whether the bound place holds the same store in another database.

    A server may have several names, and a file several paths: what is written to a database shows
    at all of its own, and in no copy.
    """
    probe = uuid.uuid4().hex
    here = MARKERS.c.event_id == probe
    bound = _connect(engine, binding)
    try:
        row = read_adoption(bound)
        if row is None or row.store_id != binding.store_id:
            return False
        with engine.begin() as connection:
            values = {"event_id": probe, "commit_no": 0, "created_ms": 0, "written": "[]"}
            connection.execute(MARKERS.insert(), values)
        try:
            if not sqlalchemy.inspect(bound).has_table(MARKERS.name):
                return True
            with bound.connect() as connection:
                found = connection.execute(sqlalchemy.select(MARKERS).where(here)).first()
            return found is None
        finally:
            with engine.begin() as connection:
                connection.execute(MARKERS.delete().where(here))
    except sqlalchemy.exc.SQLAlchemyError as exc:
        raise HostUnavailable(
            f"the database at {to_shown_uri(binding.uri)} does not answer ({type(exc).__name__})"
        ) from exc
    finally:
        bound.dispose()
