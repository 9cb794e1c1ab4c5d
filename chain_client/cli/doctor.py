"""``mlops-chain doctor``."""

from __future__ import annotations

from pathlib import Path

import click

from chain_client.cli.output import (
    json_option,
    open_client,
    print_json,
    print_rows,
    settings_of,
    shorten,
)
from chain_client.deploying.examining_network import examine_network
from chain_client.doctor import examine
from chain_client.home import Home
from chain_client.verify.report import Check


@click.command()
@json_option
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Check everything a support engineer would ask; exit code 1 if something needs mending.

    Where nothing is deployed yet and `ledger.url` names a network, its endpoints are examined.

    \b
    Example:
      mlops-chain doctor
    """
    home: Path | None = context.obj
    settings = settings_of(home)
    if settings.names_network and not Home(settings.home).exists():
        checks = list(examine_network(settings))
    else:
        client = open_client(home)
        checks = list(examine(client))
        client.close()
    sound = all(check.ok for check in checks)
    if as_json:
        print_json(
            {
                "ok": sound,
                "checks": [{"name": c.name, "ok": c.ok, "detail": c.detail} for c in checks],
            }
        )
    else:
        print_rows((_mark(c), f"[bold]{c.name}[/]", shorten(c.detail)) for c in checks)
    context.exit(0 if sound else 1)


def _mark(check: Check) -> str:
    if not check.carried_out:
        return "[yellow]?[/]"
    return "[green]ok[/]" if check.ok else "[red]FAIL[/]"
