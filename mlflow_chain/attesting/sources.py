"""Which sources of versions name one place, whoever reads them. Pure.

MLflow parses a source in many ways: it decodes it or not, ignores the case of its scheme, and drops
blanks and what stands behind ``?``. Only what all of them read the same can be attested, so this
is a list of what is allowed; all else is refused.
"""

from __future__ import annotations

import posixpath
import re
from typing import Final
from urllib.parse import unquote, urlsplit

from mlflow_chain.files.locations import PROXIED

_SCHEME: Final = re.compile(r"\s*([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_STORAGE: Final = re.compile(r"[a-z][a-z0-9+.-]*:/")
_BY_NAME: Final = frozenset({"runs", "models"})
_WEB: Final = frozenset({"http", "https"})
_OTHERS: Final = _BY_NAME | _WEB | {"file", PROXIED.rstrip(":")}


def why_unclear(uri: str) -> str | None:
    """Why a source may mean several places, for people; None if it means one.

    Allowed are an absolute path, ``file:///…``, ``mlflow-artifacts:/…`` without a server, and
    ``scheme://…`` or ``scheme:/…`` of a storage; each in one spelling.

    Args:
        uri: where a version says that its files are.
    """
    if not uri.isprintable() or uri != uri.strip() or "\\" in uri:
        return "has blanks around it, a backslash, or characters that can't be seen"
    found = _SCHEME.match(uri)
    scheme = "" if found is None else found[1].lower()
    if scheme in _BY_NAME:
        return (
            f"is {uri}: what that means can be changed later; register it from the logged model "
            "(models:/m-…), or with mlflow.register_model, which stores where the files are"
        )
    if scheme in _WEB or uri.lower().startswith(f"{PROXIED}//"):
        return (
            "names a server by its address; register it from mlflow-artifacts:/… without one, so "
            "that every client reads the same files"
        )
    if uri.startswith("/"):
        return _why_path(uri)
    try:
        parts = urlsplit(uri)
    except ValueError:
        return "is no URI"
    if any(mark in uri for mark in "?#;"):
        return "has '?', '#' or ';' in it, which storages take in different ways"
    if uri.startswith("file:///"):
        # MLflow decodes it once.
        return _why_path(unquote(parts.path))
    if uri.startswith(f"{PROXIED}/"):
        return _why_path(parts.path)
    if _STORAGE.match(uri) and scheme not in _OTHERS:
        if parts.netloc != parts.netloc.lower():
            return "has capitals in the name of its host or bucket"
        return _why_path(parts.path or "/")
    return "is neither an absolute path nor a URI that is known, in small letters"


def _why_path(path: str) -> str | None:
    if ".." in path.split("/"):
        return "has '..' in it"
    if path.startswith("//") or posixpath.normpath(path) != path:
        return "has '//', '/.' or '/' at its end, so that it is no plain path"
    if unquote(path) != path:
        return "has an encoded character (%…), which MLflow decodes here and there"
    return None
