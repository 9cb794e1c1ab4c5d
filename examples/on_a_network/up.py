"""The promotion of `gated_promotion.py` on a real node, with Postgres behind the log.

    python examples/on_a_network/up.py

It runs from a checkout with the dev extra: anvil comes from npm and Postgres from a Python package,
as for the tests. Both listen on this machine only, and end with the script. What comes after ``--``
is run instead of the example, with ``{folder}`` for the folder whose ``home`` is deployed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.postgres import Postgres, running_postgres  # noqa: E402
from tests.running_nodes import RunningNode, running_anvil  # noqa: E402

EXAMPLE = ROOT / "examples" / "gated_promotion.py"
BLOCKS = ("--mixed-mining", "--block-time", "1", "--slots-in-an-epoch", "1")
"""A block for each transaction, and one a second; one is final when two are on top of it."""


class StepFailed(Exception):
    """A command did what it must not; the text says what."""


class Operator:
    """Who brings a home to the network.

    Args:
        folder: where ``home`` is made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ours = ("MLFLOW_", "MLOPS_CHAIN_")
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(ours)},
            "MLOPS_CHAIN_HOME": str(folder / "home"),
            "COLUMNS": os.environ.get("COLUMNS", "100"),
        }

    def configure(self, anvil: RunningNode, postgres: Postgres) -> None:
        """Name the network and the log's database, as an operator writes them down once."""
        home = self.folder / "home"
        home.mkdir(mode=0o700, parents=True)
        log_url = postgres.uri(postgres.create(), "psycopg")
        file = home / "config.toml"
        file.touch(mode=0o600)
        file.write_text(
            f"[ledger]\nurl = {json.dumps(anvil.url)}\n\n[log]\nurl = {json.dumps(log_url)}\n"
        )

    def chain(self, *words: str, may_fail: bool = False) -> subprocess.CompletedProcess[str]:
        """Run `mlops-chain …` and show it."""
        print(f"\n$ mlops-chain {' '.join(words)}", flush=True)
        done = subprocess.run(
            [sys.executable, "-m", "chain_client.cli", *words],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        print((done.stdout + done.stderr).rstrip(), flush=True)
        if done.returncode and not may_fail:
            raise StepFailed(f"mlops-chain {' '.join(words)} failed")
        return done

    def deploy(self, anvil: RunningNode) -> None:
        """Look, be told what is missing, fund it, and deploy."""
        self.chain("deploy", "--dry-run")
        refused = self.chain("deploy", "--yes", may_fail=True)
        keys = sorted((self.folder / "home" / "keys").glob("*.json"))
        if refused.returncode != 2 or len(keys) != 4:
            raise StepFailed("a deployment without funds was not refused")
        addresses = [bytes.fromhex(json.loads(file.read_text())["address"][-40:]) for file in keys]
        anvil.fund(*addresses)  # type: ignore[arg-type]
        anvil.mine(4)  # anvil proves what was given from the next block on, and final is older
        print(f"\n(the network's faucet gives the {len(addresses)} keys funds)")
        self.chain("deploy", "--yes")

    def run(self, command: Sequence[str]) -> int:
        """Run the example; its exit code."""
        words = [word.replace("{folder}", str(self.folder)) for word in command]
        print(f"\n$ {' '.join(Path(word).name for word in words)}", flush=True)
        return subprocess.run(words, env=self._environment, check=False).returncode


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path, help="An empty folder that is kept.")
    parser.add_argument("command", nargs="*", help="what is run instead, after --")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = (asked.folder or Path(tempfile.mkdtemp(prefix="on-a-network-"))).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    command = asked.command or [sys.executable, str(EXAMPLE), "--folder", "{folder}"]
    try:
        with running_anvil(*BLOCKS) as anvil, running_postgres() as postgres:
            operator = Operator(folder)
            operator.configure(anvil, postgres)
            operator.deploy(anvil)
            code = operator.run(command)
            if code == 0:
                operator.chain("relay", "--once")
                operator.chain("doctor")
            return code
    except StepFailed as exc:
        print(f"\nFAILED: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if asked.folder is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
