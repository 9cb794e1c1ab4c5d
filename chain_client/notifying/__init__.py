"""Telling people: approvers of proposals, operators of alarms, by webhook and e-mail.

The built-in plugin ``notifier`` (`plugin`) comes in by the same hooks as any other.
"""

from __future__ import annotations

from chain_client.config import Settings

PLUGIN = "notifier"
"""Name of the entry point."""


def is_configured(settings: Settings) -> bool:
    """Whether anybody is to be told of anything."""
    return bool(
        settings.notify_approvers
        or settings.notify_operators
        or settings.notify_approvers_webhook_url
        or settings.notify_operators_webhook_url
    )
