"""Telling one message to everybody it is for."""

from __future__ import annotations

import time

from chain_client.errors import ConfigurationError, ReceiverUnavailable
from chain_client.notices import ObserverSettings
from chain_client.notifying.receivers import open_channels
from chain_client.notifying.texts import Message


def tell(message: Message, settings: ObserverSettings) -> None:
    """Send a message on every channel of its audience that the settings name.

    A relay gives the settings of one receiver with each call, so that what is sent again is sent to
    nobody else (`chain_client.notifying.receivers`).

    Args:
        message: what.
        settings: of the receiver.

    Raises:
        ReceiverUnavailable: nobody takes it now, or a setting or a secret's file has to be mended
            first; call again.
        ConfigurationError: who was asked will never take it.
    """
    try:
        channels = open_channels(settings, message.audience)
    except ConfigurationError as exc:
        # Nobody was asked: it is not lost, and told when that is mended.
        raise ReceiverUnavailable(str(exc)) from None
    for channel in channels:
        channel.send(message, int(time.time()))
