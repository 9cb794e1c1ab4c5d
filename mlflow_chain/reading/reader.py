"""Reading MLflow's entities: what a verification, a baseline and a resolver ask for.

Implemented on a database (`reading.sql`) and on a server's API (`reading.rest`); nothing is ever
written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from chain_client.errors import HostUnavailable
from mlflow_chain.reading.entities import (
    ExperimentView,
    LoggedModelView,
    Point,
    RegisteredModelView,
    RunView,
    VersionView,
)
from mlflow_chain.reading.pages import RunSource


class Unreadable(HostUnavailable):
    """MLflow's API refuses to show an entity: its rows contradict each other."""


class Reader(Protocol):
    """MLflow's entities of one store, deleted ones included as far as it can show them.

    Each method may raise `Unreadable` for its entity, or HostUnavailable if nothing answers.
    """

    blind_spots: tuple[str, ...]
    """What this way of reading can't show, each as one clause for people; empty if nothing."""

    def close(self) -> None:
        """Give the connections back."""

    def experiments(self) -> Iterator[ExperimentView]:
        """Every experiment, deleted ones included."""

    def runs(self, experiment_id: str) -> Iterator[RunView]:
        """Every run of an experiment, deleted ones included."""

    def find_run(self, run_id: str) -> RunView | None:
        """One run, deleted or not."""

    def in_bulk(self, run_ids: Sequence[str]) -> Iterator[tuple[str, RunSource]]:
        """Each of the runs with what shows it, until the next is asked for."""

    def run_ids(self) -> set[str]:
        """The id of every row of a run, also of those that no listing shows, if it can tell."""

    def logged_model_ids(self) -> set[str]:
        """The id of every row of a logged model, as `run_ids`."""

    def metric_keys(self, run_id: str) -> list[str]:
        """The key of every metric of a run, also of those without a latest value, if it can."""

    def history(self, run_id: str, key: str) -> Iterator[Point]:
        """Every point of a metric."""

    def logged_models(self, experiment_id: str) -> Iterator[LoggedModelView]:
        """Every logged model of an experiment that is not deleted."""

    def deleted_logged_models(self) -> Iterator[LoggedModelView]:
        """Every logged model that is deleted and not yet removed, if it can tell."""

    def find_logged_model(self, model_id: str) -> LoggedModelView | None:
        """One logged model, deleted or not."""

    def registered_model_names(self) -> list[str]:
        """The name of every registered model and prompt."""

    def find_registered_model(self, name: str) -> RegisteredModelView | None:
        """One registered model with all its versions."""

    def find_version(self, name: str, number: int) -> VersionView | None:
        """One version of a registered model."""
