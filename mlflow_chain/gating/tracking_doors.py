"""Doors of tracking stores: what makes files that somebody approved unfindable, or removes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlflow_chain.gating.demands import Attempt, Destroyed
from mlflow_chain.gating.view import RegistryView


def _delete_logged_model(view: RegistryView, model_id: str) -> Attempt:
    from mlflow.store.tracking.dbmodels.models import SqlLoggedModel as Table

    where = (Table.model_id == model_id,)
    return _destroyed(view, Table.artifact_location, where, f"Deleting the logged model {model_id}")


def _hard_delete_run(view: RegistryView, run_id: str) -> Attempt:
    from mlflow.store.tracking.dbmodels.models import SqlRun as Table

    where = (Table.run_uuid == run_id,)
    return _destroyed(view, Table.artifact_uri, where, f"Removing the run {run_id}")


def _hard_delete_experiment(view: RegistryView, experiment_id: Any) -> Attempt:
    from mlflow.store.tracking.dbmodels.models import SqlExperiment as Table

    try:
        number = int(experiment_id)
    except (TypeError, ValueError):
        return Attempt()  # MLflow knows no such experiment.
    where = (Table.experiment_id == number,)
    what = f"Removing the experiment {number}"
    return _destroyed(view, Table.artifact_location, where, what)


def _destroyed(view: RegistryView, column: Any, where: tuple[Any, ...], what: str) -> Attempt:
    location = view.find_value(column, *where)
    return Attempt((Destroyed(what, str(location)),)) if location else Attempt()


TRACKING_DOORS: dict[str, Callable[..., Attempt]] = {
    "delete_logged_model": _delete_logged_model,
    "_hard_delete_experiment": _hard_delete_experiment,
    "_hard_delete_logged_model": _delete_logged_model,
    "_hard_delete_run": _hard_delete_run,
}
"""Methods of tracking stores that ask the gate."""
