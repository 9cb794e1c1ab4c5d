"""``mlops-chain plugins list``, and what ``doctor`` says of plugins."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from chain_client.plugin_host import PluginHost, using_plugin_host
from tests.plugin_distributions import write_distribution

Command = Callable[..., tuple[int, str, str]]

CLAIM = """
    from chain_client.hookspecs import hookimpl
    @hookimpl
    def signers():
        return {"keystore": print, "claimed": print}
    @hookimpl
    def check_promotion(context):
        return []
"""


def test_it_shows_what_is_loaded_from_where_with_which_hooks(
    install: Callable[..., None], site: Path, mlops_chain: Command, home: Path
) -> None:
    code, out, _ = mlops_chain("plugins", "list", "--json")
    told = json.loads(out)
    assert (code, told["ok"], told["conflicts"]) == (0, True, [])
    assert mlops_chain("--home", home, "doctor", "--json")[1].count('"plugins"') == 1

    install("claiming", CLAIM, "acme-keys")
    install("broken", "raise RuntimeError('hunter2')")
    with using_plugin_host():  # as a new process
        _it_names_what_is_wrong(site, mlops_chain, home)


def _it_names_what_is_wrong(site: Path, mlops_chain: Command, home: Path) -> None:
    code, out, _ = mlops_chain("plugins", "list", "--json")
    told = json.loads(out)
    assert (code, told["ok"]) == (1, False)
    found = {plugin["name"]: plugin for plugin in told["plugins"]}
    assert found["claiming"] == {
        "name": "claiming",
        "state": "loaded",
        "distribution": "acme-keys",
        "version": "1.0",
        "module": found["claiming"]["module"],
        "file": str(site / f"{found['claiming']['module']}.py"),
        "hooks": ["check_promotion", "signers"],
        "schemes": {"signers": ["claimed", "keystore"]},
        "error": None,
    }
    assert found["broken"]["state"] == "broken"
    assert "RuntimeError" in found["broken"]["error"]
    [conflict] = told["conflicts"]
    assert "acme-keys 1.0" in conflict
    assert "mlops-chain 0" in conflict

    code, out, _ = mlops_chain("plugins", "list")
    assert code == 1
    text = " ".join(out.split())
    assert "loaded claiming check_promotion, signers (claimed:, keystore:) from acme-keys" in text
    assert "broken broken loading it raised RuntimeError" in text
    assert "conflict more than one plugin opens 'keystore:'" in text
    assert "hunter2" not in text

    code, out, _ = mlops_chain("--home", home, "doctor", "--json")
    [check] = [one for one in json.loads(out)["checks"] if one["name"] == "plugins"]
    assert (code, check["ok"]) == (1, False)
    assert "broken of broken-plugin 1.0 can't be used" in check["detail"]
    assert conflict in check["detail"]


def test_plugins_that_were_left_out_are_no_fault(site: Path, mlops_chain: Command) -> None:
    write_distribution(
        site, "acme", modules={"left_out": "raise OSError"}, plugins={"a": "left_out"}
    )
    with using_plugin_host(PluginHost(third_party=False)):
        code, out, _ = mlops_chain("plugins", "list")
    assert code == 0
    assert "off a it was not loaded, as MLOPS_CHAIN_PLUGINS is own" in " ".join(out.split())
