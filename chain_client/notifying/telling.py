"""Telling one message to everybody it is for."""

from __future__ import annotations

import time

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
        ReceiverUnavailable: nobody takes it now; call again.
        ConfigurationError: it will never be taken.
    """
    for channel in open_channels(settings, message.audience):
        channel.send(message, int(time.time()))
