"""How a server's address is spelled, so that one server is one store. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_server_uri(uri: str) -> bool:
    """Whether a store's URI, without our prefix, is a server's address."""
    return uri.lower().startswith(("http://", "https://"))


def to_server_uri(uri: str) -> str:
    """One spelling for all addresses of a server; never with user name or password.

    Example:
        >>> to_server_uri("HTTPS://me:secret@Host.example:443/mlflow/")
        'https://host.example/mlflow'
    """
    parts = urlsplit(uri)
    scheme, host = parts.scheme.lower(), parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    if parts.port not in (None, _DEFAULT_PORTS.get(scheme)):
        host = f"{host}:{parts.port}"
    return f"{scheme}://{host}{parts.path.rstrip('/')}"
