"""Making a home whole: keys, salt, log, chain, contracts, deployment."""

from __future__ import annotations

import secrets

from chain_client.config import Settings
from chain_client.deploying.owner import (
    Progress,
    is_network,
    is_of_this_machine,
    key_address,
    owning,
    says_nothing,
)
from chain_client.deploying.records import find_deployed, write_records
from chain_client.deploying.registry import add_registry
from chain_client.deploying.taken_log import prepare_log
from chain_client.errors import ConfigurationError
from chain_client.home import OWNER_KEY, Home
from chain_client.ledger import create_embedded, open_ledger
from chain_client.ledger.deployment import Deployment, deploy, settle_for_good
from chain_client.log.holders import is_gone
from chain_client.types import Address

_EMBEDDED = "embedded:"


def provision(settings: Settings, *, timelock_delay_s: int | None = None) -> Deployment:
    """Make keys, salt, log, chain, contracts and deployment where they are missing.

    Guarantee: safe in several processes at once and after a crash at any point: what is there
    stays, what is missing is made, and there is never a second contract or log. A home that is
    there already is only read; `provision_registry` gives it what a newer version has.

    Args:
        settings: where the home, the log and the chain are.
        timelock_delay_s: how long changes of policies and rights have to wait; by default the
            owner's key makes them at once.

    Raises:
        HomeNotWritable: the home can't be written.
        ConfigurationError: the chain's file, a key or the salt is missing while others are there;
            the log is another deployment's; or `ledger.url` names a network, to which nothing is
            deployed without being asked for.
        LedgerUnavailable: the chain does not answer.
        LogUnavailable: the log's database does not answer.
    """
    home = Home(settings.home)
    if not home.exists():
        _refuse_network(settings)
    home.create_folders()
    with home.locked():
        if home.exists():
            return Deployment.read(home.deployment_file)
        owner_address, writer = (key_address(home, uri) for uri in (OWNER_KEY, settings.log_writer))
        prepare_log(settings, home)
        _make_chain(settings, (owner_address, writer))
        with owning(settings, home, is_of_this_machine) as owner:
            return deploy(
                home.deployment_file,
                ledger=owner.ledger,
                ledger_url=settings.ledger_url,
                queue=owner.queue,
                writer=writer,
                complete=lambda made: add_registry(settings, home, owner, made, timelock_delay_s),
            )


def provision_registry(
    settings: Settings,
    deployment: Deployment,
    timelock_delay_s: int | None = None,
    progress: Progress = says_nothing,
) -> Deployment:
    """Give a home its registry, keys and salt, and the registry its timelock, if it lacks them.

    Guarantee: as `provision`. A home that lacks nothing is left alone, without a look at chain
    or log.

    Args:
        settings: where the home, the log and the chain are.
        deployment: of the home.
        timelock_delay_s: how long changes of policies and rights have to wait; by default who
            administers the registry stays as it is.
        progress: told what was done; on a network finality may take minutes.

    Returns:
        the deployment as it stands now.

    Raises:
        HomeNotWritable: the home can't be written.
        ConfigurationError: the salt is missing or another one; or the owner's key is no admin of
            the registry any more.
        AnotherRelay: another process sends with the owner's key.
        LedgerUnavailable: the chain does not answer.
        LogUnavailable: the log's database does not answer.
    """
    if deployment.registry is not None and timelock_delay_s is None:
        return deployment
    home = Home(settings.home)
    home.create_folders()
    with home.locked():
        deployment = Deployment.read(home.deployment_file)
        if deployment.registry is not None and timelock_delay_s is None:
            return deployment
        with owning(settings, home, is_gone, deployment.expected(), progress) as owner:
            made = add_registry(settings, home, owner, deployment, timelock_delay_s)
            made = settle_for_good(made, owner.queue)
            if is_network(settings):
                write_records(home, made, find_deployed(owner))
        if made != deployment:
            made.write(home.deployment_file)
    return made


def _refuse_network(settings: Settings) -> None:
    """Nothing that costs money comes about by the way."""
    if is_network(settings):
        open_ledger(settings).close()  # which says so if nobody knows the scheme
        raise ConfigurationError(
            f"there is no deployment in {settings.home} yet, and ledger.url names a network, where "
            "deploying costs money: run `mlops-chain deploy --dry-run`, and then `mlops-chain "
            "deploy`; or `mlops-chain join` for a deployment that another machine has made"
        )


def _make_chain(settings: Settings, funded: tuple[Address, ...]) -> None:
    url = settings.resolve_url(settings.ledger_url)
    if not url.startswith(_EMBEDDED):
        raise ConfigurationError(
            f"the ledger {url.partition(':')[0]}: can't be made here; expected embedded:<file>"
        )
    path = settings.home / url.removeprefix(_EMBEDDED)
    if not path.exists():
        # 31 bits: unique enough to keep signatures apart, small enough for every wallet.
        create_embedded(path, chain_id=secrets.randbits(31) | 1 << 30, funded=funded)
