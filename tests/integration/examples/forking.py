"""Runs an example whose `mlops-chain` commands are forks of a process that has all imports.

    python tests/integration/examples/forking.py EXAMPLE [ARGUMENT…]

Each command is still a process of its own; see `tests.forked_commands`.
"""

from __future__ import annotations

import runpy
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_COMMAND = [sys.executable, "-m", "chain_client.cli"]


def _replace_run(program: Path) -> None:
    """Let `subprocess.run` start this program where an example starts `mlops-chain`."""
    run: Any = subprocess.run

    def forked(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        if list(command[:3]) == _COMMAND:
            command = [str(program), *command[3:]]
        return run(command, **options)  # type: ignore[no-any-return]

    subprocess.run = forked  # type: ignore[assignment]


def main(example: str, *arguments: str) -> None:
    """Run the example."""
    sys.path.append(str(Path(__file__).parents[3]))
    from tests.forked_commands import forked_commands

    with tempfile.TemporaryDirectory() as folder, forked_commands(Path(folder)) as programs:
        _replace_run(programs / "mlops-chain")
        sys.argv = [example, *arguments]
        runpy.run_path(example, run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
