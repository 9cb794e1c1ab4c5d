"""``mlops-chain ship``."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import click

from chain_client.cli.output import console, counted, json_option, print_json, safe, settings_of
from chain_client.client import no_home
from chain_client.errors import ChainError, HomeMissing, NotInTime
from chain_client.home import Home
from chain_client.shipping import Sent, Shipper, open_shipper, ship_sources


@click.command()
@click.argument("to")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How long it may take.",
)
@json_option
@click.pass_context
def ship(context: click.Context, to: str, timeout_s: float, as_json: bool) -> None:
    """Hand this machine's spool over to TO, before the machine is thrown away.

    TO is a URI such as folder:/mnt/inbox or s3://bucket/prefix, a place that a relay's relay.inbox
    names. What a process still records into stays. Needs neither chain nor log. Exit code 2:
    something that could be handed over was not.

    \b
    Example:
      mlops-chain ship folder:/mnt/inbox
    """
    settings = settings_of(context.obj)
    if not Home(settings.home).exists():
        raise HomeMissing(no_home(settings))
    sent = _ship_in_time(settings.spool_path, open_shipper(to, base=settings.home), timeout_s)
    if as_json:
        left = {source_id.hex(): why for source_id, why in sent.left.items()}
        print_json({"ok": not left, "shipped": [s.hex() for s in sent.shipped], "left": left})
    else:
        console().print(f"[green]handed over[/] {counted(len(sent.shipped), 'source')}")
        for source_id, why in sent.left.items():
            console().print(f"[red]stays here[/] {source_id.hex()}: {safe(why)}")
    context.exit(2 if sent.left else 0)


def _ship_in_time(spool: Path, shipper: Shipper, timeout_s: float) -> Sent:
    """Ship in a thread that is left alone if the destination does not answer at all.

    Raises:
        NotInTime: it does not.
    """
    deadline = time.monotonic() + timeout_s
    found: list[Sent | ChainError] = []

    def work() -> None:
        try:
            found.append(ship_sources(spool, shipper, lambda: time.monotonic() >= deadline))
        except ChainError as exc:
            found.append(exc)

    thread = threading.Thread(target=work, name="mlops-chain-ship", daemon=True)
    thread.start()
    thread.join(timeout_s + 1.0)
    if not found:
        raise NotInTime(f"{shipper.uri.partition(':')[0]}: it did not answer in {timeout_s:g} s")
    if isinstance(found[0], ChainError):
        raise found[0]
    return found[0]
