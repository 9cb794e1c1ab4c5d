"""A deployment on a network: planned, paid for, made once, and recorded."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from chain_client.config import Settings
from chain_client.deploying.fitness import check_fitness
from chain_client.deploying.owner import (
    Declined,
    Owner,
    Progress,
    find_address,
    is_network,
    is_of_this_machine,
    key_address,
    owning,
    says_nothing,
)
from chain_client.deploying.plan import KeyNeed, Plan, make_plan, show_wei, to_created
from chain_client.deploying.records import find_deployed, read_addresses, write_records
from chain_client.deploying.registry import add_registry
from chain_client.deploying.rehearsal import RehearsedStep, rehearse
from chain_client.deploying.taken_log import prepare_log, refuse_taken_log_if_any
from chain_client.errors import ConfigurationError, TransactionRejected
from chain_client.home import OWNER_KEY, Home, write_private
from chain_client.ledger import Ledger, event_log, open_ledger
from chain_client.ledger.artifacts import load_artifact
from chain_client.ledger.deployment import DEPLOY_PURPOSE, Deployment, deploy
from chain_client.steps import step
from chain_client.types import to_hex

_LOOKED_AT = 64
"""So many of a key's first transactions are looked at for a contract that stands already."""


class FundsNeeded(TransactionRejected):
    """Keys need funds first; nothing was sent.

    Args:
        keys: those that have too little.
    """

    def __init__(self, keys: Sequence[KeyNeed]) -> None:
        super().__init__("insufficient_funds", _funds_text(keys))
        self.keys = tuple(keys)


def plan_deployment(settings: Settings, timelock_delay_s: int | None = None) -> Plan:
    """What `deploy_to_network` would do now; nothing is written, and nothing is sent.

    Args:
        settings: where the home and the chain are.
        timelock_delay_s: delay of the timelock; None for none.

    Raises:
        ConfigurationError: `ledger.url` names no network, the home is deployed already, the log
            is another deployment's, or the chain can't run the contracts.
        LedgerUnavailable: the chain does not answer.
    """
    _check_network(settings)
    home = Home(settings.home)
    _refuse_second(home)
    refuse_taken_log_if_any(settings.resolve_url(settings.log_url), find_address(home, OWNER_KEY))
    ledger = open_ledger(settings)
    try:
        chain_id = ledger.chain_id()
        timelock_delay_s = _Begun(home).agree(chain_id, timelock_delay_s)
        steps = rehearse(chain_id, timelock_delay_s)
        check_fitness(ledger, steps)
        return make_plan(settings, ledger, steps, timelock_delay_s, {})
    finally:
        ledger.close()


def deploy_to_network(
    settings: Settings,
    *,
    timelock_delay_s: int | None = None,
    confirm: Callable[[Plan], bool] = lambda plan: True,
    fund_later: bool = False,
    progress: Progress = says_nothing,
) -> Deployment:
    """Deploy everything for a home to the network that `ledger.url` names.

    Guarantee: after a crash at any point, calling it again goes on where it broke off; there is
    never a second contract or log. A home that is deployed is refused. Nothing is sent before the
    keys have what they need.

    Args:
        settings: where the home, the log and the chain are.
        timelock_delay_s: how long changes of policies and rights have to wait; by default the
            owner's key makes them at once.
        confirm: is shown the plan, and says whether to go on.
        fund_later: ask for the owner's funds only.
        progress: told what was done.

    Raises:
        Declined: ``confirm`` said no; the keys are made, and nothing was sent.
        FundsNeeded: keys need funds first; the text names each, and nothing was sent.
        ConfigurationError: `ledger.url` names no network, the home is deployed already, the log
            is another deployment's, or the chain can't run the contracts.
        HomeNotWritable: the home can't be written.
        LedgerUnavailable: the chain does not answer, or not all is final in time.
        LogUnavailable: the log's database does not answer.
        TransactionFailed: or a child of it, as `TransactionQueue.submit`.
    """
    _check_network(settings)
    home = Home(settings.home)
    home.create_folders()
    with home.locked():
        _refuse_second(home)
        for uri in (OWNER_KEY, settings.registry_registrar, settings.registry_submitter):
            key_address(home, uri)
        writer = key_address(home, settings.log_writer)
        step("deploy.keys.made")
        prepare_log(settings, home)
        with owning(settings, home, is_of_this_machine, progress=progress) as owner:
            chain_id = owner.ledger.chain_id()
            begun = _Begun(home)
            timelock_delay_s = begun.agree(chain_id, timelock_delay_s)
            plan = _plan(settings, home, owner, chain_id, timelock_delay_s)
            short = [key for key in plan.short_of_funds if key.role == "owner" or not fund_later]
            if short:
                raise FundsNeeded(short)
            if not confirm(plan):
                raise Declined
            begun.write(chain_id, timelock_delay_s)
            step("deploy.begun")
            made = deploy(
                home.deployment_file,
                ledger=owner.ledger,
                ledger_url=settings.ledger_url,
                queue=owner.queue,
                writer=writer,
                complete=lambda made: add_registry(settings, home, owner, made, timelock_delay_s),
                finished=lambda made: _record(home, owner, made),
            )
        begun.end()
    return made


