"""The MLflow adapter of mlops-chain: set ``chain+`` before a tracking URI, and it is recorded.

Nothing heavy is imported here; `wrap` loads MLflow when it is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from chain_client.client import ChainClient

__all__ = ["wrap"]

_Store = TypeVar("_Store")


def wrap(store: _Store, client: ChainClient | None = None) -> _Store:
    """Make a store record its writes, in place.

    Guarantee: the same object comes back, still an instance of its own class, with the same
    results and the same errors; each write call that it gets from now on is recorded once.
    Wrapping twice changes nothing.

    Args:
        store: a tracking or a model registry store of MLflow, on a SQL database or behind a
            tracking server.
        client: the home that records; by default the one of the environment.

    Raises:
        MlflowException: the store can't be recorded, or the home is not this database's.

    Example:
        >>> store = mlflow_chain.wrap(SqlAlchemyStore("sqlite:///mlflow.db", "mlruns"))
    """
    from mlflow_chain.building import wrap_store

    return wrap_store(store, client)
