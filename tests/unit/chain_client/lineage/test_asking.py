"""What a person may call a model, a run, a DAG run and a graph."""

from __future__ import annotations

import pytest

from chain_client.errors import InvalidInput
from chain_client.lineage.asking import (
    Asked,
    to_asked_dag_run,
    to_asked_graph,
    to_asked_model,
)

LOGGED = "m-0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "kind", "id"),
    [
        ("fraud@champion", "target", "fraud/alias:champion"),
        ("models:/fraud@champion", "target", "fraud/alias:champion"),
        ("chain+models:/fraud@champion", "target", "fraud/alias:champion"),
        ("team/fraud@champion", "target", "team/fraud/alias:champion"),
        ("me@home@champion", "target", "me@home/alias:champion"),
        ("fraud/3", "model_version", "fraud/3"),
        ("fraud/03", "model_version", "fraud/3"),
        ("models:/fraud/3", "model_version", "fraud/3"),
        ("team/fraud/3", "model_version", "team/fraud/3"),
        ("models:/fraud/production", "target", "fraud/stage:Production"),
        ("fraud/stage:staging", "target", "fraud/stage:Staging"),
        ("fraud/alias:champion", "target", "fraud/alias:champion"),
        (f"models:/{LOGGED}", "logged_model", LOGGED),
        ("runs:/4f1c/model", "run", "4f1c"),
    ],
)
def test_spellings_of_models(text: str, kind: str, id: str) -> None:
    assert to_asked_model(text) == Asked(kind, id)


@pytest.mark.parametrize(
    "text", ["", "fraud", "@champion", "fraud@", "fraud@a b", "/3", "models:/fraud", "fraud/latest"]
)
def test_what_names_no_version_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="expected"):
        to_asked_model(text)


def test_dag_runs_and_graphs() -> None:
    assert to_asked_dag_run("train/manual/1") == Asked("dag_run", "train/manual/1")
    assert to_asked_graph("train") == Asked("dag_version", "train/")
    assert to_asked_graph("train/0af") == Asked("dag_version", "train/0af")
    for text in ("", "train", "/run"):
        with pytest.raises(InvalidInput, match="expected DAG_ID/RUN_ID"):
            to_asked_dag_run(text)
    for text in ("", "/0a", "train/xyz", "train/" + "0" * 65):
        with pytest.raises(InvalidInput, match="expected DAG_ID"):
            to_asked_graph(text)
