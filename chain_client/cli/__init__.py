"""`mlops-chain …`: the command line.

Exit codes: 0 it holds or was done, 1 something differs (``verify``, ``doctor``), 2 it could not
be done; the text says why.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from pathlib import Path

import click

from chain_client.cli.output import print_error
from chain_client.errors import ChainError
from chain_client.shown_text import escape_unprintable


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    help="Home folder; default: MLOPS_CHAIN_HOME, else ./.mlops-chain.",
)
@click.option("-v", "--verbose", is_flag=True, help="Say more on standard error.")
@click.version_option(package_name="mlops-chain")
@click.pass_context
def cli(context: click.Context, home: Path | None, verbose: bool) -> None:
    """Proof of what happened to a model: record, anchor, verify.

    \b
    Example:
      export MLFLOW_TRACKING_URI=chain+sqlite:///mlflow.db
      python train.py
      mlops-chain relay --once
      mlops-chain verify
    """
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    # Libraries speak only when something is wrong.
    for name in ("eth", "alembic", "sqlalchemy", "mlflow", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
    context.obj = home


def _register() -> None:
    from chain_client.cli.airflow import airflow
    from chain_client.cli.alarm import alarm
    from chain_client.cli.approvals import approvals
    from chain_client.cli.deploy import deploy
    from chain_client.cli.doctor import doctor
    from chain_client.cli.draft import draft
    from chain_client.cli.explain import explain
    from chain_client.cli.init import init
    from chain_client.cli.join import join
    from chain_client.cli.key import key
    from chain_client.cli.lineage import lineage
    from chain_client.cli.model import model
    from chain_client.cli.notify import notify
    from chain_client.cli.plugins import plugins
    from chain_client.cli.policy import policy
    from chain_client.cli.relay import relay
    from chain_client.cli.role import role
    from chain_client.cli.ship import ship
    from chain_client.cli.status import status
    from chain_client.cli.sync import sync
    from chain_client.cli.tx import tx
    from chain_client.cli.user import user
    from chain_client.cli.verify import verify

    recording = (init, deploy, join, doctor, status, relay, ship, verify, lineage, explain)
    beside = (airflow, alarm, notify, plugins, tx)
    deciding = (key, user, role, policy, model, approvals, draft, sync)
    for command in (*recording, *beside, *deciding):
        cli.add_command(command)


_register()


def main() -> None:
    """Entry point of the console script."""
    try:
        sys.exit(cli(standalone_mode=False) or 0)
    except click.Abort:
        print_error("aborted")
        sys.exit(2)
    except click.ClickException as exc:
        said = io.StringIO()
        exc.show(said)
        click.echo(escape_unprintable(said.getvalue(), "\n"), nl=False, err=True)
        sys.exit(2)
    except ChainError as exc:
        print_error(str(exc))
        sys.exit(2)
    except BrokenPipeError:
        # The reader (head, less) has gone: not an error, and nothing more can be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as exc:
        # Exit code 1 would say that something differs, and a traceback may show a payload.
        logging.getLogger(__name__).debug("unexpected", exc_info=True)
        print_error(f"unexpected {type(exc).__name__}; run it again with --verbose to see where")
        sys.exit(2)
