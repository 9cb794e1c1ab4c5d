"""Loading a verified copy with one of MLflow's flavours."""

from __future__ import annotations

import importlib
from typing import Any

from mlflow_chain.loading.verified import download_verified


def load(uri: str, flavor: str, dst_path: str | None, **options: Any) -> Any:
    """`mlflow_chain.load_model`."""
    load_model = _loader(flavor)
    return load_model(download_verified(uri, dst_path), **options)


def _loader(name: str) -> Any:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

    if not name.isidentifier():
        raise MlflowException(f"{name!r} is no flavour of MLflow", INVALID_PARAMETER_VALUE)
    try:
        return importlib.import_module(f"mlflow.{name}").load_model
    except (ImportError, AttributeError) as exc:
        raise MlflowException(
            f"mlflow.{name} can't load models here ({type(exc).__name__})",
            INVALID_PARAMETER_VALUE,
        ) from exc
