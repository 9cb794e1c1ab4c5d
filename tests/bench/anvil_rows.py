"""Rows of a relay that anchors on a real node: no target names them, they say what it gives."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from chain_client.config import CONFIG_FILE
from tests.bench.bench_home import Options
from tests.bench.figures import Row
from tests.bench.relay_rows import Place, rows_at
from tests.faults.chain_home import found_home_on
from tests.running_nodes import running_anvil

_BLOCK_S = 1
_WAIT_S = 0.5
"""As on the embedded chain (`relay.max_wait_rpc_s` is longer by default, for the gas's sake)."""
_NOTE = (
    f"A block each {_BLOCK_S} s, final two blocks later; nothing counts before it is final. The "
    f"log is a SQLite file, relay.max_wait_rpc_s is {_WAIT_S}."
)


def anvil_rows(options: Options) -> list[Row]:
    """The rows of this module that are wanted."""
    rows: list[Row] = []
    for name in sorted(options.rows & {"anvil_events", "anvil_lag"}):
        # A node for each: copies of one home would share a log on chain.
        with running_anvil("--block-time", str(_BLOCK_S), "--slots-in-an-epoch", "1") as anvil:
            template = options.work / f"{name}-template"
            found_home_on(anvil, template)
            (template / CONFIG_FILE).write_text(
                f'[ledger]\nurl = "{anvil.url}"\n[relay]\nmax_wait_rpc_s = {_WAIT_S}\n', "utf-8"
            )

            def make_home(suffix: str, template: Path = template) -> Path:
                home = template.with_name(f"anvil-{suffix}")
                return Path(shutil.copytree(template, home))

            place = Place("anvil_", ", on anvil", make_home, (_NOTE,), rounds=1)
            rows += rows_at(place, replace(options, rows=frozenset([name])))
    for row in rows:
        row.target, row.met = "none", None
    return rows
