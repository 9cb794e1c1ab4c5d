# mypy: disable-error-code="empty-body"
"""The hooks by which others extend us, and our own built-ins come in, grouped by role.

A plugin is a module (or another object) whose functions carry `hookimpl`, named by an entry point
of group ``mlops_chain`` of its distribution. A function may leave out arguments that it does not
need. `chain_client.plugin_host` loads plugins, and says what becomes of one that is broken.

::

    tables       signers, ledgers, payload_stores, spool_shippers, artifact_stores
    observers    proposal_changed, alarm_raised
    checks       check_promotion

No hook stands on the way of an event into the log: none is asked there, and none is given an event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import pluggy

if TYPE_CHECKING:
    # What the rooms above call theirs; nothing of it is imported when a plugin is.
    from chain_client.artifact_stores import ArtifactStore
    from chain_client.checks import CheckFinding, PromotionContext
    from chain_client.config import Settings
    from chain_client.ledger.base import Ledger
    from chain_client.ledger.expected import ExpectedChain
    from chain_client.notices import AlarmNotice, ObserverSettings, ProposalChange
    from chain_client.payloads.base import PayloadStore
    from chain_client.shipping.base import Shipper
    from chain_client.signing.base import Signer

__all__ = [
    "ENTRY_POINT_GROUP",
    "OBSERVERS",
    "TABLES",
    "ArtifactStoreFactory",
    "LedgerFactory",
    "PayloadStoreFactory",
    "ShipperFactory",
    "SignerFactory",
    "hookimpl",
    "hookspec",
]

ENTRY_POINT_GROUP: Final = "mlops_chain"

hookspec = pluggy.HookspecMarker("mlops_chain")
hookimpl = pluggy.HookimplMarker("mlops_chain")
"""Marks a plugin's function as the implementation of the hook that has its name."""

SignerFactory: TypeAlias = "Callable[[str, Path, str | None], Signer]"
"""Called with the key's whole URI, the folder that relative paths belong to, and a password that
was given for it, if one was. Does no I/O. Raises `ConfigurationError` where the URI says nothing;
its text holds no more of it than the scheme."""

LedgerFactory: TypeAlias = "Callable[[Settings, ExpectedChain | None, float], Ledger]"
"""Called with the settings (`ledger.url` is the address), what the chain must be, if that is known,
and how long one call may wait, in seconds. Does no I/O. Raises `ConfigurationError`."""

PayloadStoreFactory: TypeAlias = "Callable[[str, Path], PayloadStore]"
"""Called with the store's whole URI, and the folder that relative paths belong to. Does no I/O.
Raises `ConfigurationError`."""

ShipperFactory: TypeAlias = "Callable[[str, Path], Shipper]"
"""Called with the destination's whole URI, and the folder that relative paths belong to. Does no
I/O. Raises `ConfigurationError`."""

ArtifactStoreFactory: TypeAlias = "Callable[[str], ArtifactStore]"
"""Called with the location of files, such as ``s3://bucket/prefix``. Does no I/O. Raises
`ConfigurationError`."""


# -- tables: which scheme of a URI is opened by what --


@hookspec
def signers() -> Mapping[str, SignerFactory]:
    """Which schemes of key URIs this plugin opens, such as ``keystore`` or ``awskms``.

    Asked once, when the plugin is loaded, in whatever thread needs a plugin first; the answer is
    copied. The tables of all plugins are merged. A scheme that two of them name is an error that
    names both distributions, for whoever uses that scheme; their other schemes work.

    Returns:
        Factories by scheme: lower-case letters, digits, ``+``, ``.`` and ``-``, without the colon.

    Raises:
        Exception: anything; the plugin then counts as broken, with all its hooks.
    """


@hookspec
def ledgers() -> Mapping[str, LedgerFactory]:
    """Which schemes of `ledger.url` this plugin connects to, such as ``embedded`` or ``https``.

    Asked, merged and refused as `signers`.
    """


@hookspec
def payload_stores() -> Mapping[str, PayloadStoreFactory]:
    """Which schemes of `log.payloads` this plugin stores payloads in, such as ``file`` or ``s3``.

    Asked, merged and refused as `signers`. What a store is given is encrypted, and what it gives
    back is checked against its digest: it can lose a payload, but never change one unseen.
    """


@hookspec
def spool_shippers() -> Mapping[str, ShipperFactory]:
    """Which schemes of destinations this plugin hands spools over to, such as ``folder``.

    Asked, merged and refused as `signers`. A shipper that is a
    `chain_client.shipping.base.Receiver` too may stand in `relay.inbox`. What arrives is checked
    record by record before it enters the log.
    """


@hookspec
def artifact_stores() -> Mapping[str, ArtifactStoreFactory]:
    """Which schemes of files' locations this plugin reads, such as ``s3``, better than the host.

    Asked, merged and refused as `signers`. A location of another scheme is read by the host's own
    client.
    """


# -- observers: what happened, for those who want to know --


@hookspec
def proposal_changed(change: ProposalChange, settings: ObserverSettings) -> None:
    """A proposal was made, or changed, and that is final on chain.

    Called in a thread of the relay's process that is this plugin's own and for this hook alone, one
    call at a time, in order. What it raises, and how long it takes, harms nobody: it is counted. A
    call that takes longer than `observers.timeout_s`, or five failures in a row, and the hook is
    left alone for a minute; what comes meanwhile is skipped and counted. A thread in a call that
    hangs is left behind, and another one goes on. Of all relays of a log one tells. A change may be
    told twice, after a crash; it then has the same ``notice_id``.

    Args:
        change: a frozen value of plain parts, a copy; it holds nothing secret.
        settings: where the relay's home is, a copy; it holds nothing secret, but for our own
            notifier.

    Raises:
        Unavailable: whoever is to be told does not answer: the same change is told again later,
            for a day at most, and later ones wait.
        BaseException: anything else is counted, and named in the relay's log by its class; the text
            of a `chain_client.errors.ChainError` is shown.
    """


@hookspec
def alarm_raised(alarm: AlarmNotice, settings: ObserverSettings) -> None:
    """An alarm began to stand, or ended; ``alarm.state`` says which.

    Called as `proposal_changed`, whichever process raised the alarm; in another thread than that,
    so that a change which can't be told yet keeps no alarm back.

    Args:
        alarm: a frozen value of plain parts, a copy; it holds nothing secret.
        settings: as there.

    Raises:
        BaseException: anything, as `proposal_changed`.
    """


# -- checks: whether a promotion may be proposed --


@hookspec
def check_promotion(context: PromotionContext) -> Iterable[CheckFinding]:
    """Whether a version may be proposed for a target, by rules of the team's own.

    Called for each check of the policy that names this plugin, when a promotion is proposed, before
    anything is registered or sent; in a thread of its own, which may take `checks.timeout_s`.
    Results are not merged: each check is reported by its name. No findings: the check passed.

    Args:
        context: what is proposed, and the configuration that was applied for the check. Frozen.

    Returns:
        Findings that block the proposal, or warn the approvers; a generator will do.

    Raises:
        Exception: anything; the proposal is then blocked, as it is where the plugin is missing,
            broken or too slow, or answers something else.
    """


TABLES: Final = ("signers", "ledgers", "payload_stores", "spool_shippers", "artifact_stores")
"""Hooks that give a table of schemes."""
OBSERVERS: Final = ("proposal_changed", "alarm_raised")
"""Hooks that are told what happened."""
