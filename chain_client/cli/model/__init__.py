"""``mlops-chain model``: propose, decide, promote, look."""

from __future__ import annotations

import click


@click.group()
def model() -> None:
    """Decide which version of a model is current, and see who decided.

    \b
    A requester proposes:    propose
    Approvers decide:        approve, review, reject (mlops-chain approvals lists what waits)
    The requester takes back: withdraw
    Anybody carries out:     promote (a relay does it by itself)
    Approvers go back:       rollback, remove
    Breakers act at once:    break-glass, revoke
    Everybody looks:         list, show, history, check

    \b
    Examples:
      mlops-chain model propose fraud 7 --target @champion --key ~/keys/ada.json
      mlops-chain model approve 3f9a1c --key ~/keys/bob.json
      mlops-chain model history fraud
    """


def _register() -> None:
    from chain_client.cli.model.breaking import break_glass, revoke
    from chain_client.cli.model.checking import check
    from chain_client.cli.model.deciding import approve, reject, review, withdraw
    from chain_client.cli.model.looking import history, list_models, show
    from chain_client.cli.model.promoting import promote
    from chain_client.cli.model.proposing import propose
    from chain_client.cli.model.returning import remove, rollback

    looking = (list_models, show, history, check)
    deciding = (propose, approve, review, reject, withdraw, promote)
    for command in (*deciding, rollback, remove, break_glass, revoke, *looking):
        model.add_command(command)


_register()
