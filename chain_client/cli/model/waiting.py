"""How a proposal stands, for people; and waiting until it stands otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
from rich.console import Console

from chain_client.cli.model.shown_checks import checks_json, checks_rows
from chain_client.cli.output import print_rows, safe
from chain_client.client import ChainClient
from chain_client.governing.logged import bring_in
from chain_client.ledger.model_registry_values import ProposalStatus
from chain_client.registry.proposals import ProposalDocument, short_id, show_model
from chain_client.registry.standing import Standing
from chain_client.shown_text import escape_unprintable

_Function = TypeVar("_Function", bound=Callable[..., Any])


def wait_option(until: str) -> Callable[[_Function], _Function]:
    """The option ``--wait``.

    Args:
        until: what is waited for.
    """
    return click.option(
        "--wait", is_flag=True, help=f"Wait until it is {until}, at most --timeout seconds."
    )


def wish_of(document: ProposalDocument) -> str:
    """What is proposed, in a line."""
    model = escape_unprintable(show_model(document.names.model))
    return f"{model} {document.version} → {document.names.target}"


def tell_standing(document: ProposalDocument, standing: Standing) -> None:
    """How a proposal stands, and what comes next."""
    rows = [
        ("proposal", f"{short_id(document.id)}  {wish_of(document)}"),
        ("stands", standing.text),
    ]
    rows += checks_rows(checks_json(document))
    coming = _next(document, standing)
    print_rows([*rows, *([("next", coming)] if coming else [])])


def wait_until(
    client: ChainClient, document: ProposalDocument, until: str, timeout_s: float, *, shown: bool
) -> Standing:
    """Wait until a proposal stands so, telling every change on standard error.

    What was recorded is brought into the log before, for others can act on it only there.

    Raises:
        NotInTime: it does not in time, or never will.
    """
    if client.recorder.source_id is not None:
        bring_in(client)
    error = Console(stderr=True, highlight=False)

    def tell(standing: Standing) -> None:
        if shown:
            error.print(f"[dim]waiting:[/] {safe(standing.text)}", soft_wrap=True)

    return client.registry.wait_for(document, until, timeout_s=timeout_s, progress=tell)


def _next(document: ProposalDocument, standing: Standing) -> str:
    name = short_id(document.id)
    if standing.status is ProposalStatus.PROMOTED:
        return "a relay sets it in MLflow within seconds; without one: mlops-chain sync"
    if standing.is_closed or standing.status is not ProposalStatus.OPEN:
        return ""
    if standing.is_promotable:
        return f"mlops-chain model promote {name} (a relay does it by itself)"
    if not standing.has_quorum and standing.may_still_approve:
        return f"mlops-chain model approve {name} --key … (by an approver)"
    return ""
