"""A folder into which others may write: nothing in it is followed, waited for, or believed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chain_client.errors import SpoolUnavailable
from chain_client.spool import Corruption, Kind, keep_aside
from chain_client.spool.opening import find_odd, write_into
from tests.unit.chain_client.spool.journals import make_source

MINE = "years of work"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A file that is nobody else's, in a folder of its own."""
    path = tmp_path / "mine" / "thesis.txt"
    path.parent.mkdir()
    path.write_text(MINE)
    return path


def test_damaged_bytes_are_not_kept_where_a_link_leads(tmp_path: Path, mine: Path) -> None:
    source = make_source(tmp_path / "inbox", [(Kind.NOTE, 0, 1, b"body")])
    (tmp_path / "inbox" / "corrupt").symlink_to(mine.parent)
    with pytest.raises(SpoolUnavailable):
        keep_aside(source, Corruption(0, 0, 10, "damaged"))
    assert list(mine.parent.iterdir()) == [mine]


@pytest.mark.parametrize("put", [Path.symlink_to, Path.hardlink_to])
@pytest.mark.parametrize("name", ["copy", "copy.{pid}"])
def test_what_is_written_replaces_a_link_and_not_what_it_leads_to(
    tmp_path: Path, mine: Path, put: object, name: str
) -> None:
    folder = tmp_path / "corrupt"
    folder.mkdir()
    assert callable(put)
    put(folder / name.format(pid=os.getpid()), mine)
    write_into(folder, "copy", b"damaged")
    assert mine.read_text() == MINE
    assert (folder / "copy").read_bytes() == b"damaged"
    assert [path.name for path in folder.iterdir()] == ["copy"]


def test_a_pipe_under_the_name_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / f"copy.{os.getpid()}")
    write_into(tmp_path, "copy", b"damaged")
    assert (tmp_path / "copy").read_bytes() == b"damaged"


def test_more_than_somebody_reads_is_odd_in_one_file_and_in_all(tmp_path: Path) -> None:
    for number in range(3):
        path = tmp_path / f"{number:08d}.spool"
        path.touch()
        os.truncate(path, 1000)
    assert find_odd(tmp_path, at_most_bytes=1000, in_all_bytes=3000) is None
    assert "1,000 bytes" in str(find_odd(tmp_path, at_most_bytes=999, in_all_bytes=3000))
    assert "more than 2,999" in str(find_odd(tmp_path, at_most_bytes=1000, in_all_bytes=2999))
