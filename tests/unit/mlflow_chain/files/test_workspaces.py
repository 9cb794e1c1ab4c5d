"""Files of workspaces behind a server, whose roots may not say the workspace."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from chain_client.hosts import Finding
from mlflow_chain.files.locations import Storage
from mlflow_chain.verifying.compare_files import FileComparison
from mlflow_chain.verifying.file_doubts import FileDoubts
from mlflow_chain.verifying.order import Stamp
from mlflow_chain.verifying.state import State

WITHIN = "mlflow-artifacts:/workspaces/team/5/r/artifacts"


@pytest.mark.parametrize("root", [WITHIN, "mlflow-artifacts:/5/r/artifacts"])
def test_the_files_of_a_workspace_are_found(tmp_path: Path, root: str) -> None:
    kept = tmp_path / "workspaces" / "team" / "5" / "r" / "artifacts"
    kept.mkdir(parents=True)
    (kept / "f.txt").write_bytes(b"f")
    state = State()
    stamp = Stamp(bytes(16), 0, 1, "boot", 1, 2, 1, 0)
    recorded = (1, hashlib.sha256(b"f").hexdigest())
    state.files[f"{WITHIN}/f.txt"].write(stamp, recorded)
    storage = Storage((str(tmp_path),), served=True)

    def kinds() -> list[str]:
        doubts = FileDoubts(state, storage, ())
        files = FileComparison(state, storage, doubts, lambda *step: None)
        found = files.compare({root: ("run r", False)})
        return [item.kind for item in found if isinstance(item, Finding)]

    assert kinds() == []
    (kept / "f.txt").write_bytes(b"g")
    (kept / "added").touch()
    assert kinds() == ["artifact_changed", "artifact_unexpected"]
    (kept / "f.txt").unlink()
    assert kinds() == ["artifact_missing", "artifact_unexpected"]
