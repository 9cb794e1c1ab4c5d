"""Loading MLflow where several threads need it."""

from __future__ import annotations

from chain_client.forking import ForkableLock

_loading = ForkableLock()


def load_mlflow() -> None:
    """Import MLflow as far as reading needs it; returns at once when that is done.

    Guarantee: of the threads that come here one imports, and the others wait. MLflow's modules
    import each other in a circle: two threads that begin at different ends find it half made, and
    then no later import in that process succeeds.

    Raises:
        ImportError: MLflow is not installed, or can't be imported.
    """
    with _loading.held():
        import mlflow.store.artifact.artifact_repository_registry
        import mlflow.store.model_registry.sqlalchemy_store
        import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
