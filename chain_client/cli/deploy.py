"""``mlops-chain deploy``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chain_client.cli.init import to_delay_s
from chain_client.cli.output import (
    console,
    json_option,
    print_error,
    print_json,
    print_note,
    print_rows,
    safe,
    settings_of,
    shorten,
)
from chain_client.config import Settings
from chain_client.deploying.network import FundsNeeded, deploy_to_network, plan_deployment
from chain_client.deploying.owner import Declined
from chain_client.deploying.plan import KeyNeed, Plan, show_wei
from chain_client.deploying.records import address_book
from chain_client.home import Home
from chain_client.ledger.deployment import Deployment
from chain_client.types import to_hex

if TYPE_CHECKING:
    from chain_client.deploying.cross import CrossPlan


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what it would do and cost; send nothing.")
@click.option(
    "--timelock-delay",
    "timelock_delay_s",
    metavar="DURATION",
    callback=to_delay_s,
    help="Let changes of policies and rights wait so long, such as 2d; for production.",
)
@click.option("--fund-later", is_flag=True, help="Ask for the owner's funds only.")
@click.option("--cross", is_flag=True, help="Put an EventLog on the second chain instead.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_obj
def deploy(
    home: Path | None,
    dry_run: bool,
    timelock_delay_s: int | None,
    fund_later: bool,
    cross: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Bring the contracts to the network that `ledger.url` names.

    Makes the keys first, and sends nothing before they have what they need. Safe to run again:
    what a crash left unfinished is finished. A home that is deployed is never deployed again.

    \b
    Example:
      mlops-chain deploy --dry-run --timelock-delay 2d
      mlops-chain deploy --timelock-delay 2d
    """
    settings = settings_of(home)
    if cross:
        if timelock_delay_s is not None or fund_later:
            raise click.UsageError("--cross goes with --dry-run, --yes and --json only")
        _deploy_cross(settings, dry_run=dry_run, yes=yes, as_json=as_json)
        return
    if dry_run:
        plan = plan_deployment(settings, timelock_delay_s)
        if as_json:
            print_json({**plan.to_json(), "dry_run": True})
        else:
            _print_plan(plan)
            console().print("nothing was written, and nothing was sent")
        return
    _check_can_ask(yes=yes, as_json=as_json)

    def confirm(plan: Plan) -> bool:
        if yes:
            return True
        _print_plan(plan)
        return _ask()

    try:
        made = deploy_to_network(
            settings,
            timelock_delay_s=timelock_delay_s,
            confirm=confirm,
            fund_later=fund_later,
            progress=_tell,
        )
    except Declined as exc:
        raise click.Abort from exc
    except FundsNeeded as exc:
        if as_json:
            raise
        _print_needs(exc.keys)
        click.get_current_context().exit(2)
    _print_summary(settings, made, as_json)


def _check_can_ask(*, yes: bool, as_json: bool) -> None:
    if as_json and not yes:
        raise click.UsageError("--json asks nothing: give --yes too, or --dry-run")


def _ask() -> bool:
    try:
        return click.confirm("send these transactions?")
    except click.Abort as exc:
        # The end of a standard input that is no terminal's; Ctrl-C aborts as ever.
        if isinstance(exc.__context__, EOFError):
            raise click.UsageError(
                "nobody answers, as standard input is no terminal; nothing was sent. Give --yes "
                "to send without being asked"
            ) from exc
        raise


def _tell(text: str) -> None:
    print_note(shorten(text))


def _print_needs(keys: Sequence[KeyNeed]) -> None:
    print_error("keys have too little of the chain's coin, and nothing was sent")
    rows = [("[dim]address[/]", "[dim]key[/]", "[dim]has[/]", "needs more")]
    for key in keys:
        has = show_wei(key.balance_wei or 0)
        rows.append((to_hex(key.address or b""), key.role, has, show_wei(key.missing_wei)))
    print_rows(rows, err=True)
    print_note("send each what it needs, and some more as fees move, and run this again")


