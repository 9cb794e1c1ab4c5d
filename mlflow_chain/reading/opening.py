"""The reader that fits a store's URI."""

from __future__ import annotations

from mlflow_chain.reading.reader import Reader
from mlflow_chain.reading.server_uri import is_server_uri


def open_reader(uri: str) -> Reader:
    """A reader of the store at ``uri``, which stands without our prefix.

    Raises:
        HostUnavailable: it does not answer, or can't be read.
    """
    if is_server_uri(uri):
        from mlflow_chain.reading.rest import RestReader

        return RestReader(uri)
    from mlflow_chain.reading.sql import SqlReader

    return SqlReader(uri)
