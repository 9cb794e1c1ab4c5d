"""Train a model, and let it become the champion once enough people have approved it.

    train ─ verify_run ─ register ─ verify_model ─ propose
          ─ wait_for_approval ─ promote ─ verify_champion

It needs the connection `mlops_chain_default` with the requester's key, and in the workers the
environment variable MLFLOW_TRACKING_URI with a URI that is recorded, such as
chain+sqlite:////srv/mlflow/mlflow.db. While `wait_for_approval` waits it takes no place of a
worker; approvers use `mlops-chain approvals` and `mlops-chain model approve`, or any wallet. If
they reject, the rest is skipped.
"""

from __future__ import annotations

import warnings
from datetime import timedelta
from typing import Any

from airflow.sdk import Param, chain, dag, task

from airflow_chain.operators.promote import PromoteModelOperator
from airflow_chain.operators.propose import ProposePromotionOperator
from airflow_chain.operators.register import RegisterModelVersionOperator
from airflow_chain.operators.verify import VerifyModelOperator, VerifyRunOperator
from airflow_chain.sensors.promotion import PromotionApprovedSensor

MODEL = "{{ params.model_name }}"
VERSION = "{{ ti.xcom_pull(task_ids='train')['version'] }}"
RUN = "{{ ti.xcom_pull(task_ids='train')['run_id'] }}"
ALIAS = "{{ params.alias }}"


@dag(
    schedule=None,
    catchup=False,
    params={
        "model_name": Param("wine-quality", type="string", minLength=1),
        "alias": Param("champion", type="string", minLength=1),
        "strength": Param(1.0, type="number", exclusiveMinimum=0, description="inverse, of L2"),
    },
    tags=["mlops-chain", "example"],
    doc_md=__doc__,
)
def train_and_promote() -> None:
    @task(retries=2, retry_delay=timedelta(seconds=10))
    def train(**context: Any) -> dict[str, Any]:
        """A run with dataset, parameters and metrics, and its model as the next version.

        Plain MLflow. That this task made the run stands in the run's tags `airflow.…`.
        """
        import mlflow

        with warnings.catch_warnings():
            # It asks every module for its names, to which Airflow's answer by 1,100 warnings.
            warnings.simplefilter("ignore")
            import skops.io  # noqa: F401 - MLflow's format of models of scikit-learn
        from sklearn.datasets import load_wine
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import accuracy_score, f1_score
        from sklearn.model_selection import train_test_split
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        params = context["params"]
        wine = load_wine(as_frame=True)
        training, held_out = train_test_split(
            wine.frame, test_size=0.3, stratify=wine.target, random_state=7
        )
        mlflow.set_experiment("wine")
        with mlflow.start_run(run_name=context["run_id"]) as run:
            for name, frame in (("training", training), ("held out", held_out)):
                dataset = mlflow.data.from_pandas(frame, name=f"wine {name}", targets="target")
                mlflow.log_input(dataset, context=name)
            mlflow.log_params({"strength": params["strength"], "rows": len(training)})
            model = make_pipeline(StandardScaler(), LogisticRegression(C=params["strength"]))
            model.fit(training[wine.feature_names], training["target"])
            predicted = model.predict(held_out[wine.feature_names])
            mlflow.log_metrics(
                {
                    "accuracy": accuracy_score(held_out["target"], predicted),
                    "f1": f1_score(held_out["target"], predicted, average="macro"),
                }
            )
            logged = mlflow.sklearn.log_model(
                model,
                name="model",
                registered_model_name=params["model_name"],
                signature=mlflow.models.infer_signature(held_out[wine.feature_names], predicted),
                pip_requirements=["scikit-learn"],
                skops_trusted_types=[],
            )
        return {"run_id": run.info.run_id, "version": int(logged.registered_model_version)}

    verified = VerifyRunOperator(task_id="verify_run", run_id=RUN)
    model = {"model_name": MODEL, "version": VERSION}
    registered = RegisterModelVersionOperator(task_id="register", **model)
    checked = VerifyModelOperator(task_id="verify_model", **model)
    proposed = ProposePromotionOperator(task_id="propose", alias=ALIAS, **model)
    approved = PromotionApprovedSensor(
        task_id="wait_for_approval",
        proposal_id=proposed.output["proposal_id"],
        response_timeout=timedelta(days=7),
        poke_interval=5,
        deferrable=True,
    )
    promoted = PromoteModelOperator(task_id="promote", alias=ALIAS, **model)
    champion = VerifyModelOperator(task_id="verify_champion", model_name=MODEL, alias=ALIAS)
    chain(train(), verified, registered, checked, proposed, approved, promoted, champion)


train_and_promote()
