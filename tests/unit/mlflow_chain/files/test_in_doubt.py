"""What became of uploads whose server died, by what is there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from chain_client.errors import HostUnavailable
from chain_client.events import Actor, Event, Json, OutcomeStatus, Subject, Timing, new_event_id
from chain_client.types import SourceId
from mlflow_chain.files.bracket import KIND, READ_BACK, UPLOADED
from mlflow_chain.files.hashing import version_of
from mlflow_chain.files.in_doubt import FilesInDoubt
from mlflow_chain.files.locations import Storage

Act = Callable[[Path], None]


def event(type_: str, payload: dict[str, Json], root: str = "mlflow-artifacts:/0/r") -> Event:
    """An intent without an outcome."""
    return Event(
        new_event_id(),
        type_,
        SourceId(bytes(16)),
        0,
        1,
        OutcomeStatus.UNDETERMINED,
        Subject("s", KIND, root),
        Actor(),
        Timing(1),
        payload,
    )


def replace(file: Path) -> None:
    """As MLflow publishes: another file by the same name."""
    staged = file.with_name("staged")
    staged.write_bytes(b"new")
    staged.replace(file)


@pytest.mark.parametrize(
    ("before", "act", "status"),
    [
        (b"old", lambda file: None, OutcomeStatus.NOT_APPLIED),
        (b"old", replace, OutcomeStatus.UNDETERMINED),
        (b"old", Path.unlink, OutcomeStatus.UNDETERMINED),
        (None, lambda file: None, OutcomeStatus.NOT_APPLIED),
        (None, replace, OutcomeStatus.UNDETERMINED),
    ],
)
def test_a_streamed_upload_is_told_from_the_file_before_it(
    tmp_path: Path, before: bytes | None, act: Act, status: OutcomeStatus
) -> None:
    file = tmp_path / "0" / "r" / "f.bin"
    file.parent.mkdir(parents=True)
    if before is not None:
        file.write_bytes(before)
    version = version_of(file)
    payload: dict[str, Json] = {
        "path": "f.bin",
        "replaces": None if version is None else list(version),
    }
    act(file)
    found = FilesInDoubt(Storage((str(tmp_path),))).resolve(event(UPLOADED, payload))
    assert found.status is status
    # It may be of another upload, or of somebody else: only what is there is said.
    expected = {"size": 3, "sha256": hashlib.sha256(b"new").hexdigest(), "read_back": True}
    assert (found.result, found.detail) == (None, expected if act is replace else None)


def test_where_nothing_tells_them_apart_the_leaf_says_only_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "0" / "r").mkdir(parents=True)
    in_doubt = FilesInDoubt(Storage((str(tmp_path),)))
    asked = event(UPLOADED, {"path": "f.bin", "parts": 2})
    assert in_doubt.resolve(asked).status is OutcomeStatus.NOT_APPLIED
    (tmp_path / "0" / "r" / "f.bin").write_bytes(b"new")
    found = in_doubt.resolve(asked)
    assert found.status is OutcomeStatus.UNDETERMINED
    assert found.detail is not None
    assert found.detail["sha256"] == hashlib.sha256(b"new").hexdigest()


def test_a_read_back_that_died_claims_nothing() -> None:
    found = FilesInDoubt(Storage()).resolve(event(READ_BACK, {}))
    assert found.status is OutcomeStatus.NOT_APPLIED


def test_nobody_guesses_while_the_storage_is_unknown() -> None:
    with pytest.raises(HostUnavailable, match="where the server keeps"):
        FilesInDoubt(Storage()).resolve(event(UPLOADED, {"path": "f", "replaces": None}))


def test_an_upload_is_looked_for_where_its_server_kept_it(tmp_path: Path) -> None:
    storage = Storage((str(tmp_path / "first"), str(tmp_path / "second")))
    payload: dict[str, Json] = {"path": "f", "replaces": None, "kept": str(tmp_path / "first")}
    with pytest.raises(HostUnavailable, match="is not there"):
        FilesInDoubt(storage).resolve(event(UPLOADED, payload))
    new = FilesInDoubt(storage).resolve(event(UPLOADED, {**payload, "kept_is_new": True}))
    assert new.status is OutcomeStatus.NOT_APPLIED
    (tmp_path / "second" / "0" / "r").mkdir(parents=True)
    (tmp_path / "second" / "0" / "r" / "f").touch()
    (tmp_path / "first").mkdir()
    found = FilesInDoubt(storage).resolve(event(UPLOADED, payload))
    assert found.status is OutcomeStatus.NOT_APPLIED
    with pytest.raises(HostUnavailable, match="where the server keeps"):
        FilesInDoubt(storage).resolve(event(UPLOADED, {"path": "f", "replaces": None}))
