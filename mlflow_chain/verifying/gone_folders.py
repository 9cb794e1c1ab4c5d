"""Folders with nothing of what was recorded below them: renamed, or on a volume not mounted."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator

from chain_client.hosts import Remark
from mlflow_chain.files.locations import is_path, join, upwards
from mlflow_chain.verifying.file_root import FileRoot
from mlflow_chain.verifying.order import ABSENT


def find_gone_folders(roots: Iterable[FileRoot]) -> Iterator[Remark]:
    """A remark for each folder below which no file of any root is there, though some must be.

    Of one root beside others that are there it says nothing: no volume is as small. Nor does it
    of one whose folder is there, and only the files are not.
    """
    gone: dict[str, FileRoot] = {}
    present: set[str] = set()
    for root in roots:
        must = [path for path, register in root.expected.items() if _must(register.values())]
        places = [files.root for files in root.copies]
        if not must or not places or not all(map(is_path, places)):
            continue
        if any(_is_there(join(place, path)) for path in must for place in places):
            present.update(folder for place in places for folder in upwards(place))
        else:
            gone[places[-1]] = root
    together: defaultdict[str, list[str]] = defaultdict(list)
    for place in gone:
        top = place
        for folder in upwards(place):
            if folder in present:
                break
            top = folder
        together[top].append(place)
    for places in together.values():
        if len(places) > 1 or not (present or os.path.lexists(places[0])):
            files = "files of 1 root" if len(places) == 1 else f"files of {len(places)} roots"
            text = f"nothing that was recorded below {_name(places)} is there; is it mounted?"
            yield Remark(files, text)


def _must(values: list[object]) -> bool:
    return bool(values) and ABSENT not in values


def _is_there(path: str) -> bool:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        # Whoever may not look can't say that it is gone.
        return True
    return True


def _name(places: list[str]) -> str:
    """The topmost folder that is not there; if all are, the one around the places."""
    around = os.path.commonpath(places)
    name = around
    for folder in upwards(around):
        if os.path.lexists(folder):
            break
        name = folder
    return name
