"""The built-in plugin ``files``: payloads in files, one each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from chain_client.errors import ConfigurationError
from chain_client.hookspecs import PayloadStoreFactory, hookimpl
from chain_client.payloads.base import PayloadStore
from chain_client.payloads.files import FilePayloadStore


@hookimpl
def payload_stores() -> Mapping[str, PayloadStoreFactory]:
    """``file:<folder>``, also ``file:///<folder>`` (RFC 8089)."""
    return {"file": _open_folder}


def _open_folder(uri: str, base: Path) -> PayloadStore:
    path = uri.partition(":")[2]
    if path.startswith("//"):
        parts = urlsplit(uri)
        path = "" if parts.netloc not in ("", "localhost") else unquote(parts.path)
    if not path:
        raise ConfigurationError("file: names no folder of this machine; expected file:<folder>")
    folder = base / Path(path).expanduser()
    return FilePayloadStore(f"file:{folder}", folder)
