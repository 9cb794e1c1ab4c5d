"""The how-to that builds a plugin from nothing works as it is written, and builds the example."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from chain_client.plugin_host import PluginHost
from tests.integration.governance.conftest import Site
from tests.integration.governance.test_how_tos import give_keys_to_people
from tests.shell_pages import named_files, run_shell_blocks

PAGE = "how-to/write-a-plugin.md"
EXAMPLE = Path(__file__).parents[3] / "examples/promotion_checks"


def test_the_page_shows_every_file_of_the_example_as_it_is() -> None:
    shown = {
        name.removeprefix("promotion-checks/"): content
        for name, content in named_files(PAGE).items()
        if name.startswith("promotion-checks/") and "/tests/" not in name
    }
    files = [EXAMPLE / "pyproject.toml", *(EXAMPLE / "src/promotion_checks").glob("*.py")]
    assert shown == {
        file.relative_to(EXAMPLE).as_posix(): file.read_text(encoding="utf-8") for file in files
    }


def test_a_plugin_from_nothing_blocks_a_promotion(
    site: Site,
    third_party_plugins: PluginHost,
    forking_programs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site.store.delete_registered_model("fraud")  # whoever reads the page may have none
    give_keys_to_people(site)
    for name, content in named_files(PAGE).items():
        file = site.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    installed = site.folder / "installed"
    for name, value in {
        "MLOPS_CHAIN_HOME": str(site.home),
        "MLFLOW_TRACKING_URI": f"chain+sqlite:///{site.folder}/mlflow.db",
        # Into a folder of the test's, which is looked at before the environment, and from no index.
        "PIP_TARGET": str(installed),
        "PIP_NO_DEPS": "true",
        "PIP_NO_INDEX": "true",
        "PIP_NO_BUILD_ISOLATION": "false",
        "PIP_DISABLE_PIP_VERSION_CHECK": "true",
        "PYTHONPATH": str(installed),
        "PYTHONWARNINGS": "ignore",
    }.items():
        monkeypatch.setenv(name, value)
    listed, tested, applied, blocked, passed = run_shell_blocks(PAGE, site.folder, forking_programs)
    assert "promotion-checks" in listed
    assert str(installed) in "".join(listed.split())
    assert "1 passed" in tested
    assert "exit code 1: chain and file differ" in applied
    assert 'better by plugin promotion-checks with {"at_least": 0.8' in " ".join(applied.split())
    assert "exit code 2: nothing was registered or sent" in blocked
    assert "warns" in passed
    assert "is not proposed for that target now" in passed
    assert "described: the version has no tag 'owner'" in " ".join(passed.split())
    assert str(installed) not in sys.path
