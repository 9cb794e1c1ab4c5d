"""Which store a database says it is, to somebody who may only read it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from chain_client.errors import ConfigurationError, HostUnavailable
from mlflow_chain.adopting.row import read_adoption
from mlflow_chain.reading.connecting import engine_of
from mlflow_chain.reading.server_uri import is_server_uri


def read_said_store(uri: str) -> tuple[str, str] | None:
    """Deployment id and store id, as the database's own table says; None if it says nothing.

    Guarantee: nothing is written. A file is opened for reading only, and none is made.

    Raises:
        ConfigurationError: there is no such file, or its user may not read the table.
        HostUnavailable: it does not answer, or its driver is not installed here.
    """
    if is_server_uri(uri):
        return None
    try:
        url = make_url(uri)
    except ArgumentError:
        return None
    if url.get_backend_name() == "sqlite":
        name = url.database or ""
        if not name or name.startswith((":", "file:")):
            return None
        if not Path(name).is_file():
            raise ConfigurationError(f"there is no file {Path(name).absolute()}")
        place = quote(str(Path(name).absolute()))
        url = url.set(database=f"file:{place}", query={"mode": "ro", "uri": "true"})
    try:
        row = read_adoption(engine_of(url))
    except NoSuchModuleError:
        return None
    except ImportError as exc:
        raise HostUnavailable(
            f"the driver of MLflow's database is not installed here ({exc.name})"
        ) from exc
    return None if row is None else (row.deployment_id, row.store_id)
