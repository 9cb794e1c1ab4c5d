"""Prints the table of ledgers, or writes it into the documentation."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.conformance.chains import all_facts, to_table

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "ledgers.md"
BEGIN, END = "<!-- written by `make ledgers` -->\n", "<!-- end -->"


def main() -> None:
    """Find out, and print or write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write it into {PAGE.name}")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table = to_table(list(all_facts(Path(folder))))
    if options.write:
        before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
        PAGE.write_text(
            before + BEGIN + "\n" + table + "\n" + END + rest.partition(END)[2], "utf-8"
        )
    print(table, end="")


if __name__ == "__main__":
    main()
