"""Train a classifier over a small grid and register the best one: plain MLflow.

Where it is tracked is up to the environment:

    MLFLOW_TRACKING_URI=sqlite:///mlflow.db python quickstart.py
    MLFLOW_TRACKING_URI=chain+sqlite:///mlflow.db python quickstart.py

The second is also recorded by mlops-chain. Not a line here knows of it.
"""

import mlflow
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix, f1_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

MODEL = "breast-cancer"
STRENGTHS = [0.001, 0.03, 1.0, 30.0]


def main() -> None:
    mlflow.set_experiment("breast cancer")
    mlflow.sklearn.autolog(log_models=False, silent=True)

    data = load_breast_cancer(as_frame=True)
    train_x, test_x, train_y, test_y = train_test_split(
        data.data, data.target, test_size=0.3, stratify=data.target, random_state=7
    )

    with mlflow.start_run(run_name="grid") as grid:
        mlflow.set_tag("dataset", "breast cancer Wisconsin (diagnostic)")
        mlflow.log_params({"rows": len(data.data), "features": data.data.shape[1]})

        best, best_f1 = None, -1.0
        for step, strength in enumerate(STRENGTHS):
            with mlflow.start_run(run_name=f"C={strength}", nested=True):
                # Autologging adds every parameter of the model and its training metrics.
                model = make_pipeline(StandardScaler(), LogisticRegression(C=strength))
                model.fit(train_x, train_y)
                predicted = model.predict(test_x)
                f1 = float(f1_score(test_y, predicted))
                mlflow.log_metrics(
                    {"test_f1": f1, "test_accuracy": float(np.mean(predicted == test_y))}
                )
                mlflow.log_dict(
                    {
                        "labels": [str(name) for name in data.target_names],
                        "counts": confusion_matrix(test_y, predicted).tolist(),
                    },
                    "confusion_matrix.json",
                )
            mlflow.log_metric("test_f1", f1, step=step)
            if f1 > best_f1:
                best, best_f1 = model, f1

        mlflow.log_metric("best_f1", best_f1)
        mlflow.sklearn.log_model(
            best,
            name="model",
            registered_model_name=MODEL,
            signature=mlflow.models.infer_signature(test_x, best.predict(test_x)),
            pip_requirements=["scikit-learn"],
        )

    client = mlflow.MlflowClient()
    newest = max(int(v.version) for v in client.search_model_versions(f"name = '{MODEL}'"))
    client.set_registered_model_alias(MODEL, "champion", str(newest))
    print(f"{len(STRENGTHS)} models trained in run {grid.info.run_id}; best F1 {best_f1:.4f}")
    print(f"registered as {MODEL!r}, version {newest}, alias 'champion'")


if __name__ == "__main__":
    main()
