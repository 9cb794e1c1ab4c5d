"""``mlops-chain join``."""

from __future__ import annotations

from pathlib import Path

import click

from chain_client.cli.output import (
    console,
    json_option,
    print_json,
    print_rows,
    safe,
    settings_of,
)
from chain_client.deploying.joining import Invitation, invite, missing_here
from chain_client.deploying.joining import join as join_deployment
from chain_client.errors import ConfigurationError


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--make", is_flag=True, help="Write FILE for other machines, from this home.")
@click.option(
    "--salt",
    "salt_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The deployment's registry-salt, which was handed over apart from FILE.",
)
@json_option
@click.pass_obj
def join(home: Path | None, file: Path, make: bool, salt_file: Path | None, as_json: bool) -> None:
    """Make a home on a further machine, for a deployment that stands.

    FILE holds no secret. `ledger.url` and `log.url` of this machine have to be set; they are
    seen to lead to the deployment's chain and log before anything is written.

    \b
    Example:
      mlops-chain join --make join.json        on the first machine
      mlops-chain join join.json --salt salt   on the others
    """
    settings = settings_of(home)
    if make:
        if salt_file is not None:
            raise click.UsageError("--make writes no secret; hand the salt over yourself")
        invitation = invite(settings)
        try:
            with file.open("x", encoding="utf-8") as stream:
                stream.write(invitation.to_json())
        except FileExistsError as exc:
            raise ConfigurationError(f"{file} exists already; it is not replaced") from exc
        except OSError as exc:
            raise ConfigurationError(f"{file} can't be written: {exc.strerror or exc}") from exc
        if as_json:
            print_json({"file": str(file), "settings": invitation.settings})
        else:
            console().print(f"[green]written[/] {safe(str(file))}; it holds no secret")
        return
    made = join_deployment(settings, Invitation.read(file), salt_file)
    lacking = missing_here(settings)
    if as_json:
        print_json(
            {
                "home": str(settings.home),
                "deployment_id": made.deployment_id,
                "chain_id": made.chain_id,
                "missing": lacking,
            }
        )
        return
    out = console()
    out.print(
        f"[green]joined[/] {safe(str(settings.home))}: deployment {made.deployment_id} on chain "
        f"{made.chain_id}"
    )
    if lacking:
        out.print("it records and verifies; without these files it can't do this:")
        print_rows((f"  {name}", what) for name, what in lacking.items())
