"""``mlops-chain doctor``."""

from __future__ import annotations

from pathlib import Path

import click

from chain_client.cli.output import json_option, open_client, print_json, print_rows, shorten
from chain_client.doctor import examine


@click.command()
@json_option
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Check everything a support engineer would ask; exit code 1 if something needs mending.

    \b
    Example:
      mlops-chain doctor
    """
    home: Path | None = context.obj
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
        marks = {True: "[green]ok[/]", False: "[red]FAIL[/]"}
        print_rows((marks[c.ok], f"[bold]{c.name}[/]", shorten(c.detail)) for c in checks)
    context.exit(0 if sound else 1)
