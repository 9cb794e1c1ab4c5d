"""Store URIs with our prefix: what is inside, and what this version can record. Pure."""

from __future__ import annotations

PREFIXES = ("chain+", "chain:")

RECORDED_ENGINES = ("sqlite", "postgresql", "mysql", "mssql")
"""Database engines whose stores this version records."""


def is_chain_uri(uri: object) -> bool:
    """Whether a store URI asks for recording."""
    return isinstance(uri, str) and uri.lower().startswith(PREFIXES)


def scheme_of(uri: str) -> str:
    """What stands before ``://``, in lower case; empty if nothing does."""
    scheme, separator, _ = uri.partition("://")
    return scheme.lower() if separator else ""


def to_inner_uri(uri: str) -> str:
    """The URI without our prefix; any other URI unchanged.

    Example:
        >>> to_inner_uri("chain+sqlite:///mlflow.db")
        'sqlite:///mlflow.db'
    """
    for prefix in PREFIXES:
        if uri.lower().startswith(prefix):
            return uri[len(prefix) :]
    return uri


def find_refusal(inner_uri: str) -> str | None:
    """Why this version can't record a store of that URI; None if it can."""
    scheme = inner_uri.partition(":")[0] if ":" in inner_uri else ""
    if scheme.lower() in ("http", "https") and inner_uri.startswith(scheme + "://"):
        return None
    if scheme.partition("+")[0] in RECORDED_ENGINES and inner_uri.startswith(scheme + "://"):
        return None
    known = ", ".join(f"chain+{name}://…" for name in (*RECORDED_ENGINES, "http", "https"))
    if not inner_uri:
        return f"no URI stands behind the prefix; use one of: {known}"
    if scheme.lower().partition("+")[0] == "postgres":
        return "SQLAlchemy calls that database postgresql: use chain+postgresql://…"
    if scheme == "file":
        return (
            "MLflow has retired its file store, and this version does not record it; use a "
            f"database, for example chain+sqlite:///mlflow.db (known: {known})"
        )
    if not scheme:
        return f"no URI of a database or server stands behind the prefix; use one of: {known}"
    return f"the scheme {scheme!r} inside the URI is not one that is recorded; use one of: {known}"


def to_absolute_uri(inner_uri: str) -> str:
    """A database URI that means the same file from any working directory."""
    from sqlalchemy.engine import make_url

    url = make_url(inner_uri)
    name = url.database
    if url.get_backend_name() != "sqlite" or not name or name.startswith((":", "file:")):
        return inner_uri
    from pathlib import Path

    return url.set(database=str(Path(name).absolute())).render_as_string(hide_password=False)


def is_private_memory(inner_uri: str) -> bool:
    """Whether the database lives in this process's memory, so that nobody else can read it."""
    from sqlalchemy.engine import make_url

    url = make_url(inner_uri)
    return url.get_backend_name() == "sqlite" and (not url.database or ":memory:" in url.database)
