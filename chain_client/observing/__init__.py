"""Telling observers what happened, so that nothing they do reaches who tells."""

from __future__ import annotations

from chain_client.observing.dispatcher import Dispatcher
from chain_client.observing.observer import Observer, ObserverFigures, Ticket

__all__ = ["Dispatcher", "Observer", "ObserverFigures", "Ticket"]
