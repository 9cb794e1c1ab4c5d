"""The story of a gated promotion holds: every door stays shut, and approval opens it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(600)  # twenty commands and a server, one after the other

EXAMPLE = Path(__file__).parents[3] / "examples/gated_promotion.py"
FORKING = Path(__file__).with_name("forking.py")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What it prints; told once."""
    done = subprocess.run(
        [sys.executable, str(FORKING), str(EXAMPLE)],
        cwd=tmp_path_factory.mktemp("story"),
        env={**os.environ, "PYTHONWARNINGS": "ignore", "COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=560,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_every_door_is_tried_and_refused_with_the_reason(story: str) -> None:
    tried = re.findall(r"^dan (.*)\n  (\w+): ", story, flags=re.MULTILINE)
    assert len(tried) == 8
    assert {code for _, code in tried} <= {"PERMISSION_DENIED", "RESOURCE_CONFLICT"}
    said = " ".join(story.split())
    assert "it needs 2 approvals on chain, and version 1 is approved there" in said
    draft = re.search(r"Run: mlops-chain draft propose ([0-9a-f]{16})", said)
    assert draft is not None
    assert f"$ mlops-chain draft propose {draft[1]}" in said


def test_the_promotion_goes_through_with_its_approvals_and_everything_holds(story: str) -> None:
    assert story.count("2 of 2 approvals; can be promoted now") == 2
    assert "set       alias:champion of fraud: version 2 (before: 1)" in story
    assert story.count("meaning   approval") == 4
    assert story.rstrip().endswith("It holds. What MLflow shows is what was recorded.")


def test_it_fits_a_terminal_and_shows_no_password(story: str) -> None:
    prose = [line for line in story.splitlines() if not line.startswith(("$", "signed by"))]
    assert [line for line in prose if len(line) > 80] == []
    assert "Traceback" not in story
