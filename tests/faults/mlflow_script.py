"""A training script for the kill tests: a bit of every kind of write, plain MLflow only."""

from __future__ import annotations

import sys
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mlflow
    from mlflow import MlflowClient


def main(name: str) -> None:
    """Write a run, and register a version of a model."""
    client = MlflowClient()
    mlflow.set_experiment(f"experiment {name}")
    with mlflow.start_run(tags={"kind": "killed"}) as run:
        mlflow.log_param("depth", 3)
        mlflow.log_metrics({"loss": 0.5, "accuracy": 0.25}, step=1)
        mlflow.log_metric("loss", 0.25, step=2)
        mlflow.set_tag("stage", "dev")
        mlflow.set_tag("stage", "prod")
        mlflow.log_text("weights", "weights.txt")
    client.create_registered_model(f"model {name}")
    version = client.create_model_version(
        f"model {name}", f"{run.info.artifact_uri}/weights.txt", run.info.run_id
    )
    client.set_registered_model_alias(f"model {name}", "champion", version.version)


if __name__ == "__main__":
    main(sys.argv[1])
