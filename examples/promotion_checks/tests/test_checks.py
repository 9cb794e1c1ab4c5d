"""The checks by themselves: on a real MLflow database, without a chain."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain_client.checks import CheckFinding, PromotionContext, freeze
from chain_client.types import Digest
from promotion_checks.plugin import check_promotion

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow's own imports warn about its own dependencies
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.tracking import MlflowClient

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # MLflow's own, as above
Make = Callable[..., PromotionContext]


@pytest.fixture(scope="module")
def mlflow_client(tmp_path_factory: pytest.TempPathFactory) -> MlflowClient:
    """A client of a new database with a model in it."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder}/mlflow.db"
    client = MlflowClient(uri, uri)
    client.create_registered_model("fraud")
    client.create_experiment("loans", artifact_location=(folder / "artifacts").as_uri())
    return client


@pytest.fixture
def make(mlflow_client: MlflowClient, tmp_path: Path) -> Make:
    """Makes a version, and what a check of it would be told."""

    def made(
        metrics: Mapping[str, float],
        tags: dict[str, str] | None = None,
        datasets: Mapping[str, str] | None = None,
    ) -> PromotionContext:
        experiment = mlflow_client.get_experiment_by_name("loans")
        assert experiment is not None
        run = mlflow_client.create_run(experiment.experiment_id).info.run_id
        for name, value in metrics.items():
            mlflow_client.log_metric(run, name, value)
        inputs = [
            DatasetInput(
                Dataset("loans", digest, "local", "{}"), [InputTag("mlflow.data.context", context)]
            )
            for context, digest in (datasets or {}).items()
        ]
        mlflow_client.log_inputs(run, inputs)
        version = mlflow_client.create_model_version("fraud", tmp_path.as_uri(), run, tags=tags)
        return PromotionContext(
            check="",
            configuration={},
            model="fraud",
            workspace="",
            version=int(version.version),
            target="alias:champion",
            digest=Digest(bytes(32)),
            location=tmp_path.as_uri(),
            run_id=run,
            tracking_uri=mlflow_client.tracking_uri,
            current=None,
            requester=None,
        )

    return made


def found(context: PromotionContext, **configuration: Any) -> list[tuple[str, str]]:
    """Levels and texts of what a check with this configuration finds."""
    told = replace(context, configuration=freeze(configuration))
    findings: list[CheckFinding] = list(check_promotion(context=told))
    return [(one.level, one.text) for one in findings]


def test_a_metric_has_to_be_good_and_better_than_the_champions(make: Make) -> None:
    champion = make({"auc": 0.9, "loss": 0.2})
    metric = {"kind": "metric", "metric": "auc"}
    better, worse = make({"auc": 0.93}), make({"auc": 0.85, "loss": 0.1})
    assert found(better, **metric, at_least=0.8) == []
    ((level, text),) = found(better, **metric, at_least=0.95)
    assert (level, text) == ("block", "auc is 0.93, and at least 0.95 is asked for")
    assert found(better, **metric, at_most=0.5)[0][0] == "block"
    better, worse = (replace(one, current=champion.version) for one in (better, worse))
    assert found(better, **metric) == []
    ((level, text),) = found(worse, **metric)
    assert level == "block"
    assert f"that of version {champion.version}, the champion, 0.9" in text
    assert found(better, **metric, wanted_gain=0.1)[0][0] == "warn"
    assert found(better, **metric, gain=0.1)[0][0] == "block"
    assert found(worse, kind="metric", metric="loss", lower_is_better=True) == []


def test_a_metric_that_nobody_can_compare_never_counts_as_better(make: Make) -> None:
    for context in (make({}), make({"auc": float("nan")}), replace(make({}), run_id=None)):
        ((level, text),) = found(context, kind="metric", metric="auc")
        assert (level, text) == ("block", "no run has logged the metric 'auc' for this version")
    champion = make({})
    context = replace(make({"auc": 0.9}), current=champion.version)
    ((level, text),) = found(context, kind="metric", metric="auc")
    assert level == "warn"
    assert "has no auc to compare with" in text


def test_required_tags_block_and_wanted_ones_warn(make: Make) -> None:
    context = make({}, tags={"ticket": "ML-17"})
    assert found(context, kind="tags", required={"ticket": "ML-[0-9]+"}) == []
    ((level, text),) = found(context, kind="tags", required={"ticket": "[0-9]+"})
    assert (level, text) == ("block", "the tag 'ticket' of the version does not look like [0-9]+")
    ((level, text),) = found(context, kind="tags", wanted={"owner": ".+"})
    assert (level, text) == ("warn", "the version has no tag 'owner'")


def test_only_datasets_on_the_list_are_allowed(make: Make) -> None:
    context = make({}, datasets={"training": "d1", "evaluation": "d2"})
    assert found(context, kind="datasets", allowed=["d1", "d2"]) == []
    assert found(context, kind="datasets", allowed=["d1"], used_for="training") == []
    ((level, text),) = found(context, kind="datasets", allowed=["d1"])
    assert (level, text) == ("block", "the dataset 'loans' with the digest d2 is not allowed")
    ((level, text),) = found(make({}), kind="datasets", allowed=["d1"])
    assert (level, text) == ("block", "no run has logged a dataset for this version")


@pytest.mark.parametrize(
    ("configuration", "text"),
    [
        ({}, "kind: expected one of datasets, metric, tags, got None"),
        ({"kind": "metric"}, "metric: it is missing"),
        ({"kind": "metric", "metric": "auc", "atleast": 1}, "atleast: expected one of metric"),
        ({"kind": "metric", "metric": "auc", "at_least": True}, "at_least: expected a number"),
        ({"kind": "metric", "metric": "auc", "lower_is_better": 1}, "expected true or false"),
        ({"kind": "tags", "required": {"a": "("}}, "required.a: expected a regular expression"),
        ({"kind": "datasets", "allowed": "d1"}, "allowed: expected a list"),
    ],
)
def test_a_mistake_in_the_policy_file_blocks(
    make: Make, configuration: dict[str, Any], text: str
) -> None:
    ((level, told),) = found(make({}), **configuration)
    assert level == "block"
    assert text in told
