"""Who writes: one process's MLflow client, its chance, and what it has written so far."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from tests.storm.names import Names

if TYPE_CHECKING:
    from mlflow import MlflowClient

_KEPT = 4
"""Entities of a kind that a writer goes on with; older ones are left as they are."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all writers of a storm write to at once."""

    experiment_id: str
    run_id: str
    model: str
    versions: int


@dataclass(slots=True)
class Model:
    """A registered model of one writer, with the versions that it knows of."""

    name: str
    versions: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Writer:
    """One writer.

    Args:
        client: MLflow's own client.
        rng: chooses everything that is written.
        names: gives names that no other writer uses.
        shared: what others write to too.
        folder: for files that are logged; None if the writer is a plain client of a server, whose
            files would not pass through a recording process.
        experiment_id: an experiment of its own.
    """

    client: MlflowClient
    rng: Random
    names: Names
    shared: Shared
    folder: Path | None
    experiment_id: str = ""
    runs: list[str] = field(default_factory=list)
    logged_models: list[str] = field(default_factory=list)
    models: list[Model] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fresh(self, kind: str) -> str:
        """A name that is used once."""
        return self.names.fresh(kind)

    def run(self) -> str:
        """A run to write to: mostly an own one, made if there is none."""
        if self.rng.random() < 0.1:
            return self.shared.run_id
        return self.own_run()

    def own_run(self) -> str:
        """A run that no other process writes to."""
        if not self.runs:
            self.add_run()
        return self.rng.choice(self.runs)

    def add_run(self) -> str:
        """Create a run."""
        name = self.fresh("run")
        made = self.client.create_run(
            self.own_experiment(),
            start_time=1_700_000_000_000 + self.names.number() % 10**9,
            tags={"made": self.fresh("tag")} if self.rng.random() < 0.7 else None,
            run_name=name if self.rng.random() < 0.8 else None,
        )
        self.runs = [*self.runs[-_KEPT + 1 :], made.info.run_id]
        return str(made.info.run_id)

    def own_experiment(self) -> str:
        """The writer's own experiment, made at its first use."""
        if not self.experiment_id:
            self.experiment_id = self.client.create_experiment(
                self.fresh("experiment"), tags={"made": self.fresh("tag")}
            )
        return self.experiment_id

    def logged_model(self) -> str:
        """A logged model of this writer."""
        if not self.logged_models or self.rng.random() < 0.2:
            made = self.client.create_logged_model(
                self.own_experiment(),
                name=self.fresh("model"),
                source_run_id=self.own_run(),
                tags={"made": self.fresh("tag")},
                params={"given": self.fresh("param")},
                model_type="storm",
            )
            self.logged_models = [*self.logged_models[-_KEPT + 1 :], made.model_id]
        return self.rng.choice(self.logged_models)

    def model(self) -> Model:
        """A registered model of this writer."""
        if not self.models or self.rng.random() < 0.1:
            made = Model(self.fresh("registered"))
            self.client.create_registered_model(
                made.name, tags={"made": self.fresh("tag")}, description=self.fresh("text")
            )
            self.models = [*self.models[-_KEPT + 1 :], made]
        return self.rng.choice(self.models)
