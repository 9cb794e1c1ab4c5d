"""Where the facts come from: MLflow's database or server, read as it is now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from chain_client.checks import PromotionContext

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


@contextmanager
def reading(context: PromotionContext) -> Iterator[MlflowClient]:
    """A client of the database in which the proposed version is."""
    from mlflow.tracking import MlflowClient  # heavy: not where a plugin is loaded

    within: Any = nullcontext()
    if context.workspace:
        from mlflow.utils.workspace_context import WorkspaceContext

        within = WorkspaceContext(context.workspace)
    with within:
        yield MlflowClient(context.tracking_uri, context.tracking_uri)


def metric_of(client: MlflowClient, run_id: str | None, name: str) -> float | None:
    """The last value of a run's metric; None if there is no run, or no such metric."""
    if not run_id:
        return None
    value = client.get_run(run_id).data.metrics.get(name)
    return None if value is None else float(value)
