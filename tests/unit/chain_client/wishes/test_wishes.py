"""Wishes on disk."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from chain_client.errors import HomeNotWritable
from chain_client.wishes import Wish, Wishes

WISH = Wish("store", {"run": "r"}, "ab" * 16, 7)


def test_what_is_put_is_read_until_it_is_removed(tmp_path: Path) -> None:
    wishes = Wishes(tmp_path / "read-back")
    assert wishes.read() == []
    for _ in range(2):
        wishes.put(WISH)
    assert wishes.read() == [WISH]
    assert dict(wishes.by_store()) == {"store": [{"run": "r"}]}
    (file,) = (tmp_path / "read-back").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for _ in range(2):
        wishes.remove(WISH)
    assert wishes.read() == []


def test_a_later_call_wishes_by_itself_and_a_try_is_noted_in_place(tmp_path: Path) -> None:
    wishes = Wishes(tmp_path / "read-back")
    later = replace(WISH, sequence=8)
    wishes.put(WISH)
    wishes.put(later)
    wishes.put(replace(WISH, tries=1, not_before_us=5))
    wishes.remove(later)
    assert wishes.read() == [replace(WISH, tries=1, not_before_us=5)]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"store_id": "s", "wanted": {}}'])
def test_a_file_that_is_no_wish_is_passed_over(tmp_path: Path, content: str) -> None:
    wishes = Wishes(tmp_path)
    wishes.put(WISH)
    (tmp_path / f"{'0' * 40}.json").write_text(content)
    assert wishes.read() == [WISH]


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HomeNotWritable, match="can't be written"):
        Wishes(tmp_path / "file").put(WISH)
