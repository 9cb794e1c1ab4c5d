"""Named steps at which a process may die, so that tests can make it die there.

A step costs one comparison when nobody listens. Production code never sets `on_step`;
`chain_client.testing.kill_at` does.
"""

from __future__ import annotations

from collections.abc import Callable

on_step: Callable[[str], None] | None = None
"""Called with the step's name, when a test has set it."""

STEPS = (
    # an older log gets this version's tables
    "log.migrated.before_commit",
    # a home is deployed to a network
    "deploy.keys.made",
    "deploy.begun",
    "deploy.recorded",
    # a home gets its registry
    "provision.salt.made",
    "provision.registry.deployed",
    # spool (the recording process)
    "spool.room.made",
    "spool.opened",
    "spool.intent.before_write",
    "spool.intent.written",
    "spool.intent.synced",
    "spool.outcome.before_write",
    "spool.outcome.written",
    "spool.segment.rotated",
    "spool.closed",
    # a spool is handed over (the worker that stops)
    "shipping.seized",
    "shipping.begun",
    "shipping.segment.written",
    "shipping.segment.named",
    "shipping.before_publish",
    "shipping.published",
    "shipping.confirmed",
    "shipping.taken",
    "shipping.removed",
    # relay: what was handed over elsewhere is fetched, and removed there
    "receiving.begun",
    "receiving.segment.written",
    "receiving.before_publish",
    "receiving.published",
    "receiving.settled",
    "receiving.removed",
    # relay: what was handed over is looked at
    "relay.parcel.checked",
    # relay: spool to log
    "relay.records.read",
    "relay.resolved",
    # a payload goes to a folder of payloads
    "payload.file.written",
    "payload.file.named",
    # relay: events to the payload store, before their rows
    "log.payloads.begun",
    "log.payload.stored",
    "log.payloads.stored",
    "log.append.before_commit",
    "log.append.committed",
    "spool.segment.before_remove",
    "spool.segment.removed",
    "spool.fork.taken",
    # relay: log to chain
    "anchor.head.chosen",
    "transaction.signed",
    "transaction.stored",
    "transaction.sent",
    "transaction.replacement.signed",
    "transaction.replacement.stored",
    "transaction.included",
    "embedded.block.before_commit",
    "embedded.block.committed",
    "anchor.head.included",
    "anchor.head.finalized",
    # sync: chain to host
    "sync.promoted",
    "sync.target.written",
    "sync.tag.written",
)
"""Every step, in the order in which one event meets them."""


def step(name: str) -> None:
    """Mark that the step ``name`` of `STEPS` was reached."""
    if on_step is not None:
        on_step(name)
