"""What is recorded of a call that names one thing twice is what MLflow keeps of it."""

from __future__ import annotations

from mlflow.entities import Dataset, DatasetInput, InputTag, RunTag

from mlflow_chain.mapping.tracking import log_batch, log_inputs


def test_of_a_tag_that_a_batch_gives_twice_the_last_value_is_recorded() -> None:
    tags = [RunTag("stage", "dev"), RunTag("kind", "test"), RunTag("stage", "prod")]
    _, _, payload = log_batch("run", [], [], tags)
    assert payload["tags"] == [("stage", "prod"), ("kind", "test")]


def test_of_a_dataset_that_a_call_gives_twice_the_first_tags_are_recorded() -> None:
    def given(name: str, tag: str) -> DatasetInput:
        return DatasetInput(Dataset(name, "1", "local", "{}"), [InputTag("context", tag)])

    _, _, payload = log_inputs("run", [given("a", "train"), given("b", "test"), given("a", "eval")])
    datasets = payload["datasets"]
    assert isinstance(datasets, list)
    assert [(d[0], d[-1]) for d in datasets] == [  # type: ignore[index]
        ("a", [["context", "train"]]),
        ("b", [["context", "test"]]),
    ]
