"""What verification says of files, by what was recorded of them and what is there."""

from __future__ import annotations

from pathlib import Path

from mlflow_chain.files.locations import Storage
from tests.unit.mlflow_chain.files.history import History

ROOT = "mlflow-artifacts:/0/r/artifacts"


def kept(tmp_path: Path, *files: tuple[str, bytes]) -> Storage:
    """A server's storage with files of the run."""
    for path, data in files:
        file = tmp_path / "0" / "r" / "artifacts" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return Storage(str(tmp_path), served=True)


def test_a_name_that_looks_like_a_query_is_another_name(tmp_path: Path) -> None:
    history = History()
    history.uploaded(f"{ROOT}/model", "f", b"honest")
    history.uploaded(f"{ROOT}/model?x", "f", b"evil")
    history.uploaded(f"{ROOT}/model#x%20", "f", b"odd")
    storage = kept(tmp_path, ("model/f", b"honest"), ("model?x/f", b"evil"))
    kept(tmp_path, ("model#x%20/f", b"odd"))
    assert history.kinds(storage, ROOT) == []
    kept(tmp_path, ("model/f", b"evil"))
    assert history.kinds(storage, ROOT) == [("artifact_changed", "model/f")]
