"""``mlops-chain status``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from chain_client.cli.output import (
    console,
    counted,
    json_option,
    open_client,
    print_json,
    print_rows,
    safe,
)
from chain_client.status import Status, read_status


@click.command()
@json_option
@click.pass_obj
def status(home: Path | None, as_json: bool) -> None:
    """Show how far what is recorded has come, and what needs a person.

    \b
    Example:
      mlops-chain status --json
    """
    client = open_client(home)
    # A setting that is not understood is refused, not taken for a chain that does not answer.
    _ = client.ledger
    found = read_status(client)
    client.close()
    if as_json:
        print_json(found.to_json())
    else:
        _print(found)


def _print(found: Status) -> None:
    out = console()
    print_rows(_rows(found))
    for alarm in found.alarms:
        out.print(
            f"[bold red]alarm[/] {alarm['kind']} {safe(str(alarm['subject']))}: "
            f"{safe(str(alarm['detail']))} ({alarm['count']}×)"
        )
    for text in found.trouble:
        out.print(f"[yellow]not readable[/] {safe(text)}")


def _rows(found: Status) -> Iterator[tuple[str, str]]:
    yield "home", found.home
    yield "deployment", found.deployment_id
    for store in found.stores:
        yield "database", f"{store['adapter']} {store['uri']} ({store['store_id']})"
    yield (
        "spool",
        f"{_number(found.spooled_events, 'event')}, {_number(found.in_flight_calls, 'call')} "
        f"running, {counted(found.live_sources, 'live source')}, {found.spool_bytes:,} bytes",
    )
    if found.forked_sources:
        are = "source is a copy" if found.forked_sources == 1 else "sources are copies"
        yield "copies", f"{found.forked_sources} {are} that went on; see verify"
    if found.counts is not None:
        yield "events", "  ".join(f"{name} {count:,}" for name, count in found.counts.items())
    if found.head is not None:
        head = found.head
        entries = "1 entry" if head["size"] == 1 else f"{head['size']} entries"
        yield "on chain", f"{entries}, block {head['block']}, chain {head['chain_id']}"
    if found.payloads is not None:
        yield "payloads", f"in {found.payloads['store']}"
    if found.cross is not None:
        cross = found.cross
        entries = "1 entry" if cross["size"] == 1 else f"{cross['size']} entries"
        since = "" if cross["age_s"] is None else f", since {cross['age_s']} s"
        yield "second chain", f"{entries}, block {cross['block']}, chain {cross['chain_id']}{since}"
    age = found.oldest_waiting_s
    yield "oldest waiting", "none" if age is None else f"{age:.1f} s"
    if found.relay is not None:
        running = "running" if found.relay["running"] else "not running"
        yield "relay", running
        yield "anchors", str(found.relay["holder"] or "no relay")
        for name, role in (("stands_by", "stands by"), ("ingests_only", "only ingests")):
            relays = found.relay[name]
            if isinstance(relays, list) and relays:
                yield role, ", ".join(map(str, relays))
    for one in found.observers or []:
        counts = ", ".join(f"{one[name]:,} {name}" for name in ("told", "failed", "skipped"))
        trouble = f"; {one['trouble']}" if one["trouble"] else ""
        yield "observer", f"{one['name']}: {counts}{trouble}"


def _number(value: int | None, noun: str) -> str:
    return f"? {noun}s" if value is None else counted(value, noun)
