"""Where files lie: one spelling for each place, so that records and listings meet. Pure."""

from __future__ import annotations

import posixpath
from urllib.parse import unquote, urlsplit


def to_location(uri: str) -> str:
    """A root or file as a location: a local one as absolute path, any other as its URI."""
    if uri.startswith("file:"):
        return posixpath.normpath(unquote(urlsplit(uri).path) or "/")
    if "://" not in uri and not uri.startswith(("mlflow-artifacts:", "dbfs:")):
        return posixpath.normpath(uri)
    return uri.rstrip("/")


def join(root: str, path: str) -> str:
    """The location of ``path`` below ``root``."""
    return f"{root.rstrip('/')}/{posixpath.normpath(path)}" if path else root


def relative(root: str, location: str) -> str | None:
    """The path of a location below a root; None if it is not below it."""
    prefix = root.rstrip("/") + "/"
    return location[len(prefix) :] if location.startswith(prefix) else None
