"""What a user sees for a URI that can't be recorded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking._model_registry.utils import _get_store as get_registry_store
from mlflow.tracking._tracking_service.utils import _get_store

from chain_client.errors import HostUnavailable
from mlflow_chain.reading.opening import open_reader


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("chain+file:///tmp/x", "'chain\\+file:///tmp/x' is not recorded: .*sqlite"),
        ("chain:", "'chain:' is not recorded: no URI stands behind the prefix"),
        ("chain+postgres://me:hunter2@h/d", "use chain\\+postgresql://"),
        ("chain:postgres://me:hunter2@h/d", "me:\\*\\*\\*@h/d' is not recorded: "),
        ("chain:foo", "sqlite"),
        ("chain:foo://x", "'foo'"),
        ("chain+foo://x", "chain\\+sqlite"),
    ],
)
def test_an_unknown_inner_store_is_refused_before_any_work(uri: str, says: str) -> None:
    with pytest.raises(MlflowException, match=says) as caught:
        _get_store(uri)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    assert "hunter2" not in str(caught.value)
    with pytest.raises(MlflowException, match=says):
        get_registry_store(uri)


def test_a_database_that_is_not_there_is_said_to_be_known_again_once_it_is_opened(
    tmp_path: Path,
) -> None:
    with pytest.raises(HostUnavailable, match="open it once at its new place with chain"):
        open_reader(f"sqlite:///{tmp_path}/moved.db")


def test_importing_mlflow_warns_of_nothing_of_ours() -> None:
    run = subprocess.run(
        [sys.executable, "-c", "import mlflow.tracking"], capture_output=True, text=True, check=True
    )
    assert "chain" not in run.stderr
