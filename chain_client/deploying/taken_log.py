"""Whether the log's database belongs to another deployment already."""

from __future__ import annotations

from chain_client.config import Settings
from chain_client.deploying.owner import find_address
from chain_client.errors import ConfigurationError, LogCorrupt, LogUnavailable
from chain_client.home import OWNER_KEY, Home
from chain_client.ledger.deployment import DEPLOY_PURPOSE, OPEN_LOG_PURPOSE
from chain_client.log import Log
from chain_client.log.payload_place import PayloadPlace
from chain_client.shown_uri import to_shown_uri
from chain_client.types import Address, to_hex


def prepare_log(settings: Settings, home: Home) -> None:
    """Make a new home's log; its owner's key is made already.

    Raises:
        ConfigurationError: as `refuse_taken_log`; or the payload store is not fit.
        PayloadStoreUnavailable: the payload store does not answer.
        LogUnavailable: the database does not answer.
    """
    url = settings.resolve_url(settings.log_url)
    place = PayloadPlace.of(settings)
    if place is not None:
        place.open().check()
    log = Log(url)
    try:
        log.create()
        refuse_taken_log(log, url, find_address(home, OWNER_KEY))
    finally:
        log.close()


def refuse_taken_log(log: Log, url: str, owner: Address | None) -> None:
    """See that nothing but this home's own unfinished deployment stands in a log's database.

    One database is the log of one deployment: what two of them wrote into it could be proven on
    neither chain.

    Args:
        log: the database; its tables are there.
        url: of the database, as it is configured.
        owner: this home's owner; None if it has no key yet.

    Raises:
        ConfigurationError: another deployment uses it, or has begun to.
        LogUnavailable: it does not answer.
    """
    opened = _sent(log, OPEN_LOG_PURPOSE)
    if any(sender == owner for _, sender in opened):
        return
    deployers = {sender for _, sender in _sent(log, DEPLOY_PURPOSE)}
    if opened:
        found = f"it holds the log {min(opened)[0].removeprefix(OPEN_LOG_PURPOSE)}"
    elif deployers and owner not in deployers:
        found = f"{to_hex(min(deployers))} has begun to deploy with it"
    elif log.size():
        found = f"entries of it: {log.size()}"
    else:
        return
    raise ConfigurationError(
        f"log.url names the log of another deployment ({to_shown_uri(url)}; {found}); nothing was "
        "sent. Name a database of this deployment's own; or, if this machine is to belong to that "
        "deployment, run `mlops-chain join`"
    )


def refuse_taken_log_if_any(url: str, owner: Address | None) -> None:
    """The same, where the database need not be there yet; nothing is written.

    Raises:
        ConfigurationError: another deployment uses it, or has begun to.
    """
    log = Log(url)
    try:
        log.check_schema()
        refuse_taken_log(log, url, owner)
    except (LogCorrupt, LogUnavailable):
        return  # it is made, or does not answer: then nothing can be sent either
    finally:
        log.close()


def _sent(log: Log, purpose: str) -> set[tuple[str, Address]]:
    """Whole purpose and sender of each transaction whose purpose begins so."""
    from sqlalchemy import select

    from chain_client.log.database import reading
    from chain_client.log.schema import transactions

    asked = select(transactions.c.purpose, transactions.c.sender).where(
        transactions.c.purpose.startswith(purpose, autoescape=True)
    )
    with reading(log.engine) as connection:
        return {(row.purpose, Address(row.sender)) for row in connection.execute(asked)}