def _print_plan(plan: Plan) -> None:
    out = console()
    out.print(f"chain {plan.chain_id} at {safe(plan.ledger_url)}")
    delay = plan.timelock_delay_s
    lock = "no timelock: the owner's key administers the registry at once"
    out.print(lock if delay is None else f"a timelock of {delay} s administers the registry")
    print_rows(
        (
            "[green]done[/]" if one.done else "",
            f"{one.step.gas_used:>9,} gas",
            f"{show_wei(one.step.gas_used * plan.price_wei):>12}",
            one.step.text + (f" at {to_hex(one.address)}" if one.address else ""),
        )
        for one in plan.steps
    )
    if plan.max_fee_wei:
        out.print(
            f"costs about {show_wei(plan.cost_wei)} of the chain's coin: {plan.gas:,} gas at "
            f"{plan.price_wei / 10**9:.6g} gwei"
        )
        out.print("keys, and what each needs at the highest fee it would pay:")
    else:
        out.print(f"costs nothing: {plan.gas:,} gas, and gas is free on this chain")
        out.print("keys, none of which needs any coin:")
    print_rows(
        (
            f"  [bold]{key.role}[/]",
            f"{show_wei(key.least_wei):>12}",
            ("not made yet" if key.address is None else to_hex(key.address))
            + ("" if key.balance_wei is None else f" has {show_wei(key.balance_wei)}")
            + f"; for {key.purpose}; {key.rights}",
        )
        for key in plan.keys
    )


def _print_summary(settings: Settings, made: Deployment, as_json: bool) -> None:
    home = Home(settings.home)
    document: dict[str, Any] = {
        "home": str(home.path),
        "deployment_id": made.deployment_id,
        "chain_id": made.chain_id,
        "event_log": to_hex(made.event_log),
        "log_id": to_hex(made.log_id),
        "registry": made.registry and to_hex(made.registry),
        "timelock": made.timelock and to_hex(made.timelock),
        "owner": to_hex(made.owner),
        "writer": to_hex(made.writer),
        "address_book": str(address_book(home, made.chain_id)),
        "verification": str(home.path / "verification"),
    }
    if as_json:
        print_json(document)
        return
    out = console()
    out.print(f"[green]deployed[/] {safe(str(document['home']))}")
    rows = [
        ("deployment", made.deployment_id),
        ("chain", f"{made.chain_id} ({made.ledger_url})"),
        ("EventLog", document["event_log"]),
        ("registry", document["registry"]),
        ("timelock", document["timelock"]),
        ("log writer", document["writer"]),
        ("addresses", document["address_book"]),
        ("explorers", document["verification"]),
    ]
    print_rows((f"  {name}", str(value)) for name, value in rows if value)
    out.print("next: mlops-chain doctor; mlops-chain relay; on other machines mlops-chain join")


def _deploy_cross(settings: Settings, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    from chain_client.deploying.cross import deploy_cross, plan_cross

    if dry_run:
        plan = plan_cross(settings)
        if as_json:
            print_json({**_cross_to_json(plan), "dry_run": True})
        else:
            _print_cross(plan)
            console().print("nothing was written, and nothing was sent")
        return
    _check_can_ask(yes=yes, as_json=as_json)

    def confirm(plan: CrossPlan) -> bool:
        if yes:
            return True
        _print_cross(plan)
        return _ask()

    try:
        made = deploy_cross(settings, confirm=confirm, progress=_tell)
    except Declined as exc:
        raise click.Abort from exc
    document = {
        "chain_id": made.chain_id,
        "event_log": to_hex(made.event_log),
        "log_id": to_hex(made.log_id),
        "writer": to_hex(made.writer),
    }
    if as_json:
        print_json(document)
        return
    console().print(f"[green]deployed[/] on the second chain {made.chain_id} ({made.ledger_url})")
    print_rows((f"  {name}", str(document[name])) for name in ("event_log", "log_id", "writer"))


def _cross_to_json(plan: CrossPlan) -> dict[str, Any]:
    return {
        "chain_id": plan.chain_id,
        "ledger_url": plan.ledger_url,
        "key": plan.key and to_hex(plan.key),
        "gas": plan.gas,
        "gas_price_wei": plan.price_wei,
        "cost_wei": plan.cost_wei,
        "balance_wei": plan.balance_wei,
        "least_wei": plan.least_wei,
    }


def _print_cross(plan: CrossPlan) -> None:
    out = console()
    out.print(f"second chain {plan.chain_id} at {safe(plan.ledger_url)}: an EventLog, and the log")
    if plan.price_wei:
        out.print(
            f"costs at most {show_wei(plan.cost_wei)} of that chain's coin: {plan.gas:,} gas at "
            f"{plan.price_wei / 10**9:.6g} gwei"
        )
    else:
        out.print(f"costs nothing: {plan.gas:,} gas, and gas is free on that chain")
    key = "not made yet" if plan.key is None else to_hex(plan.key)
    out.print(
        f"cross.key {key} has {show_wei(plan.balance_wei)} and needs {show_wei(plan.least_wei)}, "
        "with a day of anchors",
        soft_wrap=True,
    )
