"""`PluginHost`: the plugins of an installation, and what they offer together."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Final

from chain_client.errors import ConfigurationError
from chain_client.hookspecs import ENTRY_POINT_GROUP, TABLES
from chain_client.plugin_host.loading import (
    Factory,
    HookCall,
    LoadedPlugin,
    Offer,
    is_loading_here,
    is_own,
    load_plugin,
    name_plugin,
)

_own_first: ContextVar[bool] = ContextVar("own_first", default=False)

Find = Callable[[], Iterable[EntryPoint]]

_OFF: Final = "it was not loaded, as MLOPS_CHAIN_PLUGINS is own"
_OURS: Final = "its name is that of one of our own: it needs another, or has to be removed"
_PATIENCE_S: Final = 60.0
"""Longer than anything that is imported takes on a busy machine."""


def find_installed() -> Iterable[EntryPoint]:
    """The entry points of every plugin that is installed; nothing is imported.

    Raises:
        ConfigurationError: some distribution's list of entry points can't be read.
    """
    try:
        return entry_points(group=ENTRY_POINT_GROUP)
    except Exception as exc:  # whatever a damaged file makes its reader raise
        raise ConfigurationError(
            f"the entry points of what is installed can't be read ({type(exc).__name__}): the "
            "entry_points.txt of some distribution is damaged; `pip check` may name it"
        ) from exc


@contextlib.contextmanager
def own_plugins_first() -> Iterator[None]:
    """Inside, a scheme of a built-in is opened by it, and no plugin of others is looked at for it.

    For processes that record, where no foreign code may run because of us. That a plugin of others
    wants the same scheme is then told by whoever else opens it, and by `doctor`.
    """
    token = _own_first.set(True)
    try:
        yield
    finally:
        _own_first.reset(token)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What was loaded; replaced as a whole, so that readers need no lock."""

    offers: tuple[Offer, ...]
    is_whole: bool
    """Whether plugins of other distributions are among them."""