def _plan(
    settings: Settings, home: Home, owner: Owner, chain_id: int, timelock_delay_s: int | None
) -> Plan:
    steps = rehearse(chain_id, timelock_delay_s)
    check_fitness(owner.ledger, steps)
    owner.queue.resume()
    _refuse_unknown(home, owner, chain_id)
    return make_plan(settings, owner.ledger, steps, timelock_delay_s, _sent(owner, steps))


def _sent(owner: Owner, steps: Sequence[RehearsedStep]) -> dict[str, int]:
    """Nonce of what is on chain, by the step's purpose."""
    found = {}
    for one in steps:
        sent = [
            tx
            for tx in owner.queue.find(one.purpose, prefix=True)
            if not tx.failed and not tx.is_cancel
        ]
        if sent:
            found[one.purpose] = sent[-1].nonce
    return found


def _record(home: Home, owner: Owner, deployment: Deployment) -> None:
    write_records(home, deployment, find_deployed(owner))
    step("deploy.recorded")


def _check_network(settings: Settings) -> None:
    if not is_network(settings):
        raise ConfigurationError(
            "ledger.url names no network; deploy is for http:// and https:// endpoints. "
            "`mlops-chain init` makes an embedded chain with its contracts"
        )


def _refuse_second(home: Home) -> None:
    if not home.exists():
        return
    made = Deployment.read(home.deployment_file)
    stands = [f"EventLog {to_hex(made.event_log)}"]
    if made.registry is not None:
        stands.append(f"ModelRegistry {to_hex(made.registry)}")
    if made.timelock is not None:
        stands.append(f"TimelockController {to_hex(made.timelock)}")
    raise ConfigurationError(
        f"the home {home.path} is deployed already, on chain {made.chain_id} "
        f"({made.ledger_url}): {', '.join(stands)}. Nothing was changed; for another deployment "
        "name another home by --home or MLOPS_CHAIN_HOME"
    )


def _refuse_unknown(home: Home, owner: Owner, chain_id: int) -> None:
    """See that no contract of this home stands there that the log's database knows nothing of."""
    if owner.queue.find(DEPLOY_PURPOSE, prefix=False):
        return
    standing = [f"{name} {where}" for name, where in read_addresses(home, chain_id).items()]
    if not standing:
        standing = find_standing(owner.ledger, home)
    if standing:
        raise ConfigurationError(
            f"on chain {chain_id} there is already, by this home's owner: {', '.join(standing)}; "
            "but the log's database (log.url) knows nothing of it. Name the database that was "
            "used, or put it back from your backup; for another deployment use another home"
        )


def find_standing(ledger: Ledger, home: Home) -> list[str]:
    """Each `EventLog` that the owner's key has deployed by its first transactions, in words.

    Raises:
        LedgerUnavailable: the chain does not answer.
    """
    owner = find_address(home, OWNER_KEY)
    if owner is None:
        return []
    artifact = load_artifact(event_log.CONTRACT)
    places = [to_created(owner, nonce) for nonce in range(min(ledger.nonce(owner), _LOOKED_AT))]
    return [
        f"{event_log.CONTRACT} {to_hex(place)}"
        for place in places
        if artifact.matches(ledger.code(place))
    ]


def _funds_text(short: Sequence[KeyNeed]) -> str:
    needs = "; ".join(
        f"{to_hex(key.address or b'')} needs {show_wei(key.missing_wei)} more for {key.purpose} "
        f"({key.role}, it has {show_wei(key.balance_wei or 0)})"
        for key in short
    )
    return (
        "nothing was sent, as keys have too little of the chain's coin. Send each what it needs, "
        f"and some more as fees move, and run this again: {needs}"
    )


class _Begun:
    """Note of a deployment that has begun: on which chain, and with which timelock.

    Args:
        home: whose.
    """

    def __init__(self, home: Home) -> None:
        self._path: Path = home.deploying_file

    def agree(self, chain_id: int, timelock_delay_s: int | None) -> int | None:
        """The delay that was begun with, or the one that is asked for.

        Raises:
            ConfigurationError: another chain or delay was begun with, or the note is damaged.
        """
        try:
            noted: dict[str, Any] = json.loads(self._path.read_text("utf-8"))
            chain, delay_s = noted["chain_id"], noted["timelock_delay_s"]
        except FileNotFoundError:
            return timelock_delay_s
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise ConfigurationError(f"{self._path} can't be read, or is damaged") from exc
        if chain != chain_id:
            raise ConfigurationError(
                f"this home's deployment began on chain {chain}, but ledger.url leads to chain "
                f"{chain_id}: name an endpoint of chain {chain} to finish it, or use another home"
            )
        if timelock_delay_s not in (None, delay_s):
            began = "without a timelock" if delay_s is None else f"with a timelock of {delay_s} s"
            raise ConfigurationError(
                f"this home's deployment began {began}: finish it so, by the same command"
            )
        agreed: int | None = delay_s
        return agreed

    def write(self, chain_id: int, timelock_delay_s: int | None) -> None:
        """Note it, durably, before anything is sent."""
        content = {"chain_id": chain_id, "timelock_delay_s": timelock_delay_s}
        write_private(self._path, json.dumps(content))

    def end(self) -> None:
        """It is finished."""
        self._path.unlink(missing_ok=True)
