"""Pages of the documentation whose shell blocks are run as they are written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"

_NEXT = "--- next block"


def run_shell_blocks(page: str, folder: Path, programs: Path | None = None) -> list[str]:
    """Run every block that is marked as ``sh``, one after the other, in one shell.

    Args:
        page: path below ``docs``.
        folder: where they run.
        programs: where programs are looked for first, such as `tests.forked_commands`; default:
            beside this process's Python.

    Returns:
        what each block printed.
    """
    text = (DOCS / page).read_text(encoding="utf-8")
    return _run(
        re.findall(r"^```sh\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL), folder, programs
    )


def named_files(page: str) -> dict[str, str]:
    """The blocks of a page that stand below the name of a file, by that name."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.findall(r"^`([^`\n]+)`:\n\n```\w+\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    assert len(dict(found)) == len(found)
    return dict(found)


def _run(blocks: list[str], folder: Path, programs: Path | None) -> list[str]:
    script = folder / "blocks.sh"
    script.write_text(f"\necho '{_NEXT}'\n".join(blocks), encoding="utf-8")
    folders = [*filter(None, [programs]), Path(sys.executable).parent, os.environ["PATH"]]
    path = os.pathsep.join(map(str, folders))
    done = subprocess.run(
        ["bash", str(script)],
        capture_output=True,
        text=True,
        timeout=250,
        cwd=folder,
        env=os.environ | {"PATH": path},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split(_NEXT)
