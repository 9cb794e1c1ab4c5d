"""``mlops-chain sync``."""

from __future__ import annotations

import time
from collections.abc import Iterator

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
from chain_client.client import ChainClient
from chain_client.ledger.base import BlockTag
from chain_client.sync.report import SyncReport, TargetSet
from chain_client.types import to_hex

_POLL_S = 0.5


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option(
    "--patience",
    "patience_s",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait until what was decided on chain is final.",
)
@json_option
@click.pass_context
def sync(context: click.Context, dry_run: bool, patience_s: float, as_json: bool) -> None:
    """Promote what is approved, and set aliases and stages to what is current on chain.

    A relay does this by itself. Exit code 0: MLflow is equal to the chain, or with --dry-run all
    was looked at; 2: something could not be done.

    \b
    Examples:
      mlops-chain sync --dry-run
      mlops-chain sync --json
    """
    client = open_client(context.obj)
    try:
        report = client.sync(dry_run=dry_run)
        deadline_s = time.monotonic() + patience_s
        while not dry_run and _is_final_in_time(client, report, deadline_s):
            report.add(client.sync())
    finally:
        client.close()
    if as_json:
        print_json(report.to_json())
    else:
        _print(report, dry_run=dry_run)
    context.exit(2 if report.troubles else 0)


def _is_final_in_time(client: ChainClient, report: SyncReport, deadline_s: float) -> bool:
    """Whether what a pass has left for later can be done now."""
    at: BlockTag = "latest" if client.settings.gate_finality == "latest" else "finalized"
    while report.awaits is not None:
        if client.ledger.block(at).number >= report.awaits:
            return True
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            return False
        time.sleep(min(_POLL_S, left_s))
    return False


def _print(report: SyncReport, *, dry_run: bool) -> None:
    rows = list(_rows(report, dry_run=dry_run))
    if not rows and not report.troubles and report.awaits is None:
        console().print("MLflow is equal to the chain; nothing was to be done")
    print_rows(rows)
    if report.awaits is not None:
        console().print(
            f"block {report.awaits} decides more, and is not final yet: run it again when it is; a "
            "relay does so by itself"
        )
    for trouble in report.troubles:
        console().print(f"[red]not done[/] {safe(trouble.subject)}: {safe(trouble.text)}")
    if dry_run and rows:
        console().print("nothing was changed: run it again without --dry-run")


def _rows(report: SyncReport, *, dry_run: bool) -> Iterator[tuple[str, str]]:
    would = "would be " if dry_run else ""
    for proposal in report.promoted:
        yield f"{would}promoted", f"proposal {to_hex(proposal)}"
    for found in report.set:
        yield f"{would}set", _shown(found)
    for found in report.left:
        yield "left", f"{_shown(found)}; the gate does not enforce"
    for version in report.tagged:
        yield f"{would}tagged", version
    if report.foreign:
        yield "not here", counted(report.foreign, "model") + " of other databases"


def _shown(found: TargetSet) -> str:
    wanted = "no version" if found.version is None else f"version {found.version}"
    before = ", ".join(map(str, found.found)) or "none"
    moved = "; it was moved past the gate" if found.was_moved else ""
    return f"{found.target} of {found.model}: {wanted} (before: {before}){moved}"
