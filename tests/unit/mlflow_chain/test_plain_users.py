"""Users who have this package installed and do not use it: all stays as MLflow alone would do it."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain_client.errors import ConfigurationError
from mlflow_chain import serving
from mlflow_chain.recorded_uris import is_recorded_uri

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own imports warn


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
