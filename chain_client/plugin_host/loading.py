"""Loading one plugin: from its entry point to what it offers, or why it can't be used."""

from __future__ import annotations

import functools
import inspect
import re
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from types import MappingProxyType
from typing import Any, Final

import pluggy

from chain_client import hookspecs
from chain_client.errors import ChainError, ConfigurationError

OWN_DISTRIBUTION: Final = "mlops-chain"

Factory = Callable[..., Any]

_UNNAMED: Final = "an unnamed distribution"
_here = threading.local()

_SCHEME: Final = re.compile("[a-z][a-z0-9+.-]*")


@dataclass(frozen=True, slots=True)
class LoadedPlugin:
    """A plugin that is installed, and what became of it.

    Args:
        name: of its entry point.
        distribution: that it came with.
        version: of the distribution; empty if it names none.
        module: what its entry point names.
        file: its source file; empty if it is not loaded, or has none.
        hooks: that it implements, in the order of their names.
        schemes: that it offers, by hook.
        error: why it is not used; None if it is. Holds no text of a foreign exception.
        is_off: whether it was not loaded because only our own are to be.
    """

    name: str
    distribution: str
    version: str
    module: str
    file: str = ""
    hooks: tuple[str, ...] = ()
    schemes: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    error: str | None = None
    is_off: bool = False

    @property
    def is_own(self) -> bool:
        """Whether it is one of our built-ins."""
        return self.distribution == OWN_DISTRIBUTION

    def describe(self) -> str:
        """For people: ``aws of mlops-chain-aws 0.1.0``."""
        return f"{self.name} of {self.distribution} {self.version}".rstrip()


@dataclass(frozen=True, slots=True)
class HookCall:
    """One plugin's implementation of one hook.

    Args:
        plugin: whose.
        hook: which.
    """

    plugin: LoadedPlugin
    hook: str
    _function: Callable[..., object] = field(repr=False)
    _argnames: tuple[str, ...] = field(repr=False)

    def __call__(self, **values: object) -> object:
        """Call it with those of the hook's arguments that it asks for; raises what it raises."""
        return self._function(**{name: values[name] for name in self._argnames})


@dataclass(frozen=True, slots=True)
class Offer:
    """A plugin with what it offers; an unusable one offers nothing."""

    plugin: LoadedPlugin
    tables: Mapping[str, Mapping[str, Factory]] = field(default_factory=dict)
    calls: Mapping[str, HookCall] = field(default_factory=dict)


class _Unfit(Exception):
    """The plugin breaks our contract; the text is our own and may be shown."""


def identify(entry: EntryPoint) -> tuple[str, str] | None:
    """Name and version of the distribution that an entry point came with; None: can't be read.

    Half an uninstall leaves metadata that raises whatever it likes.
    """
    dist = entry.dist
    if dist is None:  # made by hand, and so meant
        return _UNNAMED, ""
    try:
        name, version = dist.name, dist.version
    except Exception:
        return None
    return (name, version or "") if isinstance(name, str) and name else None


def name_plugin(entry: EntryPoint, error: str | None = None, *, is_off: bool = False) -> Offer:
    """A plugin as its distribution describes it; nothing of it is imported."""
    name, version = identify(entry) or (_UNNAMED, "")
    return Offer(
        LoadedPlugin(
            name=entry.name,
            distribution=name,
            version=version,
            module=entry.value,
            error=error,
            is_off=is_off,
        )
    )


def is_own(entry: EntryPoint) -> bool:
    """Whether it is one of our built-ins; nothing of it is imported."""
    found = identify(entry)
    return found is not None and found[0] == OWN_DISTRIBUTION


def is_loading_here() -> bool:
    """Whether this thread is just loading a plugin."""
    return getattr(_here, "loads", False)


def load_plugin(entry: EntryPoint, patience_s: float) -> Offer:
    """Import a plugin and ask for its tables, in a thread that is left behind where it hangs.

    Guarantee: whatever its code raises, except KeyboardInterrupt, becomes its `error`.

    Args:
        entry: of the plugin.
        patience_s: how long it may take.
    """
    if is_own(entry):
        return _load(entry)
    if identify(entry) is None:
        return name_plugin(entry, "the metadata of its distribution can't be read: reinstall it")
    found: list[Offer | BaseException] = []

    def work() -> None:
        _here.loads = True
        try:
            found.append(_load(entry))
        except BaseException as exc:
            found.append(exc)

    thread = threading.Thread(target=work, name=f"loading plugin {entry.name}", daemon=True)
    thread.start()
    thread.join(patience_s)
    if not found:
        return name_plugin(entry, f"loading it took longer than {patience_s:g} s")
    [result] = found
    if isinstance(result, Offer):
        return result
    if isinstance(result, KeyboardInterrupt):
        raise result
    return name_plugin(entry, _say(result))


