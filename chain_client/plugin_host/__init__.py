"""The plugin host: loads plugins, checks them, and says which scheme is opened by what.

Everything that is chosen by a scheme (keys, ledgers, payload stores, shippers, artifact stores)
is looked up here and nowhere else; our own built-ins are plugins of the distribution
``mlops-chain``. Hooks and their contracts are in `chain_client.hookspecs`.
"""

from __future__ import annotations

from chain_client.plugin_host.host import PluginHost, own_plugins_first
from chain_client.plugin_host.loading import HookCall, LoadedPlugin
from chain_client.plugin_host.process import PLUGINS_VARIABLE, get_plugin_host, using_plugin_host

__all__ = [
    "PLUGINS_VARIABLE",
    "HookCall",
    "LoadedPlugin",
    "PluginHost",
    "get_plugin_host",
    "own_plugins_first",
    "using_plugin_host",
]
