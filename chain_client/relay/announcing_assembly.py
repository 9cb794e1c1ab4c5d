"""Putting together what tells observers, from the parts of a home."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from chain_client.clock import Clock
from chain_client.config import Settings
from chain_client.errors import ConfigurationError
from chain_client.home import Home
from chain_client.hookspecs import OBSERVERS
from chain_client.ledger import open_ledger
from chain_client.ledger.deployment import Deployment
from chain_client.log import Log
from chain_client.notices import ObserverSettings
from chain_client.notifying import PLUGIN, find_receivers
from chain_client.observing import Dispatcher, Observer
from chain_client.plugin_host import HookCall, get_plugin_host
from chain_client.registry.identity import Salt, read_salt
from chain_client.relay.announcing import Announcer
from chain_client.relay.figures import Tally
from chain_client.relay.proposal_changes import ProposalChanges

_logger = logging.getLogger(__name__)

_LOOK_S = 1.0
"""Between two looks at an embedded chain and the alarms."""
_REMOTE_LOOK_S = 5.0
"""Between two looks at a node that may be paid by the question."""


def make_announcer(
    settings: Settings, log: Log, deployment: Deployment, tally: Tally, clock: Clock
) -> Announcer:
    """What tells the observers of a home.

    Args:
        settings: of the home.
        log: the home's log.
        deployment: of the home.
        tally: of the relay.
        clock: time.
    """

    def open_proposals(cursor: str | None) -> tuple[ProposalChanges, Callable[[], None]]:
        # A connection of its own: it is used in another thread than the relay's.
        ledger = open_ledger(settings, expected=deployment.expected())
        salt = _find_salt(Home(settings.home), deployment)
        return ProposalChanges(deployment, ledger, log, salt, clock, cursor), ledger.close

    is_embedded = settings.ledger_url.startswith("embedded:")
    return Announcer(
        log,
        lambda: find_dispatcher(settings, clock),
        open_proposals if deployment.registry is not None else None,
        deployment.deployment_id,
        settings.relay_lease_s,
        tally,
        clock,
        _LOOK_S if is_embedded else _REMOTE_LOOK_S,
    )


def find_dispatcher(settings: Settings, clock: Clock) -> Dispatcher:
    """Everybody who wants to be told, by the plugins that are installed.

    Each hook of a plugin is an observer of its own, and each receiver of the built-in notifier is:
    one that is away keeps nothing from the others.
    """
    found: dict[str, Observer] = {}
    for hook in OBSERVERS:
        for call in get_plugin_host().observers(hook):
            for name, given in _given(call, hook, settings):
                found[name] = Observer(
                    name,
                    {hook: call},
                    clock,
                    settings.observers_queue,
                    settings.observers_timeout_s,
                    {"settings": given},
                )
    return Dispatcher([found[name] for name in sorted(found)])


def _given(call: HookCall, hook: str, settings: Settings) -> Iterator[tuple[str, ObserverSettings]]:
    """The names of a plugin's observers for one hook, with the settings that each is given."""
    plugin = call.plugin
    if not plugin.is_own or plugin.name != PLUGIN:
        yield f"{plugin.name}/{hook}", ObserverSettings(settings.home)
        return
    for receiver in find_receivers(settings):
        if receiver.hook == hook:
            yield f"{PLUGIN}/{receiver.name}", receiver.settings


def _find_salt(home: Home, deployment: Deployment) -> Salt | None:
    """The deployment's salt, without which models and targets have no names."""
    if not home.registry_salt.exists():
        return None
    try:
        salt = read_salt(home.registry_salt)
        if deployment.registry_salt_hash is not None:
            salt.check(deployment.registry_salt_hash)
    except ConfigurationError as exc:
        _logger.warning("observers are told ids in the place of names: %s", exc)
        return None
    return salt
