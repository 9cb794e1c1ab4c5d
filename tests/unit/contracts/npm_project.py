"""The npm project in `contracts/`: where it is, and how its runner is called."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[3]
CONTRACTS = CHECKOUT / "contracts"
ARTIFACTS = CHECKOUT / "chain_client" / "ledger" / "artifacts"


def run(
    *words: object, folder: Path = CONTRACTS, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Call ``run.py`` of the project in ``folder``; its errors are part of its output."""
    return subprocess.run(
        [sys.executable, str(folder / "run.py"), *map(str, words)],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
