"""The payload store, as machines that share a log agree on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from chain_client.config import CONFIG_FILE, Settings
from chain_client.errors import ConfigurationError
from chain_client.log import Log
from chain_client.log.payload_mark import CURSOR
from chain_client.log.payload_place import PayloadPlace
from chain_client.payloads.base import Shareable

PAYLOAD_SETTINGS = ("log.payloads", "log.payloads_from_bytes")
_FILE = "file:"


def to_share(settings: Settings) -> dict[str, str]:
    """Values of `PAYLOAD_SETTINGS` that other machines can use as they are; "" for the others.

    A folder below the home is this machine's own, and what may not be shown is not handed on.

    Raises:
        ConfigurationError: no store of that scheme is known here.
    """
    place = PayloadPlace.of(settings)
    if place is None:
        return dict.fromkeys(PAYLOAD_SETTINGS, "")
    is_own = place.uri.startswith(_FILE) and not Path(place.uri.removeprefix(_FILE)).is_absolute()
    store = place.open()
    known = store.shared_uri if isinstance(store, Shareable) else store.uri
    uri = "" if is_own or known != place.uri else place.uri
    return dict(zip(PAYLOAD_SETTINGS, (uri, str(place.from_bytes or "")), strict=True))


def find_place(settings: Settings, shared: Mapping[str, str]) -> PayloadPlace | None:
    """The place that a machine will use: its own setting, else that of a file it joins by.

    Args:
        settings: of the machine.
        shared: settings in the file; they are taken where the machine has no file of its own.
    """
    uri = shared.get("log.payloads", "")
    if not settings.log_payloads and not (settings.home / CONFIG_FILE).exists():
        settings = replace(settings, log_payloads=uri)
    return PayloadPlace.of(settings)


def check_place(log: Log, home: Path) -> None:
    """See that this machine reaches the log's payload store, if it has one.

    Raises:
        ConfigurationError: the log has one, and no setting names it.
        PayloadsUnavailable: the one that is named is not the log's, or does not answer.
    """
    if log.payloads.place is not None:
        log.payloads.check()
    elif log.cursor(CURSOR) is not None:
        raise ConfigurationError(
            "events of this log are in a payload store: set log.payloads "
            f"(MLOPS_CHAIN_LOG_PAYLOADS, or log.payloads in {home / CONFIG_FILE}) to the one that "
            "its machines share"
        )
