"""Addresses of databases, servers, files and keys as people and records may see them. Pure."""

from __future__ import annotations

import re

from chain_client.errors import ConfigurationError

_HIDDEN = "***"

_AUTHORITY = re.compile(r"[a-z][a-z0-9+.:-]*://", re.IGNORECASE)
_ODD_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:/?", re.IGNORECASE)
_PASSWORD = re.compile(r"([^/:]*):(.*)@", re.DOTALL)
_PORT = re.compile(r"[^/:]*:[0-9]*(/|\?|$)")
_USER = re.compile(r"[^/:?]*@")
_USERINFO = re.compile(r"[^/?#]*@")

_CONTAINERS = ("abfs://", "abfss://", "wasb://", "wasbs://")
"""Where a container's name stands in the place of a user's."""

_WEB = ("http://", "https://")

_DIGITS = re.compile(r"[0-9a-f]{48,}(?![0-9a-f.])", re.IGNORECASE)
"""More than an address has (40), perhaps cut short when it was copied, and no name of a file."""

_FEWEST_WORDS = 12
"""Of a seed phrase (BIP 39)."""


def to_shown_uri(uri: str) -> str:
    """For people: password, token and query are masked, also of a URI that is not well-formed.

    Where it is not clear what is the password, rather too much is masked. It can't tell two places
    apart; for that see `without_userinfo`.

    Example:
        >>> to_shown_uri("postgresql://me:hunter2@db/mlflow?sslpassword=hunter3")
        'postgresql://me:***@db/mlflow?***'
    """
    start, rest = _split(uri)
    is_web = start.lower().endswith(_WEB)
    # Anywhere but on the web a password may hold `/`, `?` and `@`, as SQLAlchemy reads it.
    password = None if is_web and _PORT.match(rest) else _PASSWORD.match(rest)
    if password is not None:
        rest = f"{password.group(1)}:{_HIDDEN}@{rest[password.end() :]}"
    if start.endswith("://") and not start.lower().endswith(_CONTAINERS):
        user = _USER.match(rest)
        rest = rest if user is None else f"{_HIDDEN}@{rest[user.end() :]}"
    address, query, _ = rest.partition("?")
    return start + address + (query and f"?{_HIDDEN}")


def without_userinfo(uri: str) -> str:
    """For records: the same place, without user name and password; all else stays as it is.

    Example:
        >>> without_userinfo("ftp://me:hunter2@files.example/model?x")
        'ftp://files.example/model?x'
    """
    found = _AUTHORITY.match(uri)
    if found is None or found.group().lower().endswith(_CONTAINERS):
        return uri
    userinfo = _USERINFO.match(uri, found.end())
    return uri if userinfo is None else found.group() + uri[userinfo.end() :]


def refuse_key(uri: str) -> None:
    """Let pass what may name a key; whoever pastes the key itself is told, and it is not shown.

    Args:
        uri: of a key, as somebody gave it.

    Raises:
        ConfigurationError: its last part looks like a private key, or all of it like a phrase of
            words that stands for one.
    """
    words = uri.split()
    if _DIGITS.search(uri.rpartition("/")[2]) or (
        len(words) >= _FEWEST_WORDS and all(word.isalpha() for word in words[1:])
    ):
        raise ConfigurationError(
            "what was given looks like a private key itself, so it is not shown here; expected "
            "the URI of a key, such as keystore:/path/to/key.json. A key that stood in a "
            "configuration is known to whoever could read that: make a new one with "
            "`mlops-chain key new`"
        )


def _split(uri: str) -> tuple[str, str]:
    """The scheme with what separates it, and the rest; no scheme if it is a plain path."""
    found = _AUTHORITY.match(uri) or _ODD_SCHEME.match(uri)
    return ("", uri) if found is None else (found.group(), uri[found.end() :])
