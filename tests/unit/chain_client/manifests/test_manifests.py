"""The identity of a model's bytes, against its definition and against OpenSSF's own tool."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_client.errors import InvalidInput
from chain_client.manifests import FileEntry, ModelManifest, model_digest, openssf_root

EMPTY = hashlib.sha256(b"").hexdigest()
GOLDEN = "bfbc12c5a3eea6ca87c4b09f7a26997f33d3fbfcde9523c8bb0605851f1aecf9"


def entry(path: str, content: bytes = b"") -> FileEntry:
    """A file of that content."""
    return FileEntry(path, len(content), hashlib.sha256(content).hexdigest())


def of_folder(folder: Path) -> ModelManifest:
    """The manifest of every file below a folder."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return ModelManifest.of(
        entry(file.relative_to(folder).as_posix(), file.read_bytes()) for file in files
    )


def test_the_digest_is_the_sha256_of_the_files_as_canonical_json() -> None:
    manifest = ModelManifest.of([entry("b/ä.txt", b"2"), entry("a", b"1")])
    files = [
        {"path": "a", "sha256": hashlib.sha256(b"1").hexdigest(), "size": 1},
        {"path": "b/ä.txt", "sha256": hashlib.sha256(b"2").hexdigest(), "size": 1},
    ]
    text = json.dumps(files, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    assert model_digest(manifest) == hashlib.sha256(text.encode()).digest()


def test_the_digest_of_a_published_manifest_stays_what_it_is() -> None:
    manifest = ModelManifest.of([FileEntry("MLmodel", 0, EMPTY), FileEntry("model.pkl", 0, EMPTY)])
    assert model_digest(manifest).hex() == GOLDEN


def test_a_rename_changes_the_digest_though_openssf_does_not_see_it() -> None:
    before = ModelManifest.of([entry("a.bin", b"1"), entry("b.bin", b"2")])
    after = ModelManifest.of([entry("a.bin", b"1"), entry("c.bin", b"2")])
    assert model_digest(before) != model_digest(after)
    assert openssf_root(before.files) == openssf_root(after.files)


@pytest.mark.parametrize("added", [".gitignore", ".gitattributes", ".git/config", ".github/x.yml"])
def test_an_added_git_file_changes_the_digest_though_openssf_leaves_it_out(added: str) -> None:
    before = ModelManifest.of([entry("MLmodel", b"1")])
    after = ModelManifest.of([entry("MLmodel", b"1"), entry(added, b"*")])
    assert model_digest(before) != model_digest(after)
    assert openssf_root(before.files) == openssf_root(after.files)


def test_the_openssf_root_is_what_its_own_tool_computes(tmp_path: Path) -> None:
    from model_signing import hashing

    names = ["MLmodel", "a/b", "a-b", "a.b", "a/b-c/d", "Z", ".hidden", "sub/.gitignore", "ä"]
    for name in (*names, ".gitignore", ".gitattributes", ".git/HEAD", ".github/w.yml"):
        file = tmp_path / "model" / name
        file = file.with_name(file.name + "_") if file.is_dir() else file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode())
    hasher = hashlib.sha256()
    config: Any = hashing.Config
    for resource in config().hash(tmp_path / "model").resource_descriptors():
        hasher.update(resource.digest.digest_value)
    assert openssf_root(of_folder(tmp_path / "model").files) == hasher.digest()


@given(st.permutations([entry("a"), entry("a/b"), entry("a-b"), entry("B", b"1"), entry("é")]))
def test_the_order_in_which_files_are_found_does_not_matter(files: list[FileEntry]) -> None:
    manifest = ModelManifest.of(files)
    assert [f.path for f in manifest.files] == ["B", "a", "a-b", "a/b", "é"]
    assert ModelManifest.from_json(manifest.to_json()) == manifest


@pytest.mark.parametrize(
    "path", ["", "/a", "../a", "a/../b", "a//b", "./a", "a/", ".", "..", "bad\udcff"]
)
def test_a_path_that_names_no_file_below_the_root_is_refused(path: str) -> None:
    with pytest.raises(InvalidInput):
        ModelManifest.of([entry(path)])


@pytest.mark.parametrize(
    "files",
    [
        [],
        [entry("a"), entry("a", b"1")],
        [FileEntry("a", -1, EMPTY)],
        [FileEntry("a", 0, EMPTY.upper())],
        [FileEntry("a", 0, "no regular file")],
    ],
)
def test_what_is_no_manifest_is_refused(files: list[FileEntry]) -> None:
    with pytest.raises(InvalidInput):
        ModelManifest.of(files)


def test_a_stored_manifest_in_another_order_is_refused() -> None:
    stored = [entry("b").to_json(), entry("a").to_json()]
    with pytest.raises(InvalidInput, match="order"):
        ModelManifest.from_json(stored)
    with pytest.raises(InvalidInput, match="manifest"):
        ModelManifest.from_json([{"path": "a"}])
