"""The plugin ``notifier``: what it implements; how it tells is in the modules beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chain_client.hookspecs import hookimpl

if TYPE_CHECKING:
    from chain_client.notices import AlarmNotice, ObserverSettings, ProposalChange


@hookimpl
def proposal_changed(change: ProposalChange, settings: ObserverSettings) -> None:
    """Tell the approvers."""
    from chain_client.notifying.telling import tell
    from chain_client.notifying.texts import describe_change

    tell(describe_change(change), settings)


@hookimpl
def alarm_raised(alarm: AlarmNotice, settings: ObserverSettings) -> None:
    """Tell the operators."""
    from chain_client.notifying.telling import tell
    from chain_client.notifying.texts import describe_alarm

    tell(describe_alarm(alarm), settings)
