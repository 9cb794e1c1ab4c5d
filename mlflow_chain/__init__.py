"""The MLflow adapter of mlops-chain: set ``chain+`` before a tracking URI, and it is recorded.

Nothing heavy is imported here; `wrap` and `load_model` load MLflow when they are called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from chain_client.client import ChainClient

__all__ = ["load_model", "wrap"]

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


def load_model(
    model_uri: str, *, flavor: str = "pyfunc", dst_path: str | None = None, **options: Any
) -> Any:
    """Load a registered model only if its bytes are those that the chain approves.

    Guarantee: what is loaded is a private copy of which every file was read and compared with the
    registry's contract, before anything of it is imported. It is refused if the bytes differ, the
    version is revoked, the alias or stage in MLflow is not the one on chain, no policy stands for
    it, or the chain does not answer.

    Args:
        model_uri: ``models:/<name>@<alias>``, ``models:/<name>/<stage>`` or
            ``models:/<name>/<version>``; the last only says that the bytes are the registered
            ones, not that anybody approved of them.
        flavor: module of MLflow that loads it, such as ``sklearn``.
        dst_path: an existing, empty folder for the copy; by default one that is removed when the
            process ends.
        options: for the flavour's ``load_model``.

    Raises:
        MlflowException: it was refused, and why; or MLflow's own.

    Example:
        >>> model = mlflow_chain.load_model("models:/fraud@champion")
    """
    from mlflow_chain.loading.load import load

    return load(model_uri, flavor, dst_path, **options)
