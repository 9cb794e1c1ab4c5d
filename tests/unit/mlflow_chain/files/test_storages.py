"""Storages that tell of their files by themselves: what is believed, and what never is."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from chain_client.artifact_stores import StoredObject
from chain_client.errors import ConfigurationError, HostUnavailable, InvalidInput
from chain_client.events import Event
from chain_client.plugin_host import PluginHost, using_plugin_host
from chain_client.types import Digest
from mlflow_chain.attesting.attest import FilesChanged, attest
from mlflow_chain.attesting.fingerprints import LISTED, VERSIONS, fingerprint_of
from mlflow_chain.files.locations import Spot, Storage
from mlflow_chain.files.storages import copy_told
from mlflow_chain.files.stored import FileUnreadable, StoredFiles
from tests.unit.mlflow_chain.files.told_plugin import Told

ROOT = "told://shelf/model"


def plugin(name: str = "told", module: str = "told_plugin") -> EntryPoint:
    """An entry point of this folder."""
    return EntryPoint(name, f"tests.unit.mlflow_chain.files.{module}", "mlops_chain")


@pytest.fixture(autouse=True)
def _shelf(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(Told, "files", {"MLmodel": [b"flavors: {}\n"], "data.bin": [b"approved"]})
    monkeypatch.setattr(Told, "instead", {})
    monkeypatch.setattr(Told, "opened", [])
    with using_plugin_host(PluginHost(lambda: [plugin()])):
        yield


@pytest.fixture
def files() -> StoredFiles:
    """Of the storage."""
    return StoredFiles(Spot(ROOT))


def nothing(kind: str, subject_id: str, below: bool) -> Iterator[Event]:
    """What the log has."""
    return iter(())


def test_a_digest_that_the_storage_holds_is_taken_and_counted(files: StoredFiles) -> None:
    assert files.find("data.bin") == (8, hashlib.sha256(b"approved").hexdigest())
    assert Told.opened == []
    assert files.told == 1
    assert files.find("gone") is None


def test_what_has_no_digest_is_read_in_the_very_version_that_was_found(
    files: StoredFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Told, "holds_digests", False)
    assert files.find("data.bin") == (8, hashlib.sha256(b"approved").hexdigest())
    assert Told.opened == [("data.bin", "v0")]
    assert files.told == 0


def test_a_file_is_read_up_to_a_length(files: StoredFiles) -> None:
    assert files.read("data.bin", 8) == b"approved"
    assert files.read("data.bin", 7) is None
    assert files.read("gone", 7) is None


def test_attesting_binds_versions_and_reads_no_other_ones() -> None:
    Told.files["data.bin"].append(b"newest")
    found = attest(ROOT, Storage(), nothing)
    assert found.versions == ("v0", "v1")
    assert found.tells_changes
    assert found.fingerprint == fingerprint_of(ROOT, Storage())
    assert found.fingerprint[0] == VERSIONS  # type: ignore[index]
    Told.files["data.bin"].append(b"newest")
    assert found.fingerprint != fingerprint_of(ROOT, Storage()), "equal bytes, another version"
    Told.files["data.bin"].pop()
    Told.files["data.bin"].append(b"")
    del Told.files["data.bin"]
    assert found.fingerprint != fingerprint_of(ROOT, Storage())


def test_files_that_get_new_versions_while_they_are_read_are_not_attested() -> None:
    def changing(path: str, version: str | None) -> StoredObject:
        Told.files["data.bin"].append(b"more")
        return Told(ROOT)._told(path, version)

    Told.instead["find"] = changing
    with pytest.raises(FilesChanged, match="while they were read"):
        attest(ROOT, Storage(), nothing)


def test_one_file_without_a_version_makes_names_and_sizes_the_fingerprint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = list(Told(ROOT).list())
    Told.instead["list"] = lambda: [whole[0], StoredObject("data.bin", 8)]
    found = attest(ROOT, Storage(), nothing)
    assert found.fingerprint[0] == LISTED  # type: ignore[index]
    assert found.versions == ()
    assert not found.tells_changes


def test_a_fingerprint_is_made_as_the_one_it_is_compared_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    versions = fingerprint_of(ROOT, Storage())
    monkeypatch.setattr(Told, "keeps_versions", False)
    listing = fingerprint_of(ROOT, Storage())
    monkeypatch.setattr(Told, "keeps_versions", True)
    assert fingerprint_of(ROOT, Storage(), listing) == listing
    assert fingerprint_of(ROOT, Storage(), versions) == versions
    with (
        using_plugin_host(PluginHost(lambda: [])),
        pytest.raises(HostUnavailable, match="no plugin"),
    ):
        fingerprint_of(ROOT, Storage(), versions)


def test_a_path_that_is_none_is_not_attested() -> None:
    for path in ("../evil", "a//b", "/etc/passwd", ""):
        Told.files[path] = [b"x"]
        with pytest.raises(InvalidInput):
            attest(ROOT, Storage(), nothing)
        del Told.files[path]


def breaks(*_: Any) -> Any:
    """A plugin's own error; its words may hold what nobody should see."""
    raise ConnectionError("token s3cr3t")


