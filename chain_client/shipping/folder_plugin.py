"""The built-in plugin ``folder``: spools are handed over in a folder that a relay can read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from chain_client.errors import ConfigurationError
from chain_client.hookspecs import ShipperFactory, hookimpl
from chain_client.shipping.base import Shipper
from chain_client.shipping.folder import FolderShipper


@hookimpl
def spool_shippers() -> Mapping[str, ShipperFactory]:
    """``folder:<path>``."""
    return {"folder": _open_folder}


def _open_folder(uri: str, base: Path) -> Shipper:
    path = uri.partition(":")[2]
    if not path:
        raise ConfigurationError(f"the shipper {uri!r} names no folder; expected folder:<path>")
    return FolderShipper(uri, base / Path(path).expanduser())
