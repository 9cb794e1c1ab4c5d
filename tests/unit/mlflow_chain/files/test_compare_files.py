"""What verification says of files, by what was recorded of them and what is there."""

from __future__ import annotations

import os
import time
from pathlib import Path

from chain_client.events import Json, OutcomeStatus, Subject
from chain_client.hosts import Remark
from mlflow_chain.files.bracket import KIND, UPLOADED
from mlflow_chain.files.locations import Storage
from tests.unit.mlflow_chain.files.history import SERVER, History, digest

ROOT = "mlflow-artifacts:/0/r/artifacts"


def kept(tmp_path: Path, *files: tuple[str, bytes]) -> Storage:
    """A server's storage with files of the run."""
    for path, data in files:
        file = tmp_path / "0" / "r" / "artifacts" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return Storage((str(tmp_path),), served=True)


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


def test_a_server_that_was_started_elsewhere_once_hides_no_file(tmp_path: Path) -> None:
    history = History()
    first, second = tmp_path / "first", tmp_path / "second"
    history.uploaded(ROOT, "f", b"f", kept=str(first))
    kept(first, ("f", b"f"))
    for folders in ((first, second), (second, first), (first,)):
        assert history.kinds(Storage(tuple(map(str, folders)), served=True), ROOT) == []
    storage = Storage((str(first), str(second)), served=True)
    kept(second, ("g", b""))
    assert history.kinds(storage, ROOT) == [("artifact_unexpected", "g")]
    kept(first, ("f", b"g"))
    assert history.kinds(storage, ROOT)[0] == ("artifact_changed", "f")


def test_files_that_moved_with_their_server_are_compared_where_they_are(tmp_path: Path) -> None:
    history = History()
    first, second = tmp_path / "first", tmp_path / "second"
    storage = Storage((str(first), str(second)), served=True)
    for path in ("f", "g"):
        history.uploaded(ROOT, path, b"1", kept=str(first))
    kept(second, ("f", b"1"), ("g", b"1"))
    assert history.kinds(storage, ROOT) == []
    kept(first, ("f", b"1"), ("g", b"1"))
    history.uploaded(ROOT, "f", b"2", kept=str(second))
    kept(second, ("f", b"2"), ("g", b"x"))
    assert history.kinds(storage, ROOT) == [("artifact_changed", "g")]
    for folder in (first, second):
        (folder / "0" / "r" / "artifacts" / "f").unlink()
    assert history.kinds(storage, ROOT)[0] == ("artifact_missing", "f")


def test_of_an_upload_in_doubt_what_was_there_then_is_accepted_and_nothing_else(
    tmp_path: Path,
) -> None:
    history = History()
    history.uploaded(ROOT, "f", b"old")
    size, sha256 = digest(b"seen")
    seen: dict[str, Json] = {"size": size, "sha256": sha256}
    subject, unknown = Subject("s", KIND, ROOT), OutcomeStatus.UNDETERMINED
    history.add(SERVER, UPLOADED, subject, {"path": "f"}, unknown, detail=seen)
    for data in (b"old", b"seen"):
        assert history.kinds(kept(tmp_path, ("f", data)), ROOT) == []
    assert history.kinds(kept(tmp_path, ("f", b"odd")), ROOT) == [("artifact_changed", "f")]


def test_only_what_may_be_an_upload_under_way_is_left_out(tmp_path: Path) -> None:
    young, old, other, recorded = (
        f".artifact.uploading.{name}" for name in ("abcd_123", "abcd_124", "more", "abcd_125")
    )
    history = History()
    history.uploaded(ROOT, recorded, b"1")
    storage = kept(tmp_path, *((name, b"2") for name in (young, old, other, recorded)))
    long_ago = time.time() - 90_000
    os.utime(tmp_path / "0" / "r" / "artifacts" / old, (long_ago, long_ago))
    found = history.compare(storage, ROOT)
    assert history.kinds(storage, ROOT) == [
        ("artifact_changed", recorded),
        ("artifact_unexpected", other),
    ]
    assert [item.subject for item in found if isinstance(item, Remark)] == [
        f"run r/artifact {old}",
        "1 file",
    ]
