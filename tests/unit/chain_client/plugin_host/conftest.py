"""Plugins on the path of a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from chain_client.plugin_host import PluginHost
from tests.plugin_distributions import write_distribution

Install = Callable[..., None]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path, as an installer fills it."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture
def install(third_party_plugins: PluginHost, site: Path) -> Install:
    """Put a plugin of one module on the path: its name, its source, its distribution."""

    def put(name: str, source: str, distribution: str = "", module: str = "") -> None:
        module = module or f"plugged_{name}_{len(list(site.iterdir()))}"
        write_distribution(
            site,
            distribution or f"{name}-plugin",
            modules={module: source},
            plugins={name: module},
        )

    return put
