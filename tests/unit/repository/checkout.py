"""What the tests of the repository look at: its root, and the files that git tracks."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]


def tracked_files(*patterns: str) -> list[tuple[str, str]]:
    """Mode and path of every tracked file that exists, by git's patterns."""
    done = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-s", "-z", "--", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = []
    for line in filter(None, done.stdout.split("\0")):
        about, path = line.split("\t", 1)
        if (ROOT / path).is_file():
            found.append((about.split()[0], path))
    return found


def tracked_texts() -> list[tuple[str, str]]:
    """Path and content of every tracked text file."""
    found = []
    for _, path in tracked_files():
        content = (ROOT / path).read_bytes()
        if b"\0" not in content:
            found.append((path, content.decode("utf-8")))
    return found
