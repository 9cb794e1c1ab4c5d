"""``mlops-chain plugins``."""

from __future__ import annotations

from typing import Any

import click

from chain_client.cli.output import console, json_option, print_json, print_rows, safe
from chain_client.plugin_host import LoadedPlugin, get_plugin_host
from chain_client.shown_text import escape_unprintable


@click.group()
def plugins() -> None:
    """See which plugins are installed, and what they offer.

    \b
    Example:
      mlops-chain plugins list
    """


@plugins.command("list")
@json_option
@click.pass_context
def list_plugins(context: click.Context, as_json: bool) -> None:
    """List every plugin; exit code 1 if one is broken, or two want the same.

    Needs no home: plugins belong to the installation.

    \b
    Examples:
      mlops-chain plugins list
      mlops-chain plugins list --json
    """
    host = get_plugin_host()
    found, conflicts = host.plugins(), host.conflicts()
    sound = not conflicts and all(one.error is None or one.is_off for one in found)
    if as_json:
        print_json(
            {
                "ok": sound,
                "plugins": [_to_json(one) for one in found],
                "conflicts": list(conflicts),
            }
        )
    elif not found:
        console().print("no plugin is installed, not even our own: install mlops-chain anew")
    else:
        width = max(len(escape_unprintable(one.name)) for one in found)
        for one in found:
            _print(one, width)
        print_rows(("[red]conflict[/]", said) for said in conflicts)
    context.exit(0 if sound else 1)


def _state(plugin: LoadedPlugin) -> str:
    if plugin.is_off:
        return "off"
    return "loaded" if plugin.error is None else "broken"


def _print(plugin: LoadedPlugin, width: int) -> None:
    """One plugin; no path is broken into lines, to be copied and searched for."""
    out = console()
    name = safe(escape_unprintable(plugin.name).ljust(width))
    came = safe(f"from {plugin.distribution} {plugin.version}".rstrip())
    if plugin.error is None:
        print_rows([(_mark(plugin), f"[bold]{name}[/]", _offers(plugin))])
    else:
        out.print(f"{_mark(plugin)}  [bold]{name}[/]  {safe(plugin.error)}", soft_wrap=True)
    out.print(f"{' ' * (width + 10)}{came}", soft_wrap=True)
    out.print(f"  {safe(plugin.file or plugin.module)}", soft_wrap=True)


def _mark(plugin: LoadedPlugin) -> str:
    state = _state(plugin)
    color = {"loaded": "green", "off": "yellow"}.get(state, "red")
    return f"[{color}]{state:6}[/]"


def _offers(plugin: LoadedPlugin) -> str:
    return ", ".join(
        f"{hook} ({', '.join(f'{scheme}:' for scheme in plugin.schemes[hook])})"
        if hook in plugin.schemes
        else hook
        for hook in plugin.hooks
    )


def _to_json(plugin: LoadedPlugin) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "state": _state(plugin),
        "distribution": plugin.distribution,
        "version": plugin.version,
        "module": plugin.module,
        "file": plugin.file or None,
        "hooks": list(plugin.hooks),
        "schemes": {hook: list(schemes) for hook, schemes in plugin.schemes.items()},
        "error": plugin.error,
    }
