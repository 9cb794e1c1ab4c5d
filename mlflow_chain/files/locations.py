"""Where files lie: one spelling for each place, so that records and listings meet. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from chain_client.hosts import StoreBinding

PROXIED = "mlflow-artifacts:"
"""Root of what a tracking server keeps for its clients, wherever it keeps it."""

_ROUTE = "/api/2.0/mlflow-artifacts/artifacts"
_WEB = ("http://", "https://")
_WORKSPACES = f"{PROXIED}/workspaces/"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_IGNORED = "".join(map(chr, range(0x21)))
_DROPPED = str.maketrans("", "", "\t\r\n")
"""What Python's parser of URIs takes no notice of."""


def to_location(uri: str) -> str:
    """The location of a root that MLflow, or somebody who calls it, names by URI or path.

    A location itself is never a URI: in it ``?``, ``#`` and ``%`` are parts of names. So what is
    one already must not come here again.

    Returns:
        a local one as its path, one behind a server as ``mlflow-artifacts:/…`` whichever way the
        server is called, any other with its scheme in small letters, and what nobody can read as
        a URI as it is.
    """
    if uri.startswith("/"):
        return posixpath.normpath(uri)
    uri = _in_small_letters(uri)
    try:
        path = urlsplit(uri).path
    except ValueError:
        # Anybody may have named it so; no file can be there.
        return uri
    if uri.startswith("file:"):
        return posixpath.normpath(unquote(path) or "/")
    if uri.startswith(PROXIED):
        return _proxied(path)
    if uri.startswith(_WEB):
        _, route, below = path.partition(_ROUTE)
        if route and (not below or below.startswith("/")):
            return _proxied(below)
    if "://" not in uri and not uri.startswith("dbfs:"):
        return posixpath.normpath(uri)
    return uri.rstrip("/")


def _in_small_letters(uri: str) -> str:
    """A URI as MLflow's parser reads it: blanks before it, and tabs and ends of lines in it, fall
    away, and the case of its scheme does not count."""
    read = uri.lstrip(_IGNORED).translate(_DROPPED)
    scheme, colon, rest = read.partition(":")
    return f"{scheme.lower()}:{rest}" if colon and _SCHEME.fullmatch(scheme) else uri


def tidy(location: str) -> str:
    """A location of a storage in the one spelling of all that may mean the same place to it.

    They may differ in the case of the host, in empty parts, in dots, and in what stands behind
    ``?`` or ``#``. Any other location is as it is.
    """
    scheme, colon, below = location.partition(":")
    if not colon or is_proxied(location) or not _SCHEME.fullmatch(scheme):
        return location
    below = re.split(r"[?#]", below, maxsplit=1)[0]
    host, _, path = below[2:].partition("/") if below.startswith("//") else ("", "", below)
    plain = posixpath.normpath("/" + path.lstrip("/"))
    return f"{scheme.lower()}://{host.lower()}{plain.rstrip('/')}" if host else f"{scheme}:{plain}"


def _proxied(path: str) -> str:
    below = posixpath.normpath("/" + path.lstrip("/"))
    return PROXIED if below == "/" else PROXIED + below


def is_proxied(location: str) -> bool:
    """Whether a location is behind a server."""
    return location == PROXIED or location.startswith(PROXIED + "/")


def is_path(location: str) -> bool:
    """Whether a location is on a file system, rather than behind a server or a service."""
    return location.startswith("/")


def join(root: str, path: str) -> str:
    """The location of ``path`` below ``root``."""
    return f"{root.rstrip('/')}/{posixpath.normpath(path)}" if path else root


def relative(root: str, location: str) -> str | None:
    """The path of a location below a root; None if it is not below it."""
    prefix = root.rstrip("/") + "/"
    return location[len(prefix) :] if location.startswith(prefix) else None


def upwards(location: str) -> Iterator[str]:
    """A location, and every folder that it lies in, the nearest one first."""
    folder = location
    while folder:
        yield folder
        shorter = folder.rpartition("/")[0]
        folder = shorter if shorter != folder else ""


def in_workspace(location: str, workspace: str) -> str | None:
    """Where a server looks for a location behind it when a member of a workspace asks.

    Args:
        location: one behind a server, or any other, which is what it is.
        workspace: of who asks; empty for the default one.

    Returns:
        the location; None if it lies in another workspace, which the server refuses.
    """
    if not workspace or not is_proxied(location):
        return location
    own = f"{_WORKSPACES}{workspace}"
    if location == own or location.startswith(f"{own}/"):
        return location
    if location == _WORKSPACES.rstrip("/") or location.startswith(_WORKSPACES):
        return None
    return own + location.removeprefix(PROXIED)


def without_workspace(location: str) -> tuple[str, str] | None:
    """A location behind a server as its workspace's members may spell it, and the prefix it lacks.

    A server puts what members of a workspace send it below ``workspaces/<name>``, also where the
    root that it gave them does not say so.
    """
    if not location.startswith(_WORKSPACES):
        return None
    name, _, below = location.removeprefix(_WORKSPACES).partition("/")
    return f"{PROXIED}/{below}", f"workspaces/{name}"


@dataclass(frozen=True, slots=True)
class Spot:
    """Where files can be read.

    Args:
        root: a location, or a server's destination.
        below: path below it.
        is_kept: whether the root is a server's destination.
    """

    root: str
    below: str = ""
    is_kept: bool = False


@dataclass(frozen=True, slots=True)
class Storage:
    """Where the files of one database's runs and models are kept.

    Args:
        destinations: where servers keep, or once kept, what they take for their clients, in the
            order in which they were first seen.
        tracking_uri: the server to ask for them, where the database is behind one itself.
        served: whether a server has it open, so that others than us write files.
    """

    destinations: tuple[str, ...] = ()
    tracking_uri: str | None = None
    served: bool = False

    @classmethod
    def of(cls, store: StoreBinding) -> Storage:
        """Where the files of a bound database are kept."""
        tracking_uri = store.uri if store.uri.startswith(_WEB) else None
        return cls(store.artifacts, tracking_uri, store.served)

    def spell(self, location: str) -> str:
        """The one spelling of a location: what lies at the server's is spelled as behind it."""
        if is_proxied(location):
            return location
        for destination in sorted(self.destinations, key=len, reverse=True):
            if location == destination:
                return PROXIED
            below = relative(destination, location)
            if below is not None:
                return f"{PROXIED}/{below}"
        return location

    def find(self, location: str) -> tuple[Spot, ...]:
        """Where a location is read without a server: in each destination; none if nobody knows."""
        if not is_proxied(location):
            return (Spot(location),)
        if self.destinations:
            below = location.removeprefix(PROXIED).lstrip("/")
            return tuple(Spot(destination, below, True) for destination in self.destinations)
        return (Spot(location),) if self.tracking_uri is not None else ()
