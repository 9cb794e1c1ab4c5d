"""How commands print: rich text for people, JSON for programs."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from chain_client.client import ChainClient, no_home
from chain_client.config import Settings
from chain_client.hosts import Progress as ProgressCallback
from chain_client.shown_text import escape_unprintable

_LONG_HEX = re.compile(r"\b((?:0x)?[0-9a-f]{8})[0-9a-f]{48}([0-9a-f]{8})\b")

_Function = TypeVar("_Function", bound=Callable[..., Any])


def json_option(function: _Function) -> _Function:
    """The option ``--json`` that every command has."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(
        function
    )


def safe(text: str, keep: str = "") -> str:
    """Text from outside for rich: its brackets are no markup, and what shows nothing is an escape.

    Every name, reason, path and error that goes to a terminal goes through here, or through
    `print_rows`, `print_error` or `print_note`, which do the same.

    Args:
        text: as others wrote it.
        keep: characters that are let through, such as a line break.
    """
    return escape(escape_unprintable(text, keep))


def console() -> Console:
    """Standard output for people."""
    return Console(highlight=False)


def print_error(text: str) -> None:
    """One error line on standard error."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[bold red]error:[/] {safe(text)}")


def print_note(text: str) -> None:
    """Something a person should know, on standard error."""
    Console(stderr=True, highlight=False).print(f"[yellow]note:[/] {safe(text)}")


def shorten(text: str) -> str:
    """Text with every 32-byte hash cut to its ends; ``--json`` prints hashes whole."""
    return _LONG_HEX.sub(r"\1…\2", text)


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: ``1 entry``, ``1,200 entries``.

    Args:
        number: how many.
        one: the noun for one.
        many: for any other number; default: ``one`` with an s.
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def print_rows(rows: Iterable[tuple[str, ...]], *, err: bool = False) -> None:
    """Aligned rows: the last cell of each is any text and wraps in its column.

    Args:
        rows: cells; all but the last may carry rich's markup.
        err: on standard error instead of standard output.
    """
    table = Table.grid(padding=(0, 2, 0, 0))
    for *cells, text in rows:
        if not table.columns:
            for _ in cells:
                table.add_column(no_wrap=True)
            table.add_column(overflow="fold")
        table.add_row(*cells, safe(text, "\n"))
    print_block(table, err=err)


def print_block(block: RenderableType, *, err: bool = False) -> None:
    """Something that wraps, without the spaces that fill its lines: it is copied into tickets."""
    out = Console(stderr=True, highlight=False) if err else console()
    with out.capture() as captured:
        out.print(block)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()), err=err)


def print_json(document: Mapping[str, Any]) -> None:
    """A JSON document on standard output."""
    click.echo(escape_unprintable(json.dumps(document, indent=2, ensure_ascii=False), "\n"))


def account_name() -> str:
    """Name of the account that runs the command."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def settings_of(home: Path | None) -> Settings:
    """Settings for the command line's home."""
    return Settings.from_environment(os.environ, Path.cwd(), home=home)


def read_variable(name: str) -> str | None:
    """A variable of the environment that a person named; None if it is not set."""
    return os.environ.get(name)


def open_client(home: Path | None) -> ChainClient:
    """Open an existing home without contacting chain or log."""
    from chain_client.errors import HomeMissing
    from chain_client.home import Home
    from chain_client.ledger.deployment import Deployment

    settings = settings_of(home)
    folder = Home(settings.home)
    if not folder.exists():
        raise HomeMissing(f"{no_home(settings)}, or name it with --home or MLOPS_CHAIN_HOME")
    return ChainClient(settings, Deployment.read(folder.deployment_file))


@contextlib.contextmanager
def progress_bars(*, shown: bool) -> Iterator[ProgressCallback]:
    """Progress bars on a terminal's standard error, one for each kind of work, if shown."""
    error = Console(stderr=True)
    if not shown or not error.is_terminal:
        yield lambda what, done, total: None
        return
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=error,
        transient=True,
    )
    tasks: dict[str, Any] = {}

    def advance(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(what, total=total)
        bars.update(tasks[what], completed=done, total=total)

    with bars:
        yield advance
