"""A log that was put back from an old copy must take nothing in.

What a relay brings into the log leaves the spool. Brought into an older copy of the log, which the
chain refuses, it would be missing when the newest copy comes back.
"""

from __future__ import annotations

import logging

from chain_client.errors import ChainError, LogMismatch
from chain_client.head_check import read_checked_head
from chain_client.ledger.base import Ledger
from chain_client.ledger.deployment import Deployment
from chain_client.ledger.event_log import EventLogContract
from chain_client.log import Log

_logger = logging.getLogger(__name__)


def refuse_older_log(log: Log, ledger: Ledger, deployment: Deployment) -> None:
    """See that log and chain agree, before anything is taken from a spool.

    A chain that does not answer holds nothing up: what is wrong with it is said by the anchoring.

    Raises:
        LogMismatch: they contradict each other; an alarm stands in the log.
    """
    try:
        contract = EventLogContract(ledger, deployment.event_log)
        read_checked_head(log, contract, deployment.log_id)
    except LogMismatch as exc:
        log.raise_alarm("head", "log", str(exc))
        raise
    except ChainError as exc:
        _logger.info("log and chain could not be compared before: %s", exc)
