"""``mlops-chain plugins list`` for people."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from chain_client.plugin_host import PluginHost, using_plugin_host
from tests.plugin_distributions import write_distribution

Run = Callable[..., tuple[int, str, str]]
HOOK = """
    from chain_client.hookspecs import hookimpl
    @hookimpl
    def check_promotion(context):
        return []
"""


def test_a_path_stands_whole_on_a_line_of_its_own(
    mlops_chain: Run,
    third_party_plugins: PluginHost,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = tmp_path / "a folder with a long name" / ("deep-" * 20) / "[red] site"
    site.mkdir(parents=True)
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("COLUMNS", "80")
    for name, source in (("sound", HOOK), ("broken", "raise OSError")):
        module = f"listed_{name}"
        write_distribution(site, f"acme-{name}", modules={module: source}, plugins={name: module})
    with using_plugin_host():  # as a new process
        code, out, _ = mlops_chain("plugins", "list")
    lines = out.splitlines()
    assert code == 1
    assert {f"  {site}/listed_sound.py", "  listed_broken"} <= set(lines)
    (broken,) = (line for line in lines if line.startswith("broken  broken "))
    assert broken.endswith(f"loading it raised OSError at {site}/listed_broken.py:1")
    (sound,) = (line for line in lines if line.startswith("loaded  sound "))
    assert sound.index("check_promotion") == broken.index("loading it")
