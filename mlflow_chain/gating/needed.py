"""Models and versions that a door can't do without.

What is not there must not pass unasked: it could be made between the question and the write.
"""

from __future__ import annotations

from mlflow_chain.gating.view import ModelView, RegistryView, VersionView


def need_model(view: RegistryView, name: str) -> ModelView:
    """The model of that name.

    Raises:
        MlflowException: there is none; MLflow's own words.
    """
    found = view.find_model(name)
    if found is None:
        view.store.get_registered_model(name)
        raise _appeared(name)
    return found


def need_version(view: RegistryView, name: str, number: int) -> tuple[ModelView, VersionView]:
    """A version, with its model.

    Raises:
        MlflowException: there is none; MLflow's own words.
    """
    found = view.find_version(name, number)
    if found is None:
        view.store.get_model_version(name, number)
        raise _appeared(f"{name} version {number}")
    return found


def _appeared(what: str) -> Exception:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import RESOURCE_CONFLICT

    return MlflowException(f"{what} was made this moment; try again", error_code=RESOURCE_CONFLICT)
