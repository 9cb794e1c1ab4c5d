"""``python -m tests.storm``: one storm; exit code 0: each change has one leaf, else 1.

The same seed makes the same choices again, as far as the machine's timing lets it.
"""

from __future__ import annotations

import argparse
import json
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

from tests.storm.storm import Storm, Weather, print_to_stderr


def main() -> int:
    """Carry out one storm and report."""
    given = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="storm-", dir=given.work))
    print_to_stderr(f"storm: seed {given.seed}, {given.kills} kills in {given.seconds:.0f} s")
    result = Storm(Weather(given.seed, given.kills, given.seconds), folder, print_to_stderr).run()
    document = result.to_json()
    if document["ok"] and not given.keep:
        shutil.rmtree(folder)
    else:
        document["folder"] = str(folder)
    print(json.dumps(document, indent=2))
    repeat = f"--seed {given.seed} --kills {given.kills} --seconds {given.seconds:.0f}"
    print_to_stderr(f"the same again: python -m tests.storm {repeat}")
    return 0 if document["ok"] else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31))
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60, help="time over which kills spread")
    parser.add_argument("--work", type=Path, help="folder for the storm's folder")
    parser.add_argument("--keep", action="store_true", help="keep the folder whatever is found")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
