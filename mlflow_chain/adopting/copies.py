"""Telling a copy of a database from a database that was moved, or that has several names."""

from __future__ import annotations

import logging
import uuid
from pathlib import Path

import sqlalchemy

from chain_client.errors import HomeMismatch, HostUnavailable
from chain_client.hosts import StoreBinding
from chain_client.shown_uri import to_shown_uri
from mlflow_chain.adopting.row import read_adoption
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
    except HostUnavailable:
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


def _is_other(engine: sqlalchemy.Engine, binding: StoreBinding) -> bool:
    """Whether the bound place holds the same store in another database.

    A server may have several names, and a file several paths: what is written to a database shows
    at all of its own, and in no copy.
    """
    probe = uuid.uuid4().hex
    here = MARKERS.c.event_id == probe
    bound = sqlalchemy.create_engine(binding.uri, poolclass=sqlalchemy.NullPool)
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
