"""The canonical location: one spelling for each place, with symbolic links followed."""

from __future__ import annotations

import os
import posixpath

from mlflow_chain.files.locations import PROXIED, Storage, is_path, is_proxied, join, tidy


def canonical(location: str, storage: Storage) -> str:
    """The one spelling of a location, also where symbolic links or several roots lead to it.

    Args:
        location: as `files.locations.to_location` gives it.
        storage: where servers keep, or once kept, what they take.
    """
    if is_proxied(location):
        below = posixpath.normpath("/" + location.removeprefix(PROXIED).lstrip("/"))
        location = PROXIED if below == "/" else PROXIED + below
    path = local_path(location, storage)
    if path is not None:
        return _real(storage).spell(path)
    return Storage(tuple(map(tidy, storage.destinations))).spell(tidy(location))


def local_path(location: str, storage: Storage) -> str | None:
    """The path of a location on this machine, every symbolic link followed; None if elsewhere.

    What lies behind a server is looked for where it was kept last.
    """
    if is_path(location):
        return os.path.realpath(location)
    spots = storage.find(location) if is_proxied(location) else ()
    if not spots or not is_path(spots[-1].root):
        return None
    return os.path.realpath(join(spots[-1].root, spots[-1].below))


def _real(storage: Storage) -> Storage:
    return Storage(tuple(os.path.realpath(d) if is_path(d) else d for d in storage.destinations))
