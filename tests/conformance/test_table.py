"""The table of ledgers in the documentation is what the ledgers show."""

from __future__ import annotations

from pathlib import Path

from tests.conformance.__main__ import PAGE
from tests.conformance.chains import all_facts, to_table


def test_the_documented_table_is_true(tmp_path: Path) -> None:
    table = to_table(list(all_facts(tmp_path)))
    assert table in PAGE.read_text("utf-8"), f"`make ledgers` writes it anew:\n{table}"
