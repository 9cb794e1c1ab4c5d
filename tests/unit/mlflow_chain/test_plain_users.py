"""Who has this package installed and does not use it gets what MLflow alone would give."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from chain_client.errors import ConfigurationError
from mlflow_chain import inner_stores, serving
from mlflow_chain.recorded_uris import is_recorded_uri

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow's own imports warn about its own dependencies
    from mlflow.tracking._model_registry.utils import _get_store as _get_registry_store
    from mlflow.tracking._tracking_service.utils import _get_store as _get_tracking_store

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def _gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder was removed under this process."""
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()


@pytest.mark.usefixtures("_gone")
def test_a_working_folder_that_is_gone_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not is_recorded_uri("http://127.0.0.1:1")
    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(tmp_path / "home"))
    assert not is_recorded_uri("http://127.0.0.1:1")
    monkeypatch.setenv("MLOPS_CHAIN_HOME", "home")
    with pytest.raises(ConfigurationError, match="make it absolute"):
        is_recorded_uri("http://127.0.0.1:1")


def test_whatever_goes_wrong_while_mlflow_is_imported_breaks_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> str:
        raise FileNotFoundError("gone")

    monkeypatch.setattr(serving, "served_backend", fail)
    serving.await_server()
    assert "could not look" in caplog.text


PLUGIN = """
class Theirs:
    def __init__(self, *args, **kwargs):
        self.args = args

def build(store_uri, artifact_uri=None):
    return Theirs()
"""
GROUPS = ("mlflow.tracking_store", "mlflow.model_registry_store")


def test_a_plugin_of_others_for_a_plain_scheme_builds_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "their_stores.py").write_text(PLUGIN)
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    points = "http = their_stores:build\nhttps = their_stores:missing\n"
    (info / "entry_points.txt").write_text("".join(f"[{name}]\n{points}" for name in GROUPS))
    monkeypatch.syspath_prepend(tmp_path)
    inner_stores._plugin_of_others.cache_clear()
    try:
        assert type(_get_tracking_store("http://theirs.invalid")).__name__ == "Theirs"
        assert type(_get_registry_store("http://theirs.invalid")).__name__ == "Theirs"
        assert type(_get_tracking_store("https://theirs.invalid")).__name__ == "RestStore"
    finally:
        inner_stores._plugin_of_others.cache_clear()
