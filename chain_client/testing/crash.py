"""Death at a named step: `kill_at` in the process that dies, `run_killed` in the test.

The death is SIGKILL, sent by the process to itself: no handler, no exit hook and no buffer gets a
last word.
"""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from chain_client import steps
from chain_client.errors import InvalidInput

_CHILD = "import sys; from chain_client.testing import crash; crash.main(*sys.argv[1:])"


def kill_at(step_name: str, count: int = 1, *, report: Path | None = None) -> None:
    """From now on this process dies at the ``count``-th pass of a step.

    Args:
        step_name: one of `chain_client.steps.STEPS`.
        count: which pass, from 1.
        report: file that is written just before the death, so that a test can tell it from
            another SIGKILL.

    Raises:
        InvalidInput: no such step, or a count below 1.
    """
    if step_name not in steps.STEPS:
        raise InvalidInput(f"there is no step {step_name!r} in chain_client.steps")
    if count < 1:
        raise InvalidInput(f"expected a pass from 1 on, got {count}")
    left = count

    def die(name: str) -> None:
        nonlocal left
        if name != step_name:
            return
        left -= 1
        if left == 0:
            if report is not None:
                report.write_text(name, encoding="utf-8")
            os.kill(os.getpid(), signal.SIGKILL)

    steps.on_step = die


def run_killed(
    script: Path, *arguments: str, step_name: str, count: int = 1, timeout_s: float = 60
) -> str:
    """Run a script in a fresh interpreter that dies at a step.

    Args:
        script: a Python file; it is run as ``__main__`` and knows nothing of its death.
        arguments: its ``sys.argv[1:]``.
        step_name: where it dies.
        count: at which pass of that step.
        timeout_s: how long it may take to get there.

    Returns:
        what it wrote to its standard output.

    Raises:
        AssertionError: it ended otherwise; the step was not hit so often.
    """
    with TemporaryDirectory() as folder:
        report = Path(folder) / "died-at"
        child = subprocess.run(
            [
                *(sys.executable, "-c", _CHILD),
                *(step_name, str(count), str(report), str(script), *arguments),
            ],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        hit = report.exists() and report.read_text(encoding="utf-8") == step_name
    if not hit or child.returncode != -signal.SIGKILL:
        raise AssertionError(
            f"the script did not die at pass {count} of {step_name!r} "
            f"(step hit: {hit}, exit code {child.returncode})\n{child.stdout}{child.stderr}"
        )
    return child.stdout


def main(step_name: str, count: str, report: str, script: str, *arguments: str) -> None:
    """The child's side of `run_killed`."""
    sys.argv = [script, *arguments]
    sys.path[0] = str(Path(script).parent)
    kill_at(step_name, int(count), report=Path(report))
    runpy.run_path(script, run_name="__main__")
