"""The gated promotion holds, unchanged, on a real node with Postgres behind the log."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(600)  # thirty commands, a server, a node and a Postgres

EXAMPLES = Path(__file__).parents[3] / "examples"
FORKING = Path(__file__).with_name("forking.py")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What it prints; told once."""
    example = [str(FORKING), str(EXAMPLES / "gated_promotion.py"), "--folder", "{folder}"]
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "on_a_network/up.py"), "--", sys.executable, *example],
        cwd=tmp_path_factory.mktemp("story"),
        env={**os.environ, "PYTHONWARNINGS": "ignore", "COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=560,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def test_the_deployment_is_planned_refused_without_funds_and_made(story: str) -> None:
    said = " ".join(story.split())
    assert re.search(r"costs about [\d.]+ of the chain's coin: [\d,]+ gas", said)
    lacking = re.findall(r"0x[0-9a-f]{40} (owner|log writer|registrar|submitter) 0 0\.\d+", said)
    assert lacking == ["owner", "log writer", "registrar", "submitter"]
    assert "deployed /" in said


def test_the_promotion_goes_through_as_on_the_embedded_chain(story: str) -> None:
    tried = re.findall(r"^dan (.*)\n  (\w+): ", story, flags=re.MULTILINE)
    assert len(tried) == 8
    assert {code for _, code in tried} <= {"PERMISSION_DENIED", "RESOURCE_CONFLICT"}
    assert story.count("2 of 2 approvals; can be promoted now") == 2
    assert "set       alias:champion of fraud: version 2 (before: 1)" in story
    assert "It holds. What MLflow shows is what was recorded." in story


def test_what_it_ran_on_was_a_network_and_postgres(story: str) -> None:
    said = " ".join(story.split())
    assert re.search(r"ok endpoint 1 http://127\.0\.0\.1:\d+: chain 31337", said)
    assert "entries in postgresql" in said
    assert "FAIL" not in said
