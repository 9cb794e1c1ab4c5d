"""Who records a store behind a server, as long as the server has not said."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from mlflow_chain import building
from mlflow_chain.building import build_tracking_store
from mlflow_chain.stores import remote
from mlflow_chain.stores.reclassing import RecordingSource, find_recording
from mlflow_chain.stores.remote import RemoteRecording

pytestmark = pytest.mark.filterwarnings("ignore")


def _source(says: list[bool | None], monkeypatch: pytest.MonkeyPatch) -> RemoteRecording:
    creds = SimpleNamespace(host="http://127.0.0.1:9")
    monkeypatch.setattr(remote, "says_that_it_records", lambda *_: says[0])
    opened: Any = SimpleNamespace()
    return RemoteRecording("tracking", lambda: creds, lambda: opened)


@pytest.mark.parametrize("says", [None, False])
def test_a_foreign_workspace_is_refused_whether_or_not_the_server_has_answered(
    says: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = _source([says], monkeypatch)
    assert source.current() is not None
    monkeypatch.setenv("MLFLOW_WORKSPACE", "team-a")
    for _ in range(2):
        with pytest.raises(MlflowException, match="the workspace 'team-a' is active"):
            source.current()
    monkeypatch.delenv("MLFLOW_WORKSPACE")
    assert source.current() is not None


def test_a_server_that_records_takes_every_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    says: list[bool | None] = [None]
    source = _source(says, monkeypatch)
    assert source.current() is not None
    says[0] = True
    monkeypatch.setenv("MLFLOW_WORKSPACE", "team-a")
    assert source.current() is None


def test_a_server_that_is_not_believed_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_CHAIN_HOME", str(tmp_path))
    monkeypatch.setattr(remote, "says_that_it_records", lambda *_: True)
    opened: Any = SimpleNamespace()
    monkeypatch.setattr(building, "_open_remote", lambda *_: opened)
    monkeypatch.setenv("MLOPS_CHAIN_MLFLOW_BELIEVE_SERVERS", "false")
    assert _remote_source().current() is opened
    monkeypatch.setenv("MLOPS_CHAIN_MLFLOW_BELIEVE_SERVERS", "true")
    assert _remote_source().current() is None


def _remote_source() -> RecordingSource:
    store = build_tracking_store("chain+http://127.0.0.1:9", None)
    source = find_recording(store)
    assert source is not None
    return source
