"""Telling observers what happened, so that nothing they do reaches who tells."""

from __future__ import annotations

from chain_client.observing.dispatcher import Dispatcher
from chain_client.observing.observer import Observer
from chain_client.observing.ticket import ObserverFigures, Outcome, Ticket

__all__ = ["Dispatcher", "Observer", "ObserverFigures", "Outcome", "Ticket"]
