"""The promotion whose keys are in KMS, and whose payloads and files are in S3, holds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(600)  # twenty commands, one after the other

EXAMPLE = Path(__file__).parents[3] / "examples/aws_promotion.py"
FORKING = Path(__file__).with_name("forking.py")


def test_a_promotion_signed_in_kms_with_payloads_in_s3_goes_through_and_tampering_shows(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, str(FORKING), str(EXAMPLE), "--folder", str(tmp_path / "story")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONWARNINGS": "ignore", "COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=560,
        check=False,
    )
    story = done.stdout
    assert done.returncode == 0, story[-3000:] + done.stderr[-3000:]
    said = " ".join(story.split())
    # 1. Each who signs has a key in KMS, and none lies on disk.
    assert len(set(re.findall(r"awskms:alias/\w+ (0x[0-9a-f]{40})", said))) == 3
    assert "2 of 2 approvals; can be promoted now" in said
    assert "set alias:champion of fraud: version 1 (before: none)" in said
    # 2. What events say is in the bucket, all of it, and the log's database holds none of it;
    #    only the spool of the process that still records does.
    [entries] = re.findall(r"on chain (\d+) entries", said)
    assert f"What {entries} events say lies in s3://acme-mlops-payloads" in said
    private = b"patients of the north clinic"
    home = tmp_path / "story" / "home"
    files = [file for file in home.rglob("*") if file.is_file() and file.suffix != ".spool"]
    assert home / "log.db" in files
    assert [file.name for file in files if private in file.read_bytes()] == []
    # 3. It verifies, until somebody deletes a payload.
    assert said.index("It holds.") < said.index("log_payload_object_missing")
    # 4. What is printed fits a terminal, and shows nothing that nobody may see.
    prose = [line for line in story.splitlines() if not line.startswith(("$", "log_payload"))]
    assert [line for line in prose if len(line) > 80] == []
    assert "Traceback" not in story
    assert "stand-in/secret" not in story + done.stderr
