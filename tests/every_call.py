"""One successful call of every recorded method of MLflow's stores, on whatever database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlflow
from mlflow.entities import (
    Dataset,
    DatasetInput,
    LoggedModelOutput,
    LoggedModelParameter,
    LoggedModelStatus,
    LoggedModelTag,
    Metric,
    Param,
    RunTag,
)
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

import mlflow_chain
from tests.recorded_database import Recorded


class World:
    """Two wrapped stores with something in them, and calls for every recorded method."""

    def __init__(self, recorded: Recorded) -> None:
        uri = recorded.uri.removeprefix("chain+")
        tracking: Any = SqlAlchemyStore(uri, str(recorded.file.with_name("artifacts")))
        registry: Any = RegistryStore(uri)
        self.tracking = mlflow_chain.wrap(tracking, recorded.client)
        self.registry = mlflow_chain.wrap(registry, recorded.client)
        self.run = self._run()
        self.gone = self._run()
        tracking.delete_run(self.gone)
        self.removed = self._run()
        self.experiment = tracking.create_experiment("live")
        tracking.set_experiment_tag(self.experiment, RunTag("a", "1"))
        self.deleted = tracking.create_experiment("deleted")
        tracking.delete_experiment(self.deleted)
        self.dead = tracking.create_experiment("dead")
        tracking.delete_experiment(self.dead)
        tracking.set_tag(self.run, RunTag("a", "1"))
        self.model = tracking.create_logged_model("0", "net", tags=[LoggedModelTag("a", "1")])
        self.dead_model = tracking.create_logged_model("0", "dead")
        registry.create_registered_model("m", tags=[RegisteredModelTag("a", "1")])
        for _ in range(3):
            registry.create_model_version("m", "/x", tags=[ModelVersionTag("a", "1")])
        registry.set_registered_model_alias("m", "old", 1)
        registry.create_registered_model("extra")
        registry.create_registered_model("doomed")

    def _run(self) -> str:
        run_id: str = self.tracking.create_run("0", "me", 1, [], "n").info.run_id
        return run_id

    def calls(self) -> dict[str, Callable[[], Any]]:
        """One successful call of every recorded method."""
        t, r, run = self.tracking, self.registry, self.run
        model_id = self.model.model_id
        dataset = DatasetInput(Dataset("d", "x1", "t", "s", "{}", "{}"), [])
        flavor = mlflow.models.Model(artifact_path="m", run_id=run)
        return {
            "create_experiment": lambda: t.create_experiment("new", tags=[RunTag("a", "1")]),
            "delete_experiment": lambda: t.delete_experiment(self.experiment),
            "restore_experiment": lambda: t.restore_experiment(self.deleted),
            "rename_experiment": lambda: t.rename_experiment("0", "renamed"),
            "set_experiment_tag": lambda: t.set_experiment_tag("0", RunTag("b", "1")),
            "delete_experiment_tag": lambda: (
                t.restore_experiment(self.experiment),
                t.delete_experiment_tag(self.experiment, "a"),
            ),
            "_hard_delete_experiment": lambda: t._hard_delete_experiment(self.dead),
            "create_run": lambda: t.create_run("0", "me", 5, [RunTag("a", "1")], None),
            "update_run_info": lambda: t.update_run_info(run, 3, 9, "name"),
            "delete_run": lambda: t.delete_run(self.removed),
            "restore_run": lambda: t.restore_run(self.gone),
            "_hard_delete_run": lambda: t._hard_delete_run(self.removed),
            "log_metric": lambda: t.log_metric(run, Metric("nan", float("nan"), 1, 1)),
            "log_param": lambda: t.log_param(run, Param("p", "1")),
            "set_tag": lambda: t.set_tag(run, RunTag("mlflow.runName", "other")),
            "delete_tag": lambda: t.delete_tag(run, "a"),
            "log_batch": lambda: t.log_batch(
                run, [Metric("m", 1.0, 1, 1)], [Param("q", "1")], [RunTag("b", "1")]
            ),
            "log_inputs": lambda: t.log_inputs(run, [dataset]),
            "log_outputs": lambda: t.log_outputs(run, [LoggedModelOutput(model_id, 1)]),
            "record_logged_model": lambda: t.record_logged_model(run, flavor),
            "create_logged_model": lambda: t.create_logged_model("0"),
            "finalize_logged_model": lambda: t.finalize_logged_model(
                model_id, LoggedModelStatus.READY
            ),
            "delete_logged_model": lambda: t.delete_logged_model(self.dead_model.model_id),
            "_hard_delete_logged_model": lambda: t._hard_delete_logged_model(
                self.dead_model.model_id
            ),
            "set_logged_model_tags": lambda: t.set_logged_model_tags(
                model_id, [LoggedModelTag("b", "1")]
            ),
            "delete_logged_model_tag": lambda: t.delete_logged_model_tag(model_id, "a"),
            "log_logged_model_params": lambda: t.log_logged_model_params(
                model_id, [LoggedModelParameter("p", "1")]
            ),
            "create_registered_model": lambda: r.create_registered_model("new"),
            "update_registered_model": lambda: r.update_registered_model("m", "text"),
            "set_registered_model_tag": lambda: r.set_registered_model_tag(
                "m", RegisteredModelTag("b", "1")
            ),
            "delete_registered_model_tag": lambda: r.delete_registered_model_tag("m", "a"),
            "set_registered_model_alias": lambda: r.set_registered_model_alias("m", "new", 2),
            "delete_registered_model_alias": lambda: r.delete_registered_model_alias("m", "old"),
            "create_model_version": lambda: r.create_model_version("m", "/y", run),
            "update_model_version": lambda: r.update_model_version("m", 1, "text"),
            "transition_model_version_stage": lambda: r.transition_model_version_stage(
                "m", 2, "Production", True
            ),
            "set_model_version_tag": lambda: r.set_model_version_tag(
                "m", 1, ModelVersionTag("b", "1")
            ),
            "delete_model_version_tag": lambda: r.delete_model_version_tag("m", 1, "a"),
            "delete_model_version": lambda: r.delete_model_version("m", 3),
            "rename_registered_model": lambda: r.rename_registered_model("extra", "extra2"),
            "delete_registered_model": lambda: r.delete_registered_model("doomed"),
        }
