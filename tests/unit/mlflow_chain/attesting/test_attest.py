"""Attesting folders of files: what is read, and what is refused."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_client.errors import HostUnavailable, InvalidInput
from chain_client.events import Actor, Event, Json, OutcomeStatus, Subject, Timing, new_event_id
from chain_client.hosts import Recorded
from chain_client.types import SourceId
from mlflow_chain.attesting.attest import FilesChanged, attest
from mlflow_chain.attesting.fingerprints import fingerprint_of
from mlflow_chain.files import hashing, stored
from mlflow_chain.files.bracket import DELETED, LOGGED, UPLOADED
from mlflow_chain.files.canonical import canonical
from mlflow_chain.files.hashing import digest_file
from mlflow_chain.files.locations import PROXIED, Storage

NOTE = "model_name: fraud\nmodel_version: '3'\n"


def nothing(kind: str, subject_id: str, below: bool) -> Iterator[Event]:
    """A log that has nothing."""
    return iter(())


def log_of(*events: Event) -> Recorded:
    """A log of these."""

    def recorded(kind: str, subject_id: str, below: bool) -> Iterator[Event]:
        for event in events:
            subject = event.subject.id
            is_there = subject.startswith(subject_id) if below else subject == subject_id
            if event.subject.kind == kind and is_there:
                yield event

    return recorded


def event(number: int, type_: str, root: str, result: Json = None, **payload: Json) -> Event:
    """A recorded call of a repository, one after the other."""
    return Event(
        new_event_id(),
        type_,
        SourceId(bytes(16)),
        number,
        number * 1_000_000,
        OutcomeStatus.DONE,
        Subject("s", "artifacts", root),
        Actor(),
        Timing(number * 10, number * 10 + 1, number + 1),
        payload,
        result,  # type: ignore[arg-type]
    )


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with a model."""
    folder = tmp_path / "m" / "artifacts"
    (folder / "code").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}")
    (folder / "code" / "a.py").write_text("print(1)")
    (folder / "model.pkl").write_bytes(b"\x00" * 1000)
    return folder


def digest_of(folder: Path) -> bytes:
    """The digest of the files of a folder."""
    return attest(str(folder), Storage(), nothing).digest


def test_every_file_stands_in_the_manifest_also_hidden_ones(model: Path) -> None:
    (model / ".gitignore").write_text("*")
    found = attest(str(model), Storage(), nothing)
    assert [f["path"] for f in found.manifest] == [
        ".gitignore",
        "MLmodel",
        "code/a.py",
        "model.pkl",
    ]
    digest = digest_file(model / "model.pkl", "")
    assert found.manifest[3] == {"path": "model.pkl", "size": 1000, "sha256": digest.sha256}
    assert found.location == str(model)


@pytest.mark.parametrize("change", ["rename", "gitignore", "byte", "remove", "add"])
def test_any_change_gives_another_digest_and_another_fingerprint(model: Path, change: str) -> None:
    before, way = digest_of(model), fingerprint_of(str(model), Storage())
    if change == "rename":
        (model / "code" / "a.py").rename(model / "code" / "b.py")
    elif change == "gitignore":
        (model / ".gitignore").write_text("")
    elif change == "byte":
        (model / "model.pkl").write_bytes(b"\x00" * 999 + b"\x01")
    elif change == "remove":
        (model / "code" / "a.py").unlink()
    else:
        (model / "code" / "b.py").write_text("")
    assert digest_of(model) != before
    assert fingerprint_of(str(model), Storage()) != way


def test_a_file_that_is_put_back_with_its_old_time_has_another_fingerprint(model: Path) -> None:
    file = model / "model.pkl"
    way, status = fingerprint_of(str(model), Storage()), file.stat()
    file.write_bytes(b"\x01" * 1000)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert fingerprint_of(str(model), Storage()) != way


def test_a_symbolic_link_is_refused_by_name(model: Path) -> None:
    (model / "link.bin").symlink_to(model / "model.pkl")
    with pytest.raises(InvalidInput, match=r"'link\.bin'.*symbolic link"):
        digest_of(model)
    (model / "link.bin").unlink()
    (model / "linked").symlink_to(model / "code")
    with pytest.raises(InvalidInput, match=r"'linked'.*symbolic link"):
        digest_of(model)


def test_a_pipe_is_refused_without_waiting_for_it(model: Path) -> None:
    os.mkfifo(model / "pipe")
    with pytest.raises(InvalidInput, match="'pipe'"):
        digest_of(model)


def test_a_folder_without_files_and_one_that_is_gone_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty" / "sub").mkdir(parents=True)
    with pytest.raises(InvalidInput, match="no file below"):
        digest_of(tmp_path / "empty")
    with pytest.raises(InvalidInput, match="no folder"):
        digest_of(tmp_path / "gone")


def test_a_file_that_stands_in_place_of_the_folder_is_refused(model: Path) -> None:
    with pytest.raises(InvalidInput, match="no folder"):
        digest_of(model / "MLmodel")


