"""Handing spools over before they die with their machine: where to, by URI.

::

    folder:<path>    a folder that a relay can read too (`chain_client.shipping.folder`)

What arrives is taken in by the relay whose setting `relay.inbox` names that folder.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from chain_client.errors import ConfigurationError
from chain_client.shipping.base import IsOver, Shipment, Shipper
from chain_client.shipping.folder import FolderShipper
from chain_client.shipping.sending import Sent, ship_sources

__all__ = ["FolderShipper", "IsOver", "Sent", "Shipment", "Shipper", "open_shipper", "ship_sources"]


def _open_folder(uri: str, base: Path) -> Shipper:
    path = uri.partition(":")[2]
    if not path:
        raise ConfigurationError(f"the shipper {uri!r} names no folder; expected folder:<path>")
    return FolderShipper(uri, base / Path(path).expanduser())


_SCHEMES: dict[str, Callable[[str, Path], Shipper]] = {"folder": _open_folder}


def open_shipper(uri: str, *, base: Path) -> Shipper:
    """The shipper that a URI names. Nothing is read or written yet.

    Args:
        uri: such as ``folder:/mnt/inbox``.
        base: folder to which a relative path belongs.

    Raises:
        ConfigurationError: the scheme is not known, or the rest says nothing. Only the scheme is
            named: behind it there may be a password.
    """
    scheme, colon, _ = uri.partition(":")
    factory = _SCHEMES.get(scheme) if colon else None
    if factory is None:
        known = ", ".join(f"{name}:" for name in sorted(_SCHEMES))
        said = f"no shipper is known for the scheme {scheme!r}" if colon else "no scheme is named"
        raise ConfigurationError(f"{said}; known schemes: {known}")
    return factory(uri, base)
