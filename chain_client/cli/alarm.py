"""``mlops-chain alarm``."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from chain_client.alarms import acknowledge as record_acknowledgement
from chain_client.alarms import find_standing
from chain_client.cli.output import (
    account_name,
    console,
    json_option,
    open_client,
    print_json,
    print_rows,
    safe,
)
from chain_client.log import Alarm


@click.group()
def alarm() -> None:
    """List alarms, and say that you have seen one.

    \b
    Examples:
      mlops-chain alarm list
      mlops-chain alarm acknowledge source_forked --reason "VM put back on 1 May"
    """


@alarm.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that ended.")
@json_option
@click.pass_context
def list_alarms(context: click.Context, everything: bool, as_json: bool) -> None:
    """List the alarms that stand; exit code 1 if there is one."""
    client = open_client(context.obj)
    found = client.log.alarms(include_cleared=everything)
    client.close()
    standing = [one for one in found if one.cleared_us is None]
    if as_json:
        print_json({"ok": not standing, "alarms": [_to_json(one) for one in found]})
    elif not found:
        console().print("no alarm stands")
    else:
        print_rows(
            (
                "[bold red]stands[/]" if one.cleared_us is None else "ended",
                f"[bold]{one.kind}[/]",
                f"{one.subject}: {one.detail} ({one.count}×, last {_time(one.last_us)})",
            )
            for one in found
        )
        if standing:
            console().print("what each means, and what to do: docs/how-to/runbook-alarms.md")
    context.exit(1 if standing else 0)


@alarm.command()
@click.argument("kind")
@click.argument("subject", required=False)
@click.option("--reason", required=True, help="What you found, in your own words.")
@click.option("--who", help="Your name; default: the name of your account.")
@json_option
@click.pass_context
def acknowledge(
    context: click.Context,
    kind: str,
    subject: str | None,
    reason: str,
    who: str | None,
    as_json: bool,
) -> None:
    """Record that you have seen an alarm; it ends, and comes back when its cause does.

    Without SUBJECT every alarm of that KIND is acknowledged.
    """
    if not reason.strip():
        raise click.UsageError("--reason is empty")
    client = open_client(context.obj)
    found = find_standing(client.log, kind, subject)
    recorder = client.recorder
    try:
        for one in found:
            record_acknowledgement(recorder, client.log, one, reason, who or account_name())
    finally:
        recorder.close()
        client.close()
    if as_json:
        print_json({"ok": True, "acknowledged": [_to_json(one) for one in found]})
    else:
        for one in found:
            console().print(f"[green]acknowledged[/] {one.kind} {safe(one.subject)}")


def _to_json(one: Alarm) -> dict[str, object]:
    return {name: getattr(one, name) for name in Alarm.__slots__}


def _time(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M UTC")
