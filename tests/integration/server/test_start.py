"""A server that can't record says so and ends; it never makes a home, and never tries for ever."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from tests.mlflow_server import Site


def test_a_server_without_a_home_ends_with_a_text_that_helps(new_site: Callable[..., Site]) -> None:
    site = new_site()
    shutil.rmtree(site.home)
    ended = site.run("-m", "mlflow", "server", "--backend-store-uri", site.uri, "--port", "1")
    assert ended.returncode == 1
    assert "mlops-chain init" in ended.stderr
    assert "MLOPS_CHAIN_HOME" in ended.stderr
    assert not site.home.exists()
