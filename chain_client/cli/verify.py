"""``mlops-chain verify``."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.padding import Padding

from chain_client.cli.databases import find_databases
from chain_client.cli.output import (
    console,
    json_option,
    open_client,
    print_block,
    print_json,
    print_rows,
    progress_bars,
    safe,
    shorten,
)
from chain_client.errors import ChainError
from chain_client.events import Json
from chain_client.hosts import Finding, Scope
from chain_client.verify.explanations import Explained
from chain_client.verify.report import Check, Report, Verdict

_SHOWN = 50
_HOSTS = ("MLflow", "Airflow")
"""The checks of host databases are named like their adapters."""


@click.command()
@click.option(
    "--tracking-uri",
    "tracking_uris",
    metavar="URI",
    multiple=True,
    help="Compare this MLflow database only; may be given several times. One that another machine "
    "records is known by what it says of itself. Default: MLFLOW_TRACKING_URI and what is not "
    "MLflow's, else everything that records into the home.",
)
@click.option("--run", "run_id", metavar="ID", help="Compare one run only.")
@click.option("--model", metavar="NAME", help="Compare one registered model only.")
@click.option(
    "--cross-deployment",
    "cross_file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Your own copy of cross-deployment.json; default: the home's.",
)
@json_option
@click.pass_context
def verify(
    context: click.Context,
    tracking_uris: tuple[str, ...],
    run_id: str | None,
    model: str | None,
    cross_file: Path | None,
    as_json: bool,
) -> None:
    """Check chain, log, MLflow and Airflow against each other, and name what differs.

    Writes nothing. Exit code 0: it holds; 1: something differs; 2: something could not be
    checked.

    \b
    Examples:
      mlops-chain verify
      mlops-chain verify --run 4f1c… --json
    """
    if run_id and model:
        raise click.UsageError("give --run or --model, not both")
    try:
        client = open_client(context.obj)
        databases = find_databases(client, tracking_uris)
        with progress_bars(shown=not as_json) as progress:
            report = client.verify(
                Scope(run_id=run_id, model=model),
                bindings=databases.bindings,
                everything=databases.everything,
                progress=progress,
                cross_file=cross_file,
            )
        client.close()
    except ChainError as exc:
        if as_json:
            # A program gets the same document, whatever kept us from checking.
            check = Check("home", False, str(exc), carried_out=False)
            print_json(Report([check]).to_json())
        raise
    if as_json:
        print_json(report.to_json())
    else:
        _print(report)
    context.exit(int(report.verdict))


def _print(report: Report) -> None:
    out = console()
    print_rows(
        (f"{number}.", _mark(check), f"[bold]{check.name}[/]", shorten(check.detail))
        for number, check in enumerate(report.checks, 1)
    )
    for finding in report.findings[:_SHOWN]:
        _print_finding(out, finding)
    if len(report.findings) > _SHOWN:
        out.print(f"\n… and {len(report.findings) - _SHOWN} more findings; --json prints all")
    if report.explained:
        out.print("\n[bold]Explained[/], and no finding any more:")
    for explained in report.explained[:_SHOWN]:
        _print_explained(out, explained)
    if len(report.explained) > _SHOWN:
        out.print(f"  … and {len(report.explained) - _SHOWN} more explained; --json prints all")
    out.print()
    verdict = {
        Verdict.HOLDS: "[bold green]It holds.[/] " + _what_holds(report),
        Verdict.DIFFERS: "[bold red]Something differs.[/] Each finding names what and where.",
        Verdict.NOT_CHECKED: "[bold yellow]Not everything could be checked.[/]",
    }
    out.print(verdict[report.verdict])


def _what_holds(report: Report) -> str:
    if not report.compared:
        return (
            "Chain, log and sources fit each other; no database records here, so none was compared."
        )
    explained = ", or was explained" if report.explained else ""
    shown = [name for name in _HOSTS if any(check.name == name.lower() for check in report.checks)]
    what = " and ".join(shown or _HOSTS[:1])
    verb = "shows" if len(shown) < 2 else "show"
    return f"What {what} {verb} is what was recorded{explained}."


def _mark(check: Check) -> str:
    if check.ok:
        return "[green]ok[/]"
    return "[red]FAIL[/]" if check.carried_out else "[yellow]?[/]"


def _print_finding(out: Console, finding: Finding) -> None:
    # Nothing is cut or folded by us here: these lines are searched and copied.
    out.print(f"\n[bold red]{finding.kind}[/]  [bold]{safe(finding.subject)}[/]", soft_wrap=True)
    sides = (("expected", finding.expected), ("actual", finding.actual))
    if any(value is not None for _, value in sides):
        for name, value in sides:
            out.print(f"  {name:9} {safe(short(value))}", soft_wrap=True)
    print_block(Padding(safe(shorten(finding.detail), "\n"), (0, 0, 0, 2)))


def _print_explained(out: Console, explained: Explained) -> None:
    found = explained.finding
    when = datetime.fromtimestamp(explained.time_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M UTC")
    out.print(f"  [cyan]{found.kind}[/]  {safe(found.subject)}", soft_wrap=True)
    said = f"{explained.kind}, {explained.reason} ({explained.who}, {when})"
    print_block(Padding(safe(said, "\n"), (0, 0, 0, 4)))


def short(value: Json) -> str:
    """One line for people."""
    if value is None:
        return "(nothing)"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = shorten(text)
    return text if len(text) <= 200 else text[:199] + "…"
