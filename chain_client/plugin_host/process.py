"""The plugin host of this process."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping
from typing import Final

from chain_client.errors import ConfigurationError
from chain_client.plugin_host.host import PluginHost

PLUGINS_VARIABLE: Final = "MLOPS_CHAIN_PLUGINS"
"""``all`` (the default) loads every plugin that is installed, ``own`` our built-ins alone."""

_lock = threading.Lock()
_host: PluginHost | None = None


def get_plugin_host() -> PluginHost:
    """The host of this process, made when first asked for; loads nothing yet.

    Raises:
        ConfigurationError: `MLOPS_CHAIN_PLUGINS` is neither ``all`` nor ``own``.
    """
    global _host
    found = _host
    if found is None:
        with _lock:
            if _host is None:
                _host = PluginHost(third_party=_wants_all(os.environ))
            found = _host
    return found


@contextlib.contextmanager
def using_plugin_host(host: PluginHost | None = None) -> Iterator[PluginHost]:
    """Put another host in the place of the process's own, for tests.

    Args:
        host: default: a new one that loads everything that is installed.
    """
    global _host
    before, _host = _host, host or PluginHost()
    try:
        yield _host
    finally:
        _host = before


def _wants_all(environ: Mapping[str, str]) -> bool:
    wanted = environ.get(PLUGINS_VARIABLE) or "all"
    if wanted not in ("all", "own"):
        raise ConfigurationError(f"{PLUGINS_VARIABLE}: expected all or own, got {wanted!r}")
    return wanted == "all"


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    if _host is not None:
        _host.renew_lock()


os.register_at_fork(after_in_child=_after_fork)
