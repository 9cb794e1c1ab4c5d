"""Putting cross-anchoring together from the parts of a home."""

from __future__ import annotations

from chain_client.clock import Clock
from chain_client.config import Settings
from chain_client.cross.anchoring import CrossAnchoring, KeptLog
from chain_client.cross.place import check_key, find_place, is_configured
from chain_client.errors import ConfigurationError
from chain_client.ledger import open_ledger
from chain_client.ledger.deployment import Deployment, check_event_log
from chain_client.ledger.event_log import EventLogContract, explain
from chain_client.log import Lease, Log
from chain_client.relay.cross_anchoring import CrossAnchorer, CrossParts
from chain_client.signing import open_signer
from chain_client.transactions import TransactionLimits, TransactionQueue, key_lease_name


def make_cross_anchorer(
    settings: Settings, log: Log, deployment: Deployment, clock: Clock
) -> CrossAnchorer | None:
    """What anchors a home's heads on its second chain; None if it has none.

    Args:
        settings: of the home.
        log: the home's log.
        deployment: of the home.
        clock: time.
    """
    if not is_configured(settings):
        return None

    def open_parts(relay_lease: Lease) -> CrossParts:
        place = find_place(settings, deployment)
        if place is None:
            raise ConfigurationError("the second chain's settings are gone")
        check_key(settings, deployment)
        # Connections of its own: they are used in another thread than the relay's.
        first = open_ledger(settings, expected=deployment.expected())
        second = place.open_ledger()

        def close() -> None:
            first.close()
            second.close()

        try:
            check_event_log(second, place.deployment)
            signer = open_signer(settings.cross_key, base=settings.home)
            # Only the holder of the relay's lease comes here, as for the writer's key.
            lease = log.acquire_lease(
                key_lease_name(signer.address()),
                relay_lease.holder,
                settings.relay_lease_s,
                replace_dead=lambda holder: True,
            )
            queue = TransactionQueue(
                log.engine,
                second,
                signer,
                lease=lambda: lease,
                chain_id=place.deployment.chain_id,
                explain=explain,
                alarm=log.raise_alarm,
                clear_alarm=log.clear_alarm,
                limits=TransactionLimits.from_settings(settings, settings.cross_ledger_url),
            )
        except BaseException:
            close()
            raise
        here = KeptLog(EventLogContract(first, deployment.event_log), deployment.log_id)
        there = KeptLog(place.contract(second), place.deployment.log_id)
        return CrossParts(CrossAnchoring(log, here, there, queue), close)

    return CrossAnchorer(open_parts, log, clock, settings.cross_every_s)
