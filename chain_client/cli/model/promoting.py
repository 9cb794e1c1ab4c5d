"""``mlops-chain model promote``."""

from __future__ import annotations

from pathlib import Path

import click

from chain_client.cli.governance import governing, timeout_option
from chain_client.cli.model.deciding import find_document
from chain_client.cli.model.waiting import tell_standing, wait_option, wait_until
from chain_client.cli.output import json_option, print_json
from chain_client.errors import PromotionDenied
from chain_client.ledger.model_registry_values import ProposalStatus
from chain_client.types import to_hex


@click.command()
@click.argument("proposal")
@wait_option("promotable")
@timeout_option
@json_option
@click.pass_obj
def promote(home: Path | None, proposal: str, wait: bool, timeout_s: float, as_json: bool) -> None:
    """Make an approved PROPOSAL's version current on chain; anybody can, once nothing is missing.

    A relay does this by itself, and sets the alias in MLflow. No key is needed: the home's
    submitter sends it.

    \b
    Example:
      mlops-chain model promote 3f9a1c
    """
    with governing(home) as client:
        registry = client.registry
        document = find_document(client, proposal)
        if wait:
            wait_until(client, document, "promotable", timeout_s, shown=not as_json)
        standing = registry.standing(document)
        if standing.status is not ProposalStatus.PROMOTED and not standing.is_promotable:
            raise PromotionDenied(f"it can't be promoted now: {standing.text}")
        done = registry.promote(document)
        standing = registry.standing(document)
    if as_json:
        transaction = None if done.tx_hash is None else to_hex(done.tx_hash)
        print_json({"ok": True, "transaction": transaction, **standing.to_json()})
    else:
        tell_standing(document, standing)
