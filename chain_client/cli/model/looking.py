"""``mlops-chain model list``, ``show`` and ``history``: by the chain and the log alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from chain_client.cli.governance import governing, to_day
from chain_client.cli.model.shown_checks import checks_json, checks_rows, find_obstacle
from chain_client.cli.output import (
    console,
    json_option,
    print_block,
    print_json,
    print_rows,
    safe,
    shorten,
)
from chain_client.events import Json
from chain_client.governing.models import known_incarnations
from chain_client.hosts import ModelIncarnation
from chain_client.ledger.model_registry_values import Cause
from chain_client.registry.client import RegistryClient
from chain_client.registry.history import HistoryEntry, Lookup, show_policy
from chain_client.registry.proposals import short_id, show_model
from chain_client.registry.standing import show_address
from chain_client.registry.state import Change, RegistryState
from chain_client.registry.targets import Target
from chain_client.types import Digest, to_hex

_CAUSES = {
    Cause.PROMOTED: "promoted",
    Cause.ROLLED_BACK: "rolled back to",
    Cause.BROKE_GLASS: "glass broken",
    Cause.REMOVED: "removed",
}


@click.command("list")
@json_option
@click.pass_obj
def list_models(home: Path | None, as_json: bool) -> None:
    """List what is current on chain, and what waits for approval.

    \b
    Example:
      mlops-chain model list
    """
    with governing(home) as client:
        registry = client.registry
        state, now_s = registry.state(), registry.now_s()
        lookup = registry.lookup(state)
    places = sorted(
        {
            *state.changes,
            *((one.fields.model, one.fields.target) for one in state.open_proposals(now_s)),
        },
        key=lambda place: (lookup.show_model(place[0]), lookup.show_target(place[1])),
    )
    rows = [_place_json(place, state, lookup, now_s) for place in places]
    if as_json:
        print_json({"ok": True, "models": rows})
        return
    if not rows:
        console().print("nothing was ever proposed: mlops-chain model propose NAME VERSION …")
    for row in rows:
        title = f"[bold]{safe(shorten(row['model']))}[/]  {safe(shorten(row['target']))}"
        console().print(f"{title}  {_current_text(row)}", soft_wrap=True)
        for waiting in row["open"]:
            text = f"  version {waiting['version']} waits for approval: {waiting['proposal'][2:14]}"
            if not waiting["is_true"]:
                text += " [bold red]NOT TO BE SIGNED[/]: its text is not in the log, or not true"
            console().print(text, soft_wrap=True)


@click.command()
@click.argument("name")
@json_option
@click.pass_obj
def show(home: Path | None, name: str, as_json: bool) -> None:
    """Show how the model NAME stands: what is current, its policies, proposals and versions.

    \b
    Example:
      mlops-chain model show fraud
    """
    with governing(home) as client:
        registry = client.registry
        known = known_incarnations(registry, name)
        state, now_s = registry.state(), registry.now_s()
        lookup = registry.lookup(state)
        found = [
            _incarnation_json(registry, key, one, state, lookup, now_s)
            for key, one in sorted(known.items(), key=lambda item: item[1].creation_ms)
        ]
    if as_json:
        print_json({"ok": True, "name": name, "incarnations": found})
        return
    for one in found:
        _print_incarnation(one, is_only=len(found) == 1)


@click.command()
@click.argument("name")
@click.option("--target", metavar="TARGET", help="Only what concerns this alias or stage.")
@click.option("--proposal", metavar="ID", help="Only what concerns this proposal.")
@json_option
@click.pass_obj
def history(
    home: Path | None, name: str, target: str | None, proposal: str | None, as_json: bool
) -> None:
    """Tell who did what to the model NAME, when, in which block, and what each signature means.

    It reads the chain and the log, and never MLflow.

    \b
    Examples:
      mlops-chain model history fraud
      mlops-chain model history fraud --target @champion --json
    """
    place = None if target is None else Target.parse(target)
    with governing(home) as client:
        registry = client.registry
        known = known_incarnations(registry, name)
        told = registry.history().of_model(*known)
        if place is not None:
            told = told.of_target(place)
        if proposal is not None:
            told = told.of_proposal(registry.find_document(proposal.removeprefix("0x")).id)
    if as_json:
        print_json(
            {
                "ok": True,
                "name": name,
                "incarnations": [to_hex(key) for key in known],
                "chain_id": client.deployment.chain_id,
                "registry": to_hex(client.deployment.registry or b""),
                "history": told.to_json(),
            }
        )
        return
    for entry in told.entries:
        _print_entry(entry, with_id=len(known) > 1)
    if not told.entries:
        console().print("nothing happened yet")


def _print_entry(entry: HistoryEntry, *, with_id: bool) -> None:
    subject = [entry.what if entry.version is None else f"{entry.what}: version {entry.version}"]
    if entry.target:
        subject.append(f"for {shorten(entry.target)}")
    when = f"{to_day(entry.at_s)}  block {entry.block_number}"
    print_block(f"{when}  [bold]{safe(' '.join(subject))}[/]")
    details = []
    if entry.who is not None:
        who = f"{entry.name} ({to_hex(entry.who)})" if entry.name else to_hex(entry.who)
        details.append(("by", who))
    if entry.meaning:
        details.append(("meaning", entry.meaning))
    if entry.proposal_id is not None:
        details.append(("proposal", short_id(entry.proposal_id)))
    if with_id and entry.model is not None:
        details.append(("model", shorten(to_hex(entry.model))))
    if entry.detail:
        details.append(("detail", shorten(entry.detail)))
    if details:
        print_rows((f"  [dim]{label}[/]", text) for label, text in details)


def _place_json(
    place: tuple[Digest, Digest], state: RegistryState, lookup: Lookup, now_s: int
) -> dict[str, Any]:
    model, target = place
    waiting = [
        {
            "proposal": to_hex(one.id),
            "version": one.fields.version,
            "is_true": one.id in lookup.documents,
        }
        for one in state.open_proposals(now_s)
        if (one.fields.model, one.fields.target) == place
    ]
    return {
        "model": lookup.show_model(model),
        "model_id": to_hex(model),
        "target": lookup.show_target(target),
        **_change_json(state.current(model, target), state),
        "open": waiting,
    }


def _change_json(change: Change | None, state: RegistryState) -> dict[str, Any]:
    if change is None:
        return {"version": None, "cause": None, "since_s": None, "is_revoked": False}
    record = state.versions.get((change.model, change.version))
    return {
        "version": change.version or None,
        "cause": change.cause.name.lower(),
        "since_s": change.at_s,
        "is_revoked": record is not None and record.is_revoked,
        "proposal": None if change.proposal_id is None else to_hex(change.proposal_id),
        "sequence": change.sequence,
        "block": change.block_number,
    }


def _current_text(row: Mapping[str, Any]) -> str:
    if row["cause"] is None:
        return "nothing promoted yet"
    how = _CAUSES[Cause[row["cause"].upper()]]
    since = to_day(row["since_s"])
    if row["version"] is None:
        return f"no version ({how} {since})"
    revoked = " [bold red]REVOKED[/]" if row["is_revoked"] else ""
    glass = "[bold yellow]" + how + "[/]" if row["cause"] == "broke_glass" else how
    return f"version {row['version']} ({glass} {since}){revoked}"


def _incarnation_json(
    registry: RegistryClient,
    key: Digest,
    model: ModelIncarnation,
    state: RegistryState,
    lookup: Lookup,
    now_s: int,
) -> dict[str, Any]:
    targets = {target for of, target in state.changes if of == key}
    targets |= {one.fields.target for one in state.proposals.values() if one.fields.model == key}
    targets |= {target for (of, target) in state.own_policies() if of == key}
    return {
        "model": show_model(model),
        "model_id": to_hex(key),
        "store": model.store_id,
        "created_ms": model.creation_ms,
        "targets": [
            {
                **_place_json((key, target), state, lookup, now_s),
                "policy": _policy_json(key, target, state, lookup),
                "open": list(_open_json(registry, key, target, state, now_s, lookup)),
            }
            for target in sorted(targets, key=lookup.show_target)
        ],
        "versions": [
            {
                "version": version,
                "registered_at_s": record.registered_at_s,
                "registrant": to_hex(record.registrant),
                "leaf_index": record.leaf_index,
                "is_revoked": record.is_revoked,
            }
            for (of, version), record in sorted(state.versions.items(), key=lambda item: item[0])
            if of == key
        ],
    }


def _policy_json(key: Digest, target: Digest, state: RegistryState, lookup: Lookup) -> str | None:
    interval = state.policy(key, target)
    if interval is None or interval.policy is None:
        return None
    return show_policy(interval.policy, lookup)


def _open_json(
    registry: RegistryClient,
    key: Digest,
    target: Digest,
    state: RegistryState,
    now_s: int,
    lookup: Lookup,
) -> Iterator[dict[str, Json]]:
    for record in state.open_proposals(now_s):
        if (record.fields.model, record.fields.target) != (key, target):
            continue
        document = lookup.documents.get(record.id)
        who = show_address(record.fields.requester, lookup.users)
        common: dict[str, Json] = {
            "proposal": to_hex(record.id),
            "version": record.fields.version,
            "requester": to_hex(record.fields.requester),
            "by": who,
        }
        if document is None:
            yield {
                **common,
                "text": "its text is not in the log, or not true: nobody should sign it",
            }
        else:
            checks = checks_json(document, find_obstacle(registry, document))
            yield {**common, "checks": checks, **registry.standing(document).to_json()}


def _print_incarnation(one: Mapping[str, Any], *, is_only: bool) -> None:
    out = console()
    made = f"  registered {to_day(one['created_ms'] / 1000)} in {safe(one['store'])}"
    out.print(f"[bold]{safe(one['model'])}[/]{'' if is_only else made}", soft_wrap=True)
    for place in one["targets"]:
        out.print(f"{safe(shorten(place['target']))}  {_current_text(place)}", soft_wrap=True)
        policy = place["policy"] or "none: not gated"
        rows = [("  [dim]policy[/]", policy)]
        for waiting in place["open"]:
            rows.append(
                (
                    "  [dim]waits[/]",
                    f"{waiting['proposal'][2:14]}  version {waiting['version']}, asked "
                    f"by {waiting['by']}: {waiting['text']}",
                )
            )
            rows += checks_rows(waiting.get("checks"), "  ")
        print_rows(rows)
    for version in one["versions"]:
        revoked = "  [bold red]REVOKED[/]" if version["is_revoked"] else ""
        out.print(
            f"version {version['version']}  on chain since {to_day(version['registered_at_s'])}, "
            f"attested by leaf {version['leaf_index']}{revoked}",
            soft_wrap=True,
        )
