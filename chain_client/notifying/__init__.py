"""Telling people: approvers of proposals, operators of alarms, by webhook and e-mail.

The built-in plugin ``notifier`` (`plugin`) comes in by the same hooks as any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from chain_client.config import Settings
from chain_client.notices import NotifySettings, ObserverSettings

PLUGIN: Final = "notifier"
"""Name of the entry point."""
_HOOKS: Final = {"approvers": "proposal_changed", "operators": "alarm_raised"}


@dataclass(frozen=True, slots=True)
class Receiver:
    """Somebody who is told by one way; each waits for nobody else.

    Args:
        name: such as ``approvers-webhook``; the same as long as the settings are.
        hook: that tells it.
        settings: of it alone.
    """

    name: str
    hook: str
    settings: ObserverSettings


def find_receivers(settings: Settings) -> Iterator[Receiver]:
    """Everybody whom the settings name."""
    ways = {
        f"{audience}-{way}": (audience, f"{audience}{suffix}")
        for audience in _HOOKS
        for way, suffix in (("webhook", "_webhook_url"), ("mail", ""))
    }
    whole = NotifySettings(
        approvers=settings.notify_approvers,
        operators=settings.notify_operators,
        approvers_webhook_url=settings.notify_approvers_webhook_url,
        operators_webhook_url=settings.notify_operators_webhook_url,
        webhook_secret_file=settings.notify_webhook_secret_file,
        smtp_url=settings.notify_smtp_url,
        smtp_user=settings.notify_smtp_user,
        smtp_password_file=settings.notify_smtp_password_file,
        email_from=settings.notify_email_from,
    )
    for name, (audience, own) in ways.items():
        if getattr(whole, own):
            others = {field: "" for _, field in ways.values() if field != own}
            alone = ObserverSettings(settings.home, replace(whole, **others))
            yield Receiver(name, _HOOKS[audience], alone)
