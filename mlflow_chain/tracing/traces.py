"""MLflow's side of a lineage: targets, versions, logged models, runs and datasets."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from chain_client.events import Subject
from chain_client.traces import (
    DAG_RUN,
    DATASET,
    LOGGED_MODEL,
    MODEL_VERSION,
    RUN,
    TARGET,
    Logged,
    Node,
    Traced,
)
from mlflow_chain.tracing import models, runs, targets
from mlflow_chain.tracing.naming import Naming


class MlflowTraces:
    """`chain_client.traces.Traces` of MLflow's events."""

    def find_nodes(self, kind: str, text: str, logged: Logged) -> Iterator[Node]:
        """The things of that kind that people call so; see `chain_client.traces.Traces`."""
        return find_nodes(kind, text, logged)

    def origins(self, nodes: Collection[Node], logged: Logged) -> Iterator[Traced]:
        """What the nodes came of; see `chain_client.traces.Traces`."""
        return origins(nodes, logged)

    def results(self, nodes: Collection[Node], logged: Logged) -> Iterator[Traced]:
        """What came of the nodes; see `chain_client.traces.Traces`."""
        return results(nodes, logged)


def find_nodes(kind: str, text: str, logged: Logged) -> Iterator[Node]:
    """The things of that kind that people call so; see `chain_client.traces.Traces`."""
    for store in logged.stores():
        if kind == TARGET:
            model = text.rpartition("/")[0]
            known = _is_known(Subject(store, "registered_model", model), logged)
            if known or len(Naming(store, logged).all_of(model)) > 1:
                yield Node(TARGET, store, text)
        elif kind in (MODEL_VERSION, LOGGED_MODEL):
            if _is_known(Subject(store, kind, text), logged) or (
                kind == MODEL_VERSION and Naming(store, logged).former(text)
            ):
                yield Node(kind, store, text)
        elif kind == RUN and text:
            for subject in logged.subjects(Subject(store, RUN, text)):
                yield Node(RUN, store, subject.id)
        elif kind == DATASET:
            yield from runs.find_datasets(store, text, logged)
    if kind == DAG_RUN:
        yield from runs.find_dag_runs(text, logged)


def _is_known(subject: Subject, logged: Logged) -> bool:
    return any(found.id == subject.id for found in logged.subjects(subject))


def origins(nodes: Collection[Node], logged: Logged) -> Iterator[Traced]:
    """What the nodes came of; see `chain_client.traces.Traces`."""
    namings: dict[str, Naming] = {}
    for node in nodes:
        naming = namings.setdefault(node.store, Naming(node.store, logged))
        if node.kind == TARGET:
            yield from targets.origins(node, naming, logged)
        elif node.kind == MODEL_VERSION:
            yield from models.version_origins(node, naming, logged)
        elif node.kind == LOGGED_MODEL:
            yield from models.logged_model_origins(node, logged)
        elif node.kind == RUN:
            yield from runs.origins(node, logged)


def results(nodes: Collection[Node], logged: Logged) -> Iterator[Traced]:
    """What came of the nodes; see `chain_client.traces.Traces`."""
    yield from runs.results(nodes, logged)
    yield from models.results(nodes, logged)
    versions = [node for node in nodes if node.kind == MODEL_VERSION]
    for store in sorted({node.store for node in versions}):
        here = [node for node in versions if node.store == store]
        yield from targets.results(here, Naming(store, logged), logged)
