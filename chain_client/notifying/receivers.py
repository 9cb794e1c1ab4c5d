"""Who is told, and how, as the settings say it; checked before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from chain_client.errors import ConfigurationError
from chain_client.notices import ObserverSettings
from chain_client.notifying.mail import MailServer, parse_addresses, parse_server
from chain_client.notifying.texts import Audience, Message
from chain_client.notifying.webhook import Webhook, make_webhook, read_secret


@dataclass(frozen=True, slots=True)
class Channel:
    """One way to one audience.

    Args:
        shown: for people; holds nothing secret.
        send: called with the message and the time in seconds; raises as `Webhook.send` does.
    """

    shown: str
    send: Callable[[Message, int], None]


def open_channels(settings: ObserverSettings, audience: Audience) -> tuple[Channel, ...]:
    """Every configured way to an audience; reads the files of secrets, and nothing else.

    Raises:
        ConfigurationError: a setting is missing or says nothing; the text names it.
    """
    return tuple(_channels(settings, audience))


def _channels(settings: ObserverSettings, audience: Audience) -> Iterator[Channel]:
    if audience is Audience.APPROVERS:
        url, to = settings.notify.approvers_webhook_url, settings.notify.approvers
    else:
        url, to = settings.notify.operators_webhook_url, settings.notify.operators
    if url:
        # The address first: a mistake in it is told even where there is no secret yet.
        setting = f"notify.{audience}_webhook_url"
        make_webhook(url, b"", setting)
        secret = read_secret(settings.home / settings.notify.webhook_secret_file)
        webhook: Webhook = make_webhook(url, secret, setting)
        yield Channel(webhook.shown, webhook.send)
    addresses = parse_addresses(to, f"notify.{audience}")
    if addresses:
        server, sender = _server(settings), _sender(settings)
        count = f"{len(addresses)} address" + ("" if len(addresses) == 1 else "es")
        yield Channel(
            f"{count} by {server.shown}",
            lambda message, now_s: server.send(message, sender, addresses, now_s),
        )


def _server(settings: ObserverSettings) -> MailServer:
    if not settings.notify.smtp_url:
        raise ConfigurationError(
            "e-mail addresses are to be told, but notify.smtp_url names no mail server"
        )
    file = settings.notify.smtp_password_file
    return parse_server(
        settings.notify.smtp_url,
        settings.notify.smtp_user,
        settings.home / file if file else None,
    )


def _sender(settings: ObserverSettings) -> str:
    found = parse_addresses(settings.notify.email_from, "notify.email_from")
    if len(found) != 1:
        raise ConfigurationError("notify.email_from: expected the sender's one e-mail address")
    return found[0]
