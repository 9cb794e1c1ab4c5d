"""An `EventLog` for the home's log on a second chain, once."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path

from chain_client.config import Settings
from chain_client.cross.place import to_second
from chain_client.deploying.fitness import check_fitness
from chain_client.deploying.owner import (
    Progress,
    is_of_this_machine,
    key_address,
    owning,
    says_nothing,
)
from chain_client.deploying.plan import ANCHOR_GAS, show_wei
from chain_client.errors import ConfigurationError, TransactionRejected
from chain_client.home import Home
from chain_client.ledger import Ledger, create_embedded
from chain_client.ledger.deployment import Deployment, deploy
from chain_client.types import Address, to_hex

_EMBEDDED = "embedded:"
_DEPLOY_GAS = 1_700_000
"""Gas limit of both transactions together; they use 1.33 million."""
_STOCK_ANCHORS = 24
"""So many anchors must be paid for too, before anything is sent: a day's."""


def deploy_cross(settings: Settings, *, progress: Progress = says_nothing) -> Deployment:
    """Deploy an `EventLog` on the second chain and open a log in it, written by ``cross.key``.

    Guarantee: after a crash at any point, calling it again goes on where it broke off; there is
    never a second contract. If ``cross-deployment.json`` exists, it is only read.

    Args:
        settings: of a whole home that names a second chain.
        progress: told what was done.

    Raises:
        HomeMissing: the home has no deployment of its own yet.
        ConfigurationError: no second chain is named, it is the first one, or it can't run the
            contract.
        TransactionRejected: the key needs funds first; the text names it, and nothing was sent.
        AnotherRelay: another process sends with the key.
        LedgerUnavailable: the second chain does not answer, or not all is final in time.
        TransactionFailed: or a child of it, as `TransactionQueue.submit`.
    """
    second = to_second(settings)
    home = Home(settings.home)
    first = Deployment.read(home.deployment_file)
    with home.locked():
        if home.cross_deployment_file.exists():
            return Deployment.read(home.cross_deployment_file)
        writer = key_address(home, settings.cross_key)
        _make_embedded(second, writer)
        with owning(
            second, home, is_of_this_machine, progress=progress, key_uri=settings.cross_key
        ) as owner:
            chain_id = owner.ledger.chain_id()
            if chain_id == first.chain_id:
                raise ConfigurationError(
                    f"cross.ledger_url is chain {chain_id}, which is the home's own: name another "
                    "chain, one that others keep"
                )
            owner.queue.resume()
            if not owner.queue.find("", prefix=True):
                check_fitness(owner.ledger, [])
                _check_funds(owner.ledger, writer)
            return deploy(
                home.cross_deployment_file,
                ledger=owner.ledger,
                ledger_url=second.ledger_url,
                queue=owner.queue,
                writer=writer,
                # By it a verification tells that this log belongs to the home.
                complete=lambda made: replace(made, deployment_id=first.deployment_id),
            )


def _check_funds(ledger: Ledger, writer: Address) -> None:
    needed_wei = ledger.fees().max_fee_wei * (_DEPLOY_GAS + _STOCK_ANCHORS * ANCHOR_GAS)
    has_wei = ledger.balance_wei(writer)
    if has_wei < needed_wei:
        raise TransactionRejected(
            "insufficient_funds",
            f"nothing was sent to the second chain: {to_hex(writer)} (cross.key) has "
            f"{show_wei(has_wei)} and needs {show_wei(needed_wei)} for the deployment and a day of "
            "anchors. Send it that, and some more as fees move, and run this again",
        )


def _make_embedded(second: Settings, writer: Address) -> None:
    """A second embedded chain, for rehearsals: its keeper owns it as the first."""
    url = second.resolve_url(second.ledger_url)
    if not url.startswith(_EMBEDDED):
        return
    path = Path(url.removeprefix(_EMBEDDED))
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        chain_id = secrets.randbits(31) | 1 << 30
        create_embedded(path, chain_id=chain_id, funded=(writer,))