def _load(entry: EntryPoint) -> Offer:
    plugin = entry.load()
    # A manager of its own for each plugin: none can wrap or hide what another one answers.
    manager = pluggy.PluginManager("mlops_chain")
    manager.add_hookspecs(hookspecs)
    known = set(vars(manager.hook))
    try:
        manager.register(plugin, name=entry.name)
    except pluggy.PluginValidationError as exc:
        raise _Unfit(_say_arguments(manager, plugin)) from exc
    named = name_plugin(entry).plugin
    calls: dict[str, HookCall] = {}
    for caller in manager.get_hookcallers(plugin) or ():
        if caller.name not in known:
            raise _Unfit(f"it implements the hook {caller.name!r}, which does not exist")
        implementations = caller.get_hookimpls()
        if len(implementations) > 1:
            raise _Unfit(f"it implements the hook {caller.name!r} more than once")
        [found] = implementations
        if found.hookwrapper or found.wrapper:
            raise _Unfit(f"it wraps the hook {caller.name!r}; hooks of other plugins are theirs")
        calls[caller.name] = HookCall(named, caller.name, found.function, tuple(found.argnames))
    if not calls:
        raise _Unfit("it implements no hook: no function of it is marked with `hookimpl`")
    tables: dict[str, Mapping[str, Factory]] = {
        role: _checked(named, role, calls[role]()) for role in hookspecs.TABLES if role in calls
    }
    plugin_loaded = LoadedPlugin(
        named.name,
        named.distribution,
        named.version,
        named.module,
        file=getattr(sys.modules.get(entry.module), "__file__", None) or "",
        hooks=tuple(sorted(calls)),
        schemes=MappingProxyType({role: tuple(sorted(table)) for role, table in tables.items()}),
    )
    return Offer(
        plugin_loaded,
        tables,
        {
            name: HookCall(plugin_loaded, name, call._function, call._argnames)
            for name, call in calls.items()
        },
    )


def _say_arguments(manager: pluggy.PluginManager, plugin: object) -> str:
    """Which hook asks for what it is not given."""
    for name in dir(plugin):
        if manager.parse_hookimpl_opts(plugin, name) is None or not hasattr(hookspecs, name):
            continue
        given = list(inspect.signature(getattr(hookspecs, name)).parameters)
        asked = inspect.signature(getattr(plugin, name)).parameters
        wrong = [repr(argument) for argument in asked if argument not in given]
        if wrong:
            may = f"it may ask for {', '.join(given)}" if given else "it is given none"
            return f"its hook {name!r} asks for {', '.join(wrong)}; {may}"
    return "one of its hooks is not as the hook's specification says"


def _checked(plugin: LoadedPlugin, role: str, table: object) -> Mapping[str, Factory]:
    if not isinstance(table, Mapping):
        raise _Unfit(f"its hook {role!r} gives no mapping of schemes to factories")
    found = dict(table)
    for scheme, factory in found.items():
        if not isinstance(scheme, str) or not _SCHEME.fullmatch(scheme):
            raise _Unfit(
                f"its hook {role!r} names a scheme that is none: expected lower-case letters, "
                "digits, +, . and -, without the colon"
            )
        if not callable(factory):
            raise _Unfit(f"its hook {role!r} gives something for {scheme!r} that can't be called")
    return MappingProxyType(
        {scheme: _guarded(plugin, scheme, factory) for scheme, factory in found.items()}
    )


def _guarded(plugin: LoadedPlugin, scheme: str, factory: Factory) -> Factory:
    """The factory, of which no foreign exception gets out: its text may hold a password."""

    @functools.wraps(factory)
    def make(*values: Any) -> Any:
        try:
            return factory(*values)
        except (ChainError, KeyboardInterrupt):
            raise
        except BaseException as exc:
            raise ConfigurationError(
                f"the plugin {plugin.describe()} can't open '{scheme}:': it raised "
                f"{type(exc).__name__}"
            ) from exc

    return make


def _say(exc: BaseException) -> str:
    """Why, without the text of a foreign exception: it may hold a password or a payload."""
    if isinstance(exc, _Unfit):
        return str(exc)
    if isinstance(exc, ModuleNotFoundError) and exc.name:
        return f"it needs the module {exc.name!r}, which is not installed"
    frames = traceback.extract_tb(exc.__traceback__)
    place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"loading it raised {type(exc).__name__}{place}"
