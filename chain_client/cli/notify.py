"""``mlops-chain notify``."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import click

from chain_client.cli.output import (
    console,
    json_option,
    open_client,
    print_json,
    print_rows,
    safe,
    settings_of,
)
from chain_client.config import Settings
from chain_client.errors import ChainError, ConfigurationError
from chain_client.notifying import find_receivers


@click.group()
def notify() -> None:
    """Tell approvers of proposals and operators of alarms.

    A relay tells them by itself; whom, and how, the settings notify.* say.

    \b
    Examples:
      mlops-chain notify secret     make the secret that webhooks are signed with
      mlops-chain notify test       send everybody a test
    """


@notify.command()
@json_option
@click.pass_obj
def test(home: Path | None, as_json: bool) -> None:
    """Send a test to everybody whom the settings name; exit code 1 if one did not get it."""
    client = open_client(home)
    try:
        sent = list(_test(client.settings, client.deployment_id))
    finally:
        client.close()
    is_ok = all(trouble is None for _, _, trouble in sent)
    if as_json:
        print_json(
            {
                "ok": is_ok,
                "sent": [
                    {"audience": audience, "to": shown, "trouble": trouble}
                    for audience, shown, trouble in sent
                ],
            }
        )
    else:
        print_rows(
            (
                "[green]sent[/]" if trouble is None else "[bold red]not sent[/]",
                audience,
                shown if trouble is None else f"{shown}: {trouble}" if shown else trouble,
            )
            for audience, shown, trouble in sent
        )
    click.get_current_context().exit(0 if is_ok else 1)


def _test(settings: Settings, deployment_id: str) -> Iterator[tuple[str, str, str | None]]:
    """Audience, who, and what went wrong, of each way."""
    from chain_client.notifying.receivers import open_channels
    from chain_client.notifying.texts import Audience, describe_test

    found = list(find_receivers(settings))
    if not found:
        raise ConfigurationError(
            "the settings name nobody to tell: set notify.approvers, notify.operators or their "
            "webhooks; see docs/how-to/tell-people.md"
        )
    for receiver in found:
        audience = Audience(receiver.name.partition("-")[0])
        try:
            channels = open_channels(receiver.settings, audience)
        except ConfigurationError as exc:
            yield str(audience), "", str(exc)
            continue
        for channel in channels:
            now_s = int(time.time())
            message = describe_test(secrets.token_hex(16), audience, now_s, deployment_id)
            trouble = None
            try:
                channel.send(message, now_s)
            except ChainError as exc:
                trouble = str(exc)
            yield str(audience), channel.shown, trouble


@notify.command()
@json_option
@click.pass_obj
def secret(home: Path | None, as_json: bool) -> None:
    """Make the secret that webhooks are signed with, in the file of notify.webhook_secret_file.

    The secret itself is not printed: give the receiver the file's content.
    """
    from chain_client.notifying.webhook import create_secret

    settings = settings_of(home)
    path = settings.home / settings.notify_webhook_secret_file
    create_secret(path)
    if as_json:
        print_json({"ok": True, "file": str(path)})
    else:
        console().print(f"made {safe(str(path))}; give its content to the receiver of the webhook")
