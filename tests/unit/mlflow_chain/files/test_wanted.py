"""Which calls make it necessary to read files back."""

from __future__ import annotations

import pytest

from chain_client.events import Json
from mlflow_chain.stores.wishing import wanted_files

VERSION = "model_version.created"


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED"])
def test_a_run_that_ends_is_read_by_servers_only(status: str) -> None:
    payload: dict[str, Json] = {"status": status}
    assert wanted_files("run.updated", "r", payload, serves=True) == {"run": "r"}
    assert wanted_files("run.updated", "r", payload, serves=False) is None


@pytest.mark.parametrize("payload", [{"status": "RUNNING"}, {"name": "x"}])
def test_a_run_that_goes_on_is_not_read(payload: dict[str, Json]) -> None:
    assert wanted_files("run.updated", "r", payload, serves=True) is None


def test_a_finalized_model_is_read_by_servers_only() -> None:
    assert wanted_files("logged_model.finalized", "m", {}, serves=True) == {"logged_model": "m"}
    assert wanted_files("logged_model.finalized", "m", {}, serves=False) is None


@pytest.mark.parametrize("source", ["/a/b", "file:/a/b", "s3://bucket/a"])
def test_a_version_that_names_a_place_is_read_by_everybody(source: str) -> None:
    for serves, by in ((True, "server"), (False, "client")):
        wanted = wanted_files(VERSION, "", {"source": source}, serves=serves)
        assert wanted == {"source": source, "by": by}


@pytest.mark.parametrize("source", ["models:/m/1", "runs:/r/model", "prompt-template", "a/b", None])
def test_a_version_that_names_no_place_is_not_read(source: str | None) -> None:
    assert wanted_files(VERSION, "", {"source": source}, serves=True) is None
