"""Wishes that an adapter can't grant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chain_client.clock import SystemClock
from chain_client.home import Home
from chain_client.hosts import Reading, StoreBinding
from chain_client.relay.read_back import MAX_TRIES, ReadBack
from chain_client.wishes import Wish, Wishes


class Adapter:
    """Fails at one wish, as foreign code may."""

    def __init__(self) -> None:
        self.granted: list[str] = []

    def read_back(self, store: StoreBinding, wanted: Any, recorded: Any) -> Iterator[Reading]:
        if wanted["run"] == "bad":
            raise ValueError("Invalid IPv6 URL")
        self.granted.append(wanted["run"])
        yield from ()


def test_a_wish_that_the_adapter_stumbles_over_stops_no_other_and_is_given_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = Home(tmp_path / "home")
    home.create_folders()
    home.put_store(StoreBinding("s", "mlflow", "sqlite:///x"))
    wishes = Wishes(home.read_back)
    for run in ("bad", "good"):
        wishes.put(Wish("s", {"run": run}))
    adapter: Any = Adapter()
    read_back = ReadBack(
        home,
        cast(Any, SimpleNamespace()),
        lambda name: adapter,
        cast(Any, SimpleNamespace),
        SystemClock(),
    )
    for tries in range(1, MAX_TRIES + 1):
        assert read_back.start_if_wanted()
        assert not read_back.is_busy(wait_s=30)
        left = wishes.read()
        assert [wish.tries for wish in left] == ([tries] if tries < MAX_TRIES else [])
        for _ in left:
            wishes.put(Wish("s", {"run": "bad"}, tries=tries))
    assert adapter.granted == ["good"]
    assert "in 6 tries" in caplog.text
