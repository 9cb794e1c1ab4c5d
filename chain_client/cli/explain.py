"""``mlops-chain explain``."""

from __future__ import annotations

import click

from chain_client.cli.databases import bindings_of
from chain_client.cli.output import (
    account_name,
    console,
    json_option,
    open_client,
    print_json,
    progress_bars,
    safe,
    shorten,
)
from chain_client.cli.verify import short
from chain_client.client import ChainClient
from chain_client.clock import SystemClock
from chain_client.errors import ConfigurationError
from chain_client.events import Actor
from chain_client.home import OWNER_KEY
from chain_client.hosts import Finding, Scope
from chain_client.signing import Signer, open_signer
from chain_client.types import to_hex
from chain_client.verify.explanations import (
    KINDS,
    STORE_EXPLAINED,
    Statement,
    split,
    subject_of,
    to_item,
    trusted_signers,
)

_SHOWN = 50


@click.command()
@click.option("--kind", type=click.Choice(KINDS), required=True, help="What the cause was.")
@click.option("--reason", required=True, help="What happened, in your own words.")
@click.option("--who", help="Your name; default: the name of your account.")
@click.option(
    "--subject",
    "subjects",
    multiple=True,
    metavar="PREFIX",
    help="Only findings whose subject begins so; may be given several times.",
)
@click.option("--run", "run_id", metavar="ID", help="Only findings of one run.")
@click.option("--model", metavar="NAME", help="Only findings of one registered model.")
@click.option("--tracking-uri", help="Only findings of this MLflow database; as for verify.")
@click.option(
    "--key",
    "key_uri",
    default=OWNER_KEY,
    show_default=True,
    help="The key that signs; it must be the deployment owner's.",
)
@click.option("--yes", is_flag=True, help="Don't ask.")
@json_option
@click.pass_context
def explain(
    context: click.Context,
    kind: str,
    reason: str,
    who: str | None,
    subjects: tuple[str, ...],
    run_id: str | None,
    model: str | None,
    tracking_uri: str | None,
    key_uri: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Say for the record why MLflow differs from it: signed, and for ever.

    It verifies, shows what differs in MLflow, and records that you explain it. From then on
    `verify` reports it as explained, and whatever changes further is a finding again. What differs
    in chain, log or sources can't be explained.

    \b
    Example:
      mlops-chain explain --kind restored_backup --reason "disk failure, backup of 1 May"
    """
    if run_id and model:
        raise click.UsageError("give --run or --model, not both")
    if as_json and not yes:
        raise click.UsageError("--json asks nothing: give --yes too")
    if not reason.strip():
        raise click.UsageError("--reason is empty")
    client = open_client(context.obj)
    signer = _trusted(client, key_uri)
    with progress_bars(shown=not as_json) as progress:
        report = client.verify(
            Scope(run_id=run_id, model=model),
            bindings=bindings_of(client, tracking_uri),
            progress=progress,
        )
    if not report.log_is_whole:
        raise ConfigurationError(
            "chain or log are not as they were anchored, so what differs in MLflow may follow from "
            "that. Run `mlops-chain verify`, and put the newest copy of the home back first"
        )
    found = [
        (store_id, finding)
        for store_id, finding in report.explainable
        if not subjects or finding.subject.startswith(subjects)
    ]
    if not as_json:
        _print(found)
    if found and not yes:
        click.confirm(_question(len(found)), abort=True)
    who = who or account_name()
    events = _record(client, signer, found, kind, reason, who) if found else 0
    client.close()
    if as_json:
        print_json(
            {
                "ok": True,
                "explained": [
                    {"store": store_id, "kind": finding.kind, "subject": finding.subject}
                    for store_id, finding in found
                ],
                "events": events,
                "who": who,
                "signer": to_hex(signer.address()),
            }
        )
    elif found:
        console().print(f"[green]recorded[/] by {safe(who)}, signed by {to_hex(signer.address())}")


def _trusted(client: ChainClient, key_uri: str) -> Signer:
    signer = open_signer(key_uri, base=client.home)
    if signer.address() not in trusted_signers(client.deployment):
        raise ConfigurationError(
            f"the key {key_uri} is {to_hex(signer.address())}, but only explanations of the "
            f"deployment's owner, {to_hex(client.deployment.owner)}, count: name its key by --key"
        )
    return signer


def _record(
    client: ChainClient,
    signer: Signer,
    found: list[tuple[str, Finding]],
    kind: str,
    reason: str,
    who: str,
) -> int:
    """Record what was shown; how many events that took."""
    count = 0
    clock = SystemClock()
    recorder = client.recorder
    try:
        for store_id in dict.fromkeys(store_id for store_id, _ in found):
            items = [to_item(finding) for of, finding in found if of == store_id]
            for part in split(items):
                deployment = client.deployment
                statement = Statement(
                    deployment.deployment_id, store_id, kind, reason, who, clock.time_us(), part
                )
                recorder.note(
                    STORE_EXPLAINED,
                    subject_of(store_id),
                    statement.to_payload(deployment, signer),
                    actor=Actor(claimed=who),
                    required=True,
                )
                count += 1
    finally:
        recorder.close()
    return count


def _question(count: int) -> str:
    these = "this one is" if count == 1 else f"these {count} are"
    return f"Record for ever that {these} explained?"


def _print(found: list[tuple[str, Finding]]) -> None:
    if not found:
        console().print("There is nothing to explain: MLflow shows what was recorded.")
        return
    out = console()
    for _, finding in found[:_SHOWN]:
        # Ids and values are searched and copied: no line is broken by us.
        out.print(f"[bold]{finding.kind}[/]  {safe(shorten(finding.subject))}", soft_wrap=True)
        change = f"{short(finding.expected)} → {short(finding.actual)}"
        out.print(f"  {safe(change)}", soft_wrap=True)
    if len(found) > _SHOWN:
        out.print(f"… and {len(found) - _SHOWN} more; verify --json prints all")