ANSWERS: dict[str, Callable[..., Any]] = {
    "raises": breaks,
    "no object": lambda *_: "data.bin",
    "short digest": lambda *_: StoredObject("data.bin", 8, "v0", Digest(b"short")),
    "text for a digest": lambda *_: StoredObject("data.bin", 8, "v0", "0" * 64),  # type: ignore[arg-type]
    "negative size": lambda *_: StoredObject("data.bin", -1, "v0"),
    "no version": lambda *_: StoredObject("data.bin", 8, ""),
    "other size": lambda *_: StoredObject("data.bin", 9, "v0"),
    "other version": lambda *_: StoredObject("data.bin", 8, "v1", Digest(bytes(32))),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_no_wrong_answer_becomes_a_digest(files: StoredFiles, answer: str) -> None:
    Told.instead["find"] = ANSWERS[answer]
    with pytest.raises(FileUnreadable) as caught:
        files.find("data.bin", "v0")
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("answer", ["raises", "no object", "negative size", "no version"])
def test_no_wrong_answer_becomes_a_listing(files: StoredFiles, answer: str) -> None:
    Told.instead["list"] = lambda: [ANSWERS[answer]()]
    with pytest.raises(HostUnavailable):
        files.list()


class Broken(io.BytesIO):
    """A stream that ends with an error."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Some bytes; then no more."""
        return super().read(4) or breaks()


def test_a_stream_that_breaks_is_no_shorter_file(
    files: StoredFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Told, "holds_digests", False)
    Told.instead["open"] = lambda *_: Broken(b"approved")
    with pytest.raises(FileUnreadable):
        files.find("data.bin")
    with pytest.raises(FileUnreadable):
        files.read("data.bin", 100)
    with pytest.raises(HostUnavailable):
        copy_told(Told(ROOT), "data.bin", "v0", 8, io.BytesIO())


def test_a_copy_never_takes_more_than_one_byte_too_many() -> None:
    Told.files["data.bin"] = [b"x" * 1_000]
    target = io.BytesIO()
    assert copy_told(Told(ROOT), "data.bin", "v0", 8, target)
    assert target.getvalue() == b"x" * 9
    assert not copy_told(Told(ROOT), "gone", "v0", 8, target)


def test_a_scheme_of_two_plugins_is_read_by_none(files: StoredFiles) -> None:
    both = [plugin("one"), plugin("two")]
    with using_plugin_host(PluginHost(lambda: both)):
        with pytest.raises(HostUnavailable, match="more than one plugin opens 'told:'"):
            files.list()
        with pytest.raises(FileUnreadable, match=r"one of .* two of"):
            StoredFiles(Spot(ROOT)).find("data.bin")


def test_a_plugin_that_refuses_the_location_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(store: Told, location: str) -> None:
        raise ConfigurationError("expected told://shelf")

    monkeypatch.setattr(Told, "__init__", refuse)
    with pytest.raises(HostUnavailable, match="expected told://shelf"):
        StoredFiles(Spot(ROOT)).list()


@pytest.mark.parametrize("root", ["/folder", "other://shelf", "told://shelf?x", "told://shelf#x"])
def test_what_no_plugin_takes_or_mlflow_would_cut_is_read_by_mlflow(root: str) -> None:
    assert StoredFiles(Spot(root, "a?b")).store is None


def test_marks_in_what_lies_below_the_root_are_parts_of_names() -> None:
    store: Any = StoredFiles(Spot("told://shelf", "a?b#c%20d")).store
    assert store.location == "told://shelf/a?b#c%20d"
