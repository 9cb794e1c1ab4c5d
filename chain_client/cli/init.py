"""``mlops-chain init``."""

from __future__ import annotations

from pathlib import Path

import click

from chain_client.cli.output import (
    console,
    json_option,
    print_json,
    print_note,
    safe,
    settings_of,
)
from chain_client.client import ChainClient
from chain_client.deploying.owner import is_network, says_nothing
from chain_client.errors import InvalidInput
from chain_client.home import Home
from chain_client.provision import provision
from chain_client.registry.durations import parse_duration
from chain_client.types import to_hex

_NEXT = (
    "MLFLOW_TRACKING_URI=chain+sqlite:///mlflow.db python train.py",
    "mlflow server --backend-store-uri chain+sqlite:///mlflow.db",
    "MLFLOW_TRACKING_URI=chain+https://a-server-of-others python train.py",
)


def to_delay_s(context: click.Context, option: click.Parameter, value: str | None) -> int | None:
    """A timelock's delay in seconds, of an option in words.

    Raises:
        BadParameter: it is no duration, or zero.
    """
    if value is None:
        return None
    try:
        seconds = parse_duration(value)
    except InvalidInput as exc:
        raise click.BadParameter(str(exc)) from exc
    if seconds == 0:
        raise click.BadParameter("expected a duration such as 2d; with none nothing would wait")
    return seconds


@click.command()
@click.option(
    "--timelock-delay",
    "timelock_delay_s",
    metavar="DURATION",
    callback=to_delay_s,
    help="Let changes of policies and rights wait so long, such as 2d; for production.",
)
@json_option
@click.pass_obj
def init(home: Path | None, timelock_delay_s: int | None, as_json: bool) -> None:
    """Make a home: keys, embedded chain, contracts and log. For a network, see deploy.

    Safe to run again: what is there stays, what a crash left unfinished is finished, and a home of
    an earlier version gets what it lacks.

    \b
    Example:
      mlops-chain --home /srv/mlops-chain init
    """
    settings = settings_of(home)
    existed = Home(settings.home).exists()
    if not existed:
        # Not by `create=True`, which logs what is printed below.
        provision(settings, timelock_delay_s=timelock_delay_s)
    client = ChainClient.open(settings)
    told = print_note if is_network(settings) else says_nothing
    client.provide_registry(timelock_delay_s=timelock_delay_s, told=told)
    deployment = client.deployment
    document = {
        "home": str(client.home),
        "created": not existed,
        "deployment_id": deployment.deployment_id,
        "chain_id": deployment.chain_id,
        "event_log": to_hex(deployment.event_log),
        "log_id": to_hex(deployment.log_id),
        "owner": to_hex(deployment.owner),
        "writer": to_hex(deployment.writer),
        "registry": deployment.registry and to_hex(deployment.registry),
        "timelock": deployment.timelock and to_hex(deployment.timelock),
    }
    client.close()
    if as_json:
        print_json(document)
        return
    out = console()
    out.print(f"[green]{'ready' if existed else 'created'}[/] {safe(str(document['home']))}")
    out.print(f"  deployment  {document['deployment_id']}")
    out.print(f"  chain       {document['chain_id']} ({settings.ledger_url})")
    out.print(f"  EventLog    {document['event_log']}")
    out.print(f"  log writer  {document['writer']}")
    out.print(f"  registry    {document['registry']}")
    if deployment.timelock is not None:
        out.print(f"  timelock    {document['timelock']}")
    if not existed:
        out.print("next, one of:")
        for command in _NEXT:
            out.print(f"  {command}", soft_wrap=True)
        out.print("then mlops-chain verify")
