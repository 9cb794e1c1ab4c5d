"""Where the facts come from: MLflow's database or server, read as it is now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from chain_client.checks import PromotionContext

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


@contextmanager
def reading(context: PromotionContext) -> Iterator[MlflowClient]:
    """A client of the database in which the proposed version is."""
    from mlflow.tracking import MlflowClient  # heavy: not where a plugin is loaded

    with _within(context.workspace) if context.workspace else nullcontext():
        yield MlflowClient(context.tracking_uri, context.tracking_uri)


@contextmanager
def _within(workspace: str) -> Iterator[None]:
    """A workspace, also where nobody has told MLflow's client that there are any."""
    from mlflow.environment_variables import MLFLOW_ENABLE_WORKSPACES
    from mlflow.utils.workspace_context import WorkspaceContext

    was_told = MLFLOW_ENABLE_WORKSPACES.get()
    MLFLOW_ENABLE_WORKSPACES.set(True)
    try:
        with WorkspaceContext(workspace):
            yield
    finally:
        if not was_told:
            MLFLOW_ENABLE_WORKSPACES.unset()


def metric_of(client: MlflowClient, run_id: str | None, name: str) -> float | None:
    """The last value of a run's metric; None if there is no run, or no such metric."""
    if not run_id:
        return None
    value = client.get_run(run_id).data.metrics.get(name)
    return None if value is None else float(value)
