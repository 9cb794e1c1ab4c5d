"""Connecting to a database once, with little patience.

MLflow tries for almost two minutes before it says that a server does not answer; a relay that
waited so long for one database would hold up the log of all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chain_client.errors import HostUnavailable

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

_TIMED = ("psycopg", "psycopg2", "pymysql", "mysqldb")
"""Drivers that take a ``connect_timeout``; a server that was given up may swallow every packet."""

_TIMEOUT_S = 10


def engine_of(url: URL) -> Engine:
    """An engine that keeps no connection, and gives up one that is not made in 10 seconds."""
    from sqlalchemy import NullPool, create_engine

    is_timed = url.get_driver_name() in _TIMED and "connect_timeout" not in url.query
    arguments = {"connect_timeout": _TIMEOUT_S} if is_timed else {}
    return create_engine(url, poolclass=NullPool, connect_args=arguments)


def check_answers(db_uri: str) -> None:
    """Connect to the server of a database, if it has one.

    Raises:
        HostUnavailable: it does not answer, or its driver is not installed here.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import SQLAlchemyError

    url = make_url(db_uri)
    if url.get_backend_name() == "sqlite":
        return
    try:
        engine_of(url).connect().close()
    except ImportError as exc:
        raise HostUnavailable(
            f"the driver of MLflow's database is not installed here ({exc.name})"
        ) from exc
    except SQLAlchemyError as exc:
        raise HostUnavailable(f"MLflow's database does not answer ({type(exc).__name__})") from exc
