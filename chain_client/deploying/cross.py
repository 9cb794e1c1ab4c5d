"""An `EventLog` for the home's log on a second chain, once."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from chain_client.config import Settings
from chain_client.cross.place import check_key, to_second
from chain_client.deploying.fitness import check_fitness
from chain_client.deploying.owner import (
    Declined,
    Progress,
    find_address,
    is_of_this_machine,
    key_address,
    owning,
    says_nothing,
)
from chain_client.deploying.plan import ANCHOR_GAS, show_wei
from chain_client.errors import ConfigurationError, TransactionRejected
from chain_client.home import Home
from chain_client.ledger import Ledger, create_embedded, open_ledger
from chain_client.ledger.deployment import Deployment, deploy
from chain_client.types import Address, to_hex

_EMBEDDED = "embedded:"
_DEPLOY_GAS = 1_700_000
"""Gas limit of both transactions together; they use 1.33 million."""
_STOCK_ANCHORS = 24
"""So many anchors must be paid for too, before anything is sent: a day's."""


@dataclass(frozen=True, slots=True)
class CrossPlan:
    """What `deploy_cross` would do, and cost.

    Args:
        chain_id: of the second chain.
        ledger_url: its endpoints, host only.
        key: address of ``cross.key``; None if it is not made yet.
        gas: that both transactions may use together.
        price_wei: most that a unit of gas would be offered.
        balance_wei: what the key has.
        least_wei: what it must have: for the deployment, and a day of anchors.
    """

    chain_id: int
    ledger_url: str
    key: Address | None
    gas: int
    price_wei: int
    balance_wei: int
    least_wei: int

    @property
    def cost_wei(self) -> int:
        """Most that the deployment costs."""
        return self.gas * self.price_wei


def plan_cross(settings: Settings) -> CrossPlan:
    """What `deploy_cross` would do now; nothing is written, and nothing is sent.

    Raises:
        HomeMissing: the home has no deployment of its own yet.
        ConfigurationError: as `deploy_cross`; or the second chain is embedded, which costs
            nothing, or something stands on it already.
        LedgerUnavailable: the second chain does not answer.
    """
    second = to_second(settings)
    home = Home(settings.home)
    first = Deployment.read(home.deployment_file)
    if home.cross_deployment_file.exists():
        made = Deployment.read(home.cross_deployment_file)
        raise ConfigurationError(
            f"the second chain {made.chain_id} ({made.ledger_url}) has its EventLog "
            f"{to_hex(made.event_log)} already; deploying again changes nothing"
        )
    if second.ledger_url.startswith(_EMBEDDED):
        raise ConfigurationError("the second chain is embedded: it costs nothing")
    key = find_address(home, settings.cross_key)
    if key is not None:
        check_key(settings, first)
    ledger = open_ledger(second)
    try:
        _check_chain(ledger, first)
        return _plan(ledger, key)
    finally:
        ledger.close()


def deploy_cross(
    settings: Settings,
    *,
    confirm: Callable[[CrossPlan], bool] = lambda plan: True,
    progress: Progress = says_nothing,
) -> Deployment:
    """Deploy an `EventLog` on the second chain and open a log in it, written by ``cross.key``.

    Guarantee: after a crash at any point, calling it again goes on where it broke off; there is
    never a second contract. If ``cross-deployment.json`` exists, it is only read.

    Args:
        settings: of a whole home that names a second chain.
        confirm: is shown the plan before anything is sent, and says whether to go on.
        progress: told what was done.

    Raises:
        Declined: ``confirm`` said no; nothing was sent.
        HomeMissing: the home has no deployment of its own yet.
        ConfigurationError: no second chain is named, it is the first one, or it can't run the
            contract; or ``cross.key`` is a key of the first chain's.
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
        check_key(settings, first)
        _make_embedded(second, writer)
        with owning(
            second, home, is_of_this_machine, progress=progress, key_uri=settings.cross_key
        ) as owner:
            _check_chain(owner.ledger, first)
            owner.queue.resume()
            if not owner.queue.find("", prefix=True):
                plan = _plan(owner.ledger, writer)
                _check_funds(plan)
                if not confirm(plan):
                    raise Declined
            return deploy(
                home.cross_deployment_file,
                ledger=owner.ledger,
                ledger_url=second.ledger_url,
                queue=owner.queue,
                writer=writer,
                # By it a verification tells that this log belongs to the home.
                complete=lambda made: replace(made, deployment_id=first.deployment_id),
            )


def _check_chain(ledger: Ledger, first: Deployment) -> None:
    chain_id = ledger.chain_id()
    if chain_id == first.chain_id:
        raise ConfigurationError(
            f"cross.ledger_url is chain {chain_id}, which is the home's own: name another chain, "
            "one that others keep"
        )
    check_fitness(ledger, [])


def _plan(ledger: Ledger, key: Address | None) -> CrossPlan:
    price_wei = ledger.fees().max_fee_wei
    return CrossPlan(
        chain_id=ledger.chain_id(),
        ledger_url=ledger.url,
        key=key,
        gas=_DEPLOY_GAS,
        price_wei=price_wei,
        balance_wei=0 if key is None else ledger.balance_wei(key),
        least_wei=price_wei * (_DEPLOY_GAS + _STOCK_ANCHORS * ANCHOR_GAS),
    )


def _check_funds(plan: CrossPlan) -> None:
    if plan.balance_wei < plan.least_wei:
        raise TransactionRejected(
            "insufficient_funds",
            f"nothing was sent to the second chain: {to_hex(plan.key or b'')} (cross.key) has "
            f"{show_wei(plan.balance_wei)} and needs {show_wei(plan.least_wei)} for the deployment "
            "and a day of anchors. Send it that, and some more as fees move, and run this again",
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
