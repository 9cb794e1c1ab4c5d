"""Where files lie: one spelling for each place, so that records and listings meet. Pure."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from chain_client.hosts import StoreBinding

PROXIED = "mlflow-artifacts:"
"""Root of what a tracking server keeps for its clients, wherever it keeps it."""

_ROUTE = "/api/2.0/mlflow-artifacts/artifacts"
_WEB = ("http://", "https://")
_WORKSPACES = f"{PROXIED}/workspaces/"


def to_location(uri: str) -> str:
    """A root or file as a location.

    Returns:
        a local one as its path, one behind a server as ``mlflow-artifacts:/…`` whichever way the
        server is called, any other as its URI.
    """
    if uri.startswith("file:"):
        return posixpath.normpath(unquote(urlsplit(uri).path) or "/")
    if uri.startswith(PROXIED):
        return _proxied(urlsplit(uri).path)
    if uri.startswith(_WEB):
        path = urlsplit(uri).path
        _, route, below = path.partition(_ROUTE)
        if route and (not below or below.startswith("/")):
            return _proxied(below)
    if "://" not in uri and not uri.startswith("dbfs:"):
        return posixpath.normpath(uri)
    return uri.rstrip("/")


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
class Storage:
    """Where the files of one database's runs and models are kept.

    Args:
        destination: where a server keeps what it takes for its clients; None if nobody knows.
        tracking_uri: the server to ask for them, where the database is behind one itself.
        served: whether a server has it open, so that others than us write files.
    """

    destination: str | None = None
    tracking_uri: str | None = None
    served: bool = False

    @classmethod
    def of(cls, store: StoreBinding) -> Storage:
        """Where the files of a bound database are kept."""
        tracking_uri = store.uri if store.uri.startswith(_WEB) else None
        return cls(store.artifacts, tracking_uri, store.served)

    def spell(self, location: str) -> str:
        """The one spelling of a location: what lies at the server's is spelled as behind it."""
        known = to_location(location)
        if self.destination is None or is_proxied(known):
            return known
        if known == self.destination:
            return PROXIED
        below = relative(self.destination, known)
        return known if below is None else f"{PROXIED}/{below}"

    def find(self, location: str) -> str | None:
        """Where a location is read without a server; None if nobody knows."""
        known = to_location(location)
        if not is_proxied(known):
            return known
        if self.destination is not None:
            return join(self.destination, known.removeprefix(PROXIED).lstrip("/"))
        return known if self.tracking_uri is not None else None
