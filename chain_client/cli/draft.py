"""``mlops-chain draft``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from chain_client.cli.governance import governing, timeout_option, to_day
from chain_client.cli.model.proposing import carry_out
from chain_client.cli.model.statements import asked_of, signing_options
from chain_client.cli.model.waiting import wait_option
from chain_client.cli.output import console, counted, json_option, print_json, print_rows, safe
from chain_client.client import ChainClient
from chain_client.governing.logged import bring_in
from chain_client.governing.proposing import Wish
from chain_client.registry.drafts import Draft, get_draft, list_drafts
from chain_client.shown_text import escape_unprintable, quote_word


@click.group()
def draft() -> None:
    """See what the gate refused, and propose it.

    Whoever is refused has made a draft. Somebody with a requester's key can propose it as it is.

    \b
    Examples:
      mlops-chain draft list
      mlops-chain draft propose 3f9a
    """


@draft.command("list")
@click.option("--all", "everything", is_flag=True, help="Also removals and mere warnings.")
@json_option
@click.pass_obj
def list_all(home: Path | None, everything: bool, as_json: bool) -> None:
    """List what the gate refused, newest first; the same wish of the same user once.

    \b
    Example:
      mlops-chain draft list
    """
    with governing(home) as client:
        bring_in(client)
        found = sorted(list_drafts(client.log), key=lambda one: one.time_us, reverse=True)
        shop = {binding.store_id: binding.to_shown_uri() for binding in client.folder.addresses()}
    if not everything:
        found = [one for one in found if one.version is not None and one.mode == "enforce"]
    shown = found if everything else _latest(found)
    if as_json:
        print_json({"ok": True, "drafts": [_to_json(one) for one in shown]})
        return
    if not shown:
        console().print("nothing was refused" if everything else "no draft waits")
        return
    for one in shown:
        console().print(f"[bold]{one.id}[/]  {safe(wish_of(one))}", soft_wrap=True)
        where = f" in {shop[one.store_id]}" if len(shop) > 1 and one.store_id in shop else ""
        text = f"  {one.who}, {to_day(one.time_us / 1e6)}{where}"
        console().print(safe(text), soft_wrap=True)
    console().print(f"{counted(len(shown), 'draft')}; mlops-chain draft propose ID proposes one")


@draft.command("show")
@click.argument("draft_id", metavar="ID")
@json_option
@click.pass_obj
def show(home: Path | None, draft_id: str, as_json: bool) -> None:
    """Show one draft, whose ID may be cut as long as it is the only one that begins so.

    \b
    Example:
      mlops-chain draft show 3f9a
    """
    with governing(home) as client:
        one = find(client, draft_id)
    if as_json:
        print_json({"ok": True, **_to_json(one)})
        return
    print_rows(
        [
            ("draft", one.id),
            ("wish", wish_of(one)),
            *([("workspace", one.workspace)] if one.workspace else []),
            ("by", f"{one.who}, {to_day(one.time_us / 1e6)}"),
            ("database", one.store_id),
            ("refused" if one.mode == "enforce" else "warned of", one.reason),
        ]
    )


@draft.command("propose")
@click.argument("draft_id", metavar="ID")
@click.option("--again", is_flag=True, help="Propose although it is proposed already.")
@signing_options("The requester's key: keystore:FILE, or the file.")
@click.option("--requester", metavar="WHO", help="Who is to sign the file of --out.")
@wait_option("promoted")
@timeout_option
@json_option
@click.pass_context
def propose(
    context: click.Context,
    /,
    draft_id: str,
    again: bool,
    requester: str | None,
    wait: bool,
    timeout_s: float,
    **options: Any,
) -> None:
    """Propose a draft as it is; its ID may be cut as long as it is the only one that begins so.

    \b
    Example:
      mlops-chain draft propose 3f9a --key ~/keys/ada.json
    """
    asked = asked_of(options)
    with governing(context.obj) as client:
        one = find(client, draft_id)
        name = f"{one.workspace}/{one.model}" if one.workspace else one.model
        if one.version is None:
            raise click.UsageError(
                f"the draft is to leave {one.target}, which no proposal can: approvers do that "
                f"with mlops-chain model remove {quote_word(name)} --target {one.target}"
            )
        stores = {binding.store_id: binding.uri for binding in client.folder.addresses()}
        wish = Wish(
            name,
            one.version,
            one.target,
            tracking_uri=stores.get(one.store_id),
            requester=requester,
            again=again,
        )
        carry_out(client, asked, wish, timeout_s, wait=wait)


def find(client: ChainClient, draft_id: str) -> Draft:
    """The draft whose id begins so.

    Raises:
        UnknownName: there is none, or there are several.
    """
    bring_in(client)  # whoever was just refused looks at once
    return get_draft(client.log, draft_id.removeprefix("0x").lower())


def wish_of(one: Draft) -> str:
    """What was wanted, in a line."""
    model = escape_unprintable(one.model)
    if one.version is None:
        return f"{model}: leave {one.target}"
    return f"{model} {one.version} → {one.target}"


def _latest(found: list[Draft]) -> list[Draft]:
    """Of equal wishes of one user, the newest."""
    latest: dict[Any, Draft] = {}
    for one in found:
        key = (one.store_id, one.workspace, one.model, one.version, str(one.target), one.who)
        latest.setdefault(key, one)
    return list(latest.values())


def _to_json(one: Draft) -> dict[str, Any]:
    return {
        "id": one.id,
        "store": one.store_id,
        "workspace": one.workspace,
        "model": one.model,
        "version": one.version,
        "target": str(one.target),
        "who": one.who,
        "authenticated": one.actor.authenticated,
        "time_us": one.time_us,
        "mode": one.mode,
        "reason": one.reason,
    }
