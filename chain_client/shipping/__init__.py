"""Handing spools over before they die with their machine: where to, by URI.

::

    folder:<path>    a folder that a relay can read too (`chain_client.shipping.folder`)

Plugins add schemes, by the hook `spool_shippers`; this one comes by it too.
What arrives is taken in by the relay whose setting `relay.inbox` names that folder, or that URI.
"""

from __future__ import annotations

from pathlib import Path

from chain_client.hookspecs import ShipperFactory
from chain_client.plugin_host import get_plugin_host
from chain_client.shipping.base import IsOver, Parcel, Receiver, Shipment, Shipper, Unfinished
from chain_client.shipping.folder import FolderShipper
from chain_client.shipping.sending import Sent, ship_sources

__all__ = [
    "FolderShipper",
    "IsOver",
    "Parcel",
    "Receiver",
    "Sent",
    "Shipment",
    "Shipper",
    "Unfinished",
    "open_shipper",
    "ship_sources",
]


def open_shipper(uri: str, *, base: Path) -> Shipper:
    """The shipper that a URI names. Nothing is read or written yet.

    Args:
        uri: such as ``folder:/mnt/inbox``.
        base: folder to which a relative path belongs.

    Raises:
        ConfigurationError: the scheme is not known, two plugins open it, or the rest says nothing.
            Only the scheme is named: behind it there may be a password.
    """
    factory: ShipperFactory = get_plugin_host().factory_of(uri, "spool_shippers", "shipper")
    return factory(uri, base)