class PluginHost:
    """Loads plugins when they are first needed, and merges their tables.

    Guarantee: a plugin that can't be used takes away nothing but what it offers itself; asked for
    by name, it is a clear error. Where two plugins name a scheme neither opens it, and where two
    have one name neither is used, whatever the order of loading; our own keep theirs. One whose
    loading hangs is left alone after a minute. Safe for threads, and for processes that fork.

    Args:
        find: gives the entry points; by default those that are installed.
        third_party: whether plugins of other distributions than ``mlops-chain`` are loaded.
        patience_s: how long the loading of one may take.
    """

    def __init__(
        self,
        find: Find = find_installed,
        *,
        third_party: bool = True,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._find = find
        self._third_party = third_party
        self._patience_s = patience_s
        self._loaded: _Loaded | None = None
        self._gone: frozenset[str] = frozenset()
        self._lock = threading.RLock()

    def load(self) -> None:
        """Import every plugin that is not imported yet; the lookups do so by themselves."""
        self._offers(own_only=False)

    def plugins(self) -> tuple[LoadedPlugin, ...]:
        """Every plugin that is installed, usable or not, by name."""
        return tuple(offer.plugin for offer in self._offers())

    def plugin(self, name: str) -> LoadedPlugin:
        """The plugin of that name.

        Raises:
            ConfigurationError: there is none, it is broken, or there are two.
        """
        return self._offer(name).plugin

    def factories(self, role: str) -> Mapping[str, Factory]:
        """What opens which scheme; without schemes that two plugins name.

        Args:
            role: one of `chain_client.hookspecs.TABLES`.
        """
        found = self._by_scheme(role)
        return MappingProxyType(
            {
                scheme: offers[0].tables[role][scheme]
                for scheme, offers in found.items()
                if len(offers) == 1
            }
        )

    def factory(self, role: str, scheme: str, thing: str) -> Factory:
        """What opens a scheme.

        Args:
            role: as in `factories`.
            scheme: without the colon; shown if it is unknown, so nothing secret may be in it.
            thing: what is opened, for the error: ``signer``.

        Raises:
            ConfigurationError: no plugin names it, or two do.
        """
        found = self._by_scheme(role, own_only=True).get(scheme) if _own_first.get() else None
        found = found or self._by_scheme(role).get(scheme, [])
        if len(found) == 1:
            return found[0].tables[role][scheme]
        if found:
            raise ConfigurationError(f"{_say_doubled(role, scheme, found)}; remove one of them")
        raise ConfigurationError(
            f"no {thing} is known for '{scheme}:'; {self.describe_known(role)}"
        )

    def factory_of(self, uri: str, role: str, thing: str) -> Factory:
        """What opens a URI, by its scheme.

        Args:
            uri: of it only the scheme is shown: behind that there may be a password.
            role: as in `factories`.
            thing: as in `factory`.

        Raises:
            ConfigurationError: it has no scheme, no plugin names it, or two do.
        """
        scheme, colon, _ = uri.partition(":")
        if not colon:
            raise ConfigurationError(f"no scheme is named; {self.describe_known(role)}")
        return self.factory(role, scheme, thing)

    def describe_known(self, role: str) -> str:
        """For an error: the schemes that are known, and the plugins that can't be used."""
        known = ", ".join(f"{scheme}:" for scheme in sorted(self._by_scheme(role))) or "none"
        unusable = [
            f"the plugin {offer.plugin.describe()} can't be used: {offer.plugin.error}"
            for offer in self._offers()
            if offer.plugin.error is not None
        ]
        return "; ".join([f"known schemes: {known}", *unusable])

    def conflicts(self) -> tuple[str, ...]:
        """Every scheme that two plugins name, in words."""
        return tuple(
            _say_doubled(role, scheme, offers)
            for role in TABLES
            for scheme, offers in sorted(self._by_scheme(role).items())
            if len(offers) > 1
        )

    def observers(self, hook: str) -> tuple[HookCall, ...]:
        """Every usable implementation of a hook, in the order of the plugins' names."""
        return tuple(offer.calls[hook] for offer in self._offers() if hook in offer.calls)

    def hook_of(self, name: str, hook: str) -> HookCall:
        """One plugin's implementation of a hook.

        Raises:
            ConfigurationError: as `plugin`, or the plugin does not implement the hook.
        """
        offer = self._offer(name)
        if hook not in offer.calls:
            raise ConfigurationError(
                f"the plugin {offer.plugin.describe()} does not implement {hook}; it implements "
                f"{', '.join(offer.plugin.hooks)}"
            )
        return offer.calls[hook]

    def unregister(self, name: str) -> None:
        """Take a plugin away, with its schemes and hooks, as if it were not installed."""
        with self._lock:
            self._gone |= {name}

    def renew_lock(self) -> None:
        """In a forked child: a thread that does not exist here may hold the inherited lock."""
        self._lock = threading.RLock()

    def _offer(self, name: str) -> Offer:
        named = [offer for offer in self._offers() if offer.plugin.name == name]
        if not named:
            known = ", ".join(sorted({offer.plugin.name for offer in self._offers()}))
            raise ConfigurationError(
                f"no plugin named {name!r} is installed; installed are {known or 'none'}"
            )
        if named[0].plugin.error is not None:
            raise ConfigurationError(
                f"the plugin {named[0].plugin.describe()} can't be used: {named[0].plugin.error}"
            )
        return named[0]

    def _by_scheme(self, role: str, *, own_only: bool = False) -> dict[str, list[Offer]]:
        found: dict[str, list[Offer]] = {}
        for offer in self._offers(own_only=own_only):
            for scheme in offer.tables.get(role, {}):
                found.setdefault(scheme, []).append(offer)
        return found

    def _offers(self, *, own_only: bool = False) -> list[Offer]:
        loaded = self._loaded
        if loaded is None or not (loaded.is_whole or own_only):
            loaded = self._load(own_only=own_only)
        return [
            offer
            for offer in loaded.offers
            if offer.plugin.name not in self._gone and (offer.plugin.is_own or not own_only)
        ]

    def _load(self, *, own_only: bool) -> _Loaded:
        if is_loading_here():
            raise ConfigurationError("a plugin asked for plugins while it was being loaded")
        with self._lock:
            before = self._loaded
            if before is None or not (before.is_whole or own_only):
                self._loaded = before = self._loaded_now(before, own_only)
            return before

    def _loaded_now(self, before: _Loaded | None, own_only: bool) -> _Loaded:
        known = {} if before is None else {_key(o.plugin): o for o in before.offers}
        entries = [entry for entry in self._find() if entry.name not in self._gone]
        ours = [entry for entry in entries if is_own(entry)]
        others = [entry for entry in entries if entry not in ours]
        own_names = {entry.name for entry in ours}
        offers = [
            known.get(_key(name_plugin(entry).plugin)) or load_plugin(entry, self._patience_s)
            for entry in ours
        ]
        for entry in others:
            if not self._third_party:
                offers.append(name_plugin(entry, _OFF, is_off=True))
            elif entry.name in own_names:
                offers.append(name_plugin(entry, _OURS))
            elif not own_only:
                offers.append(_doubled(entry, others) or load_plugin(entry, self._patience_s))
        offers.sort(key=lambda offer: (offer.plugin.name, offer.plugin.distribution))
        return _Loaded(tuple(offers), is_whole=not own_only)


def _doubled(entry: EntryPoint, others: list[EntryPoint]) -> Offer | None:
    """A plugin that can't be used, as another one has its name; None if none has."""
    named = sorted(name_plugin(e).plugin.describe() for e in others if e.name == entry.name)
    if len(named) == 1:
        return None
    return name_plugin(
        entry, f"two plugins have this name, {' and '.join(named)}: remove one of them"
    )


def _key(plugin: LoadedPlugin) -> tuple[str, str]:
    return plugin.name, plugin.distribution


def _say_doubled(role: str, scheme: str, offers: list[Offer]) -> str:
    who = " and ".join(f"the plugin {offer.plugin.describe()}" for offer in offers)
    return f"more than one plugin opens '{scheme}:' ({role}): {who}"
