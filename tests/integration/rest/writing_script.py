"""A training script for the tests over a server's API, plain MLflow only."""

from __future__ import annotations

import sys
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mlflow
    from mlflow.entities import Metric, Param, RunTag


def main(experiment: str, rounds: int) -> None:
    """Write runs into an experiment that is there."""
    client = mlflow.MlflowClient()
    for number in range(rounds):
        run = client.create_run(experiment, run_name=f"run {number}")
        client.log_param(run.info.run_id, "depth", number)
        client.set_tag(run.info.run_id, "stage", "dev")
        client.log_batch(
            run.info.run_id,
            [Metric("loss", 0.5, 1, 1)],
            [Param("width", "2")],
            [RunTag("batch", "1")],
        )
        client.set_terminated(run.info.run_id)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
