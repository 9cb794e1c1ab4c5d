"""A chain that is away for a day: everything drains in order, once, and nobody waited."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.faults.chain_home import Miner, found_home_on
from tests.faults.long_outage import survive
from tests.running_nodes import running_anvil

CONFIG = """\
[relay]
autostart = false
max_wait_rpc_s = 0.2

[registry]
sync = false

[spool]
durability = "process"
"""

SMALL = pytest.param(20_000, 40, 0.5, 120.0, id="20000")
LARGE = pytest.param(1_000_000, 300, 0.0, 900.0, id="1000000", marks=pytest.mark.soak)
SIZES = pytest.mark.parametrize(("count", "steps", "hurry_s", "patience_s"), [SMALL, LARGE])


@SIZES
@pytest.mark.timeout(3000)
def test_a_backlog_of_a_day_drains_into_the_embedded_chain(
    home: Path, count: int, steps: int, hurry_s: float, patience_s: float
) -> None:
    (home / "config.toml").write_text(CONFIG)
    chain, elsewhere = home / "chain", home / "elsewhere"

    @contextmanager
    def away() -> Iterator[None]:
        chain.rename(elsewhere)
        try:
            yield
        finally:
            elsewhere.rename(chain)

    found = survive(home, away, count, steps=steps, hurry_s=hurry_s, patience_s=patience_s)
    print("\nembedded:", found)


@SIZES
@pytest.mark.timeout(3000)
def test_a_backlog_of_a_day_drains_into_a_node_that_was_started_again(
    tmp_path: Path, count: int, steps: int, hurry_s: float, patience_s: float
) -> None:
    home, state = tmp_path / "home", tmp_path / "state.json"
    options = ("--no-mining", "--slots-in-an-epoch", "1", "--state", str(state))
    with ExitStack() as stack:
        node = stack.enter_context(_Node(options))
        found_home_on(node.anvil, home)
        (home / "config.toml").write_text(f'{CONFIG}\n[ledger]\nurl = "{node.anvil.url}"\n')

        @contextmanager
        def away() -> Iterator[None]:
            node.stop()
            assert state.stat().st_size > 0
            try:
                yield
            finally:
                node.start()

        found = survive(home, away, count, steps=steps, hurry_s=hurry_s, patience_s=patience_s)
    print("\nanvil:", found)
    shutil.rmtree(home)


class _Node:
    """An anvil that can be ended, and started again at its port with what it had.

    Args:
        options: of its command line; among them where it keeps its state.
    """

    def __init__(self, options: tuple[str, ...]) -> None:
        self._options = options
        self._stack = ExitStack()
        self._port = 0

    def start(self) -> None:
        self.anvil = self._stack.enter_context(running_anvil(*self._options, port=self._port))
        self._port = int(self.anvil.url.rpartition(":")[2])
        self.anvil.mine(3)
        self._stack.callback(Miner(self.anvil).end)

    def stop(self) -> None:
        self._stack.close()

    def __enter__(self) -> _Node:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