def test_a_file_that_can_t_be_read_is_an_error_and_never_left_out(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = hashing.open_regular

    def deny(file: Path) -> object:
        if file.name == "model.pkl":
            raise PermissionError(13, "Permission denied")
        return whole(file)

    monkeypatch.setattr(hashing, "open_regular", deny)
    with pytest.raises(HostUnavailable, match=r"model\.pkl.*Permission denied"):
        digest_of(model)


def test_an_upload_that_is_not_finished_is_refused(model: Path) -> None:
    (model / ".artifact.uploading.abcd1234").write_bytes(b"half")
    with pytest.raises(InvalidInput, match="not finished"):
        digest_of(model)


def test_mlflow_s_own_note_of_a_load_is_no_file_of_the_version(model: Path) -> None:
    before, way = digest_of(model), fingerprint_of(str(model), Storage())
    (model / "registered_model_meta").write_text(NOTE)
    assert digest_of(model) == before
    assert fingerprint_of(str(model), Storage()) == way
    for more in ("more: 1\n", "# more\n", "...\n"):
        (model / "registered_model_meta").write_text(NOTE + more)
        assert digest_of(model) != before
        assert fingerprint_of(str(model), Storage()) != way
    (model / "registered_model_meta").unlink()
    (model / "code" / "registered_model_meta").write_text(NOTE)
    assert digest_of(model) != before


@pytest.mark.parametrize("name", ["fraud", "ä b", "x" * 200, "a " * 60, "😀 'q' #1", "1", "no"])
def test_a_note_of_any_model_as_mlflow_writes_it_is_one(model: Path, name: str) -> None:
    from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository

    before = digest_of(model)
    repository = object.__new__(ModelsArtifactRepository)
    repository.model_name, repository.model_version = name, "3"
    repository._add_registered_model_meta_file(str(model))
    assert (model / "registered_model_meta").exists()
    assert digest_of(model) == before


def test_files_that_change_while_they_are_read_are_refused(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = stored.StoredFiles.find
    lock = threading.Lock()
    count = 0

    def changing(files: stored.StoredFiles, path: str, version: str | None = None) -> object:
        nonlocal count
        with lock:
            count += 1
            (model / "model.pkl").write_bytes(bytes(count))
        return find(files, path, version)

    monkeypatch.setattr(stored.StoredFiles, "find", changing)
    with pytest.raises(FilesChanged, match="while they were read"):
        digest_of(model)


def test_files_that_changed_once_are_read_again(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = stored.StoredFiles.find
    lock = threading.Lock()
    done = False

    def changing(files: stored.StoredFiles, path: str, version: str | None = None) -> object:
        nonlocal done
        with lock:
            if not done:
                (model / "model.pkl").write_bytes(b"new")
            done = True
        return find(files, path, version)

    monkeypatch.setattr(stored.StoredFiles, "find", changing)
    found = attest(str(model), Storage(), nothing)
    assert {f["path"]: f["size"] for f in found.manifest}["model.pkl"] == 3
    assert found.fingerprint == fingerprint_of(str(model), Storage())


def logged(number: int, model: Path, name: str, root: str | None = None) -> Event:
    """A file that was logged as it is now."""
    found = digest_file(model / name, name)
    return event(number, LOGGED, root or str(model), files=[[name, found.size, found.sha256]])


def test_files_that_are_as_they_were_logged_are_attested(model: Path) -> None:
    upload = digest_file(model / "model.pkl", "")
    events = [
        logged(1, model, "MLmodel"),
        event(
            2,
            UPLOADED,
            str(model.parent),
            {"size": upload.size, "sha256": upload.sha256},
            path="artifacts/model.pkl",
        ),
    ]
    assert attest(str(model), Storage(), log_of(*events)).digest == digest_of(model)


def test_a_file_that_is_not_the_one_that_was_logged_is_refused_by_name(model: Path) -> None:
    log = log_of(logged(1, model, "model.pkl"), logged(2, model, "MLmodel"))
    (model / "model.pkl").write_bytes(b"swapped")
    with pytest.raises(FilesChanged, match=r"not those that were recorded.*'model\.pkl'"):
        attest(str(model), Storage(), log)


def test_a_recorded_file_that_is_gone_or_back_after_its_deletion_is_refused(model: Path) -> None:
    was_logged = logged(1, model, "model.pkl")
    with pytest.raises(FilesChanged, match=r"model\.pkl"):
        attest(
            str(model),
            Storage(),
            log_of(was_logged, event(2, DELETED, str(model), path="model.pkl")),
        )
    (model / "model.pkl").unlink()
    with pytest.raises(FilesChanged, match=r"model\.pkl"):
        attest(str(model), Storage(), log_of(was_logged))


def test_a_place_has_one_canonical_location_however_it_is_spelled(tmp_path: Path) -> None:
    (tmp_path / "kept" / "1").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    storage = Storage((str(tmp_path / "link"),))
    wanted = f"{PROXIED}/1/m"
    for spelling in (
        f"{PROXIED}/1/m",
        f"{PROXIED}/1//m/",
        f"{PROXIED}/x/../1/m",
        str(tmp_path / "kept" / "1" / "m"),
        str(tmp_path / "link" / "1" / "m"),
        f"{tmp_path}/link/../kept/1/./m",
    ):
        assert canonical(spelling, storage) == wanted
    assert canonical("s3://bucket/x", Storage(("s3://bucket",))) == f"{PROXIED}/x"
    assert canonical("s3://bucket/x", Storage()) == "s3://bucket/x"
