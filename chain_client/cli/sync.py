"""``mlops-chain sync``."""

from __future__ import annotations

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
from chain_client.sync.report import SyncReport, TargetSet
from chain_client.types import to_hex


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@json_option
@click.pass_context
def sync(context: click.Context, dry_run: bool, as_json: bool) -> None:
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
    finally:
        client.close()
    if as_json:
        print_json(report.to_json())
    else:
        _print(report, dry_run=dry_run)
    context.exit(2 if report.troubles else 0)


def _print(report: SyncReport, *, dry_run: bool) -> None:
    rows = list(_rows(report, dry_run=dry_run))
    if not rows and not report.troubles:
        console().print("MLflow is equal to the chain; nothing was to be done")
    print_rows(rows)
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
