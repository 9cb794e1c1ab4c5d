"""Reading files and folders that are about to be logged."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from mlflow_chain.files.hashing import FileDigest, digest_file
from mlflow_chain.files.logged import one_file, whole_folder


def test_what_cannot_be_read_in_a_folder_is_named_and_the_rest_is_hashed(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "sub" / "z").write_bytes(b"z")
    (tmp_path / "link").symlink_to("sub/z")
    (tmp_path / "nowhere").symlink_to("/nowhere")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    found = {
        file.name: (found.path, found.sha256) if isinstance(found, FileDigest) else found
        for file, found in whole_folder(str(tmp_path), "in")
    }
    assert found == {
        "a": ("in/a", hashlib.sha256(b"a").hexdigest()),
        "z": ("in/sub/z", hashlib.sha256(b"z").hexdigest()),
        "link": ("in/link", hashlib.sha256(b"z").hexdigest()),
        "nowhere": "in/nowhere",
        "loop": "in/loop",
        "pipe": "in/pipe",
    }


def test_nobody_waits_for_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no regular file"):
        digest_file(tmp_path / "pipe", "pipe")


@pytest.mark.parametrize("read", [one_file, whole_folder])
def test_what_is_not_there_is_left_to_mlflow(read: object, tmp_path: Path) -> None:
    assert callable(read)
    with pytest.raises(OSError, match="nothing"):
        read(str(tmp_path / "nothing"), "")
