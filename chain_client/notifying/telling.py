"""Telling one message to everybody it is for."""

from __future__ import annotations

import time
from collections import OrderedDict

from chain_client.config import Settings
from chain_client.errors import ConfigurationError, ReceiverUnavailable
from chain_client.notifying.receivers import open_channels
from chain_client.notifying.texts import Message

_KEPT = 1024

_done: OrderedDict[tuple[str, str], None] = OrderedDict()
"""Which messages went out on which channel: what is tried again is so on the other one alone."""


def tell(message: Message, settings: Settings) -> None:
    """Send a message on every channel of its audience that it did not go out on yet.

    Args:
        message: what.
        settings: of the home.

    Raises:
        ReceiverUnavailable: on one of them nobody takes it now; call again.
        ConfigurationError: on one of them it will never be taken.
    """
    later: list[str] = []
    never: list[str] = []
    for channel in open_channels(settings, message.audience):
        key = f"{message.audience}/{message.id}", channel.name
        if key in _done:
            continue
        try:
            channel.send(message, int(time.time()))
        except ReceiverUnavailable as exc:
            later.append(str(exc))
            continue
        except ConfigurationError as exc:
            never.append(str(exc))
        _done[key] = None
        while len(_done) > _KEPT:
            _done.popitem(last=False)
    if later:
        raise ReceiverUnavailable("; ".join([*later, *never]))
    if never:
        raise ConfigurationError("; ".join(never))
