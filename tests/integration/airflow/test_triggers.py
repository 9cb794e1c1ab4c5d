"""Triggers in an event loop, on a real chain: whatever it does, the loop goes on."""

from __future__ import annotations

import asyncio
import importlib
import json
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from chain_client.errors import LogUnavailable
from chain_client.types import to_hex
from tests.airflow_home import AirflowHome
from tests.closing import everything_closed
from tests.unit.chain_client.registry.office import BOB, BREAKER, CAROL, FRAUD, Office

PATIENCE_S = 60.0
SECRET = "hunter2-of-the-keys"


@pytest.fixture
def office(
    founded_home: Path,
    tmp_path: Path,
    airflow_in_process: AirflowHome,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Office]:
    """A home where two of three approve, and a connection to it that holds a secret."""
    home = shutil.copytree(founded_home, tmp_path / "home")
    with everything_closed():
        found = Office(home)
        found.govern()
        connection = {
            "conn_type": "mlops_chain",
            "password": SECRET,
            "extra": {"home": str(home)},
        }
        monkeypatch.setenv("AIRFLOW_CONN_MLOPS_CHAIN_DEFAULT", json.dumps(connection))
        yield found


@asynccontextmanager
async def beating() -> AsyncIterator[list[float]]:
    """A heart in the loop, as the triggerer's own watchdog is one."""
    beats: list[float] = []

    async def heart() -> None:
        while True:
            await asyncio.sleep(0.01)
            beats.append(time.monotonic())

    task = asyncio.create_task(heart())
    try:
        yield beats
    finally:
        task.cancel()


async def first(trigger: Any) -> Any:
    """The payload of its first event."""
    async with aclosing(trigger.run()) as events:
        async for event in events:
            return event.payload
    raise AssertionError("it ended without an event")


def revived(trigger: Any) -> Any:
    """What another triggerer makes of what is stored of it."""
    classpath, kwargs = trigger.serialize()
    stored = json.dumps(kwargs)
    assert SECRET not in stored
    module, _, name = classpath.rpartition(".")
    again = getattr(importlib.import_module(module), name)(**json.loads(stored))
    assert again.serialize() == trigger.serialize()
    return again


async def until(reached: Callable[[], bool]) -> None:
    """Look until it is so."""
    ends = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < ends
        await asyncio.sleep(0.01)


def approval_trigger(proposal_id: bytes) -> Any:
    from airflow_chain.triggers.approval import PromotionApprovalTrigger, Wanted

    return PromotionApprovalTrigger.of(None, Wanted(proposal_id=to_hex(proposal_id)), 0.05)


def test_a_chain_that_hangs_stops_neither_the_loop_nor_the_wait_and_a_restart_goes_on(
    office: Office,
) -> None:
    document = office.propose(1)
    file = office.home / "chain" / "embedded.db"
    assert file.exists()

    async def main() -> None:
        trigger = approval_trigger(document.id)
        with closing(sqlite3.connect(file, isolation_level=None)) as lock:
            lock.execute("begin exclusive")  # whoever asks the chain now waits, and in vain
            async with beating() as beats:
                waiting = asyncio.create_task(first(trigger))
                await until(lambda: len(beats) > 100)
                assert not waiting.done()
                # The triggerer is killed meanwhile, and another one takes over.
                waiting.cancel()
                waiting = asyncio.create_task(first(revived(trigger)))
                await until(lambda: len(beats) > 200)
                assert not waiting.done()
                lock.execute("rollback")
                for key in (BOB, CAROL):
                    await asyncio.to_thread(office.client.approve, document, signer=key)
                found = await asyncio.wait_for(waiting, PATIENCE_S)
        assert (found["verdict"], found["cause"]) == ("approved", "quorum")
        assert found["proposal_id"] == to_hex(document.id)

    asyncio.run(main())


def test_an_approval_is_not_waited_for_beyond_its_end_nor_where_it_can_not_be_asked(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = office.propose(1)

    async def main() -> None:
        trigger = approval_trigger(document.id)
        trigger.ends_at = time.time()
        found = await asyncio.wait_for(first(trigger), PATIENCE_S)
        assert found["verdict"] == "timeout"
        assert "0 of 2 approvals" in found["text"]
        missing = {"conn_type": "mlops_chain", "extra": {"home": str(office.home / "missing")}}
        monkeypatch.setenv("AIRFLOW_CONN_MLOPS_CHAIN_DEFAULT", json.dumps(missing))
        found = await asyncio.wait_for(first(approval_trigger(document.id)), PATIENCE_S)
        assert found["verdict"] == "error"
        assert "missing" in found["text"]

    asyncio.run(main())


def decide(office: Office, number: int) -> None:
    """A promotion and a revocation."""
    office.promote(number)
    model = office.client.model_id(FRAUD)
    office.client.revoke_version(model, number, "leaks", signer=BREAKER)


def kinds(payloads: list[Any]) -> list[tuple[str, int, bool]]:
    return [(one["event"], one["version"], one["again"]) for one in payloads]


def test_before_airflow_3_3_a_cursor_in_the_log_survives_a_restart(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_chain.triggers import promotion_event

    async def told(trigger: Any, count: int, act: Callable[[], None] | None = None) -> list[Any]:
        """Its next events; then it is killed."""
        found: list[Any] = []

        async def take() -> None:
            async with aclosing(trigger.run()) as events:
                async for event in events:
                    found.append(event.payload)
                    if len(found) == count and act is None:
                        return

        task = asyncio.create_task(take())
        if act is not None:
            await until(lambda: bool(_cursors(office)))
            await asyncio.to_thread(act)
            await until(lambda: len(found) == count and _cursors(office) == [0])
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return found

    trigger = promotion_event.PromotionEventTrigger(poll_interval=0.05)
    monkeypatch.setattr(promotion_event, "SETTLED_S", 0.0)
    found = asyncio.run(told(trigger, 3, lambda: decide(office, 1)))
    assert kinds(found) == [("approved", 1, False), ("promoted", 1, False), ("revoked", 1, False)]
    # What is decided while none runs is told by the next.
    decide(office, 2)
    monkeypatch.setattr(promotion_event, "SETTLED_S", 60.0)
    found = asyncio.run(told(revived(trigger), 3))
    assert kinds(found) == [("approved", 2, False), ("promoted", 2, False), ("revoked", 2, False)]
    # That one died before it could know that Airflow has them: they come again, and say so.
    assert _cursors(office) == [3]
    found = asyncio.run(told(revived(trigger), 3))
    assert kinds(found) == [("approved", 2, True), ("promoted", 2, True), ("revoked", 2, True)]


def test_before_airflow_3_3_each_watcher_has_a_cursor_of_its_own_in_the_log(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_chain.triggers.promotion_event import PromotionEventTrigger

    decide(office, 1)

    async def main() -> list[list[Any]]:
        kept: list[list[Any]] = [[], [], []]

        async def watch(number: int, trigger: Any) -> None:
            async with aclosing(trigger.run()) as events:
                async for event in events:
                    kept[number].append(event.payload)

        same = PromotionEventTrigger(poll_interval=0.05)
        other = PromotionEventTrigger(poll_interval=0.06)
        begins = PromotionEventTrigger(poll_interval=0.05, from_block=1)
        tasks = [
            asyncio.create_task(watch(number, trigger))
            for number, trigger in enumerate((same, other, begins))
        ]
        await until(lambda: len(_cursors(office)) == 3 and len(kept[2]) == 3)
        await asyncio.to_thread(decide, office, 2)
        await until(lambda: [len(one) for one in kept] == [3, 3, 6])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return kept

    first_kept, second_kept, _ = asyncio.run(main())
    assert [one["event_id"] for one in first_kept] == [one["event_id"] for one in second_kept]


def _cursors(office: Office) -> list[int]:
    """How much is pending in each cursor of the log's database."""
    with closing(sqlite3.connect(office.home / "log.db", timeout=30)) as database:
        rows = database.execute("select value from cursors").fetchall()
    return [len(json.loads(value)["pending"]) for (value,) in rows]


class Stores:
    """An asset's state store as the triggerer gives it, which may be away."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.is_away = False

    async def aget(self, key: str) -> Any:
        """A value."""
        return json.loads(self.values[key]) if key in self.values else None

    async def aset(self, key: str, value: Any) -> None:
        """Keep a value."""
        if self.is_away:
            raise ConnectionError("away")
        self.values[key] = json.dumps(value)

    @property
    def pending(self) -> int:
        """How much is pending in the one cursor."""
        (value,) = self.values.values()
        return len(json.loads(value)["pending"])


class Runner:
    """What the triggerer does with watchers: its own manager of streams, and its bookkeeping."""

    def __init__(self) -> None:
        from airflow.triggers.shared_stream import SharedStreamManager

        self.manager = SharedStreamManager()
        self.kept: dict[int, list[Any]] = {}
        """What Airflow's database has, by trigger."""
        self.stores_events = True
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, number: int, trigger: Any, stores: Stores) -> None:
        """Run a watcher's trigger."""
        trigger.asset_state_store = stores
        self.kept.setdefault(number, [])
        self._tasks.append(asyncio.create_task(self._run(number, trigger)))

    async def _run(self, number: int, trigger: Any) -> None:
        key = trigger.shared_stream_key()
        stream = self.manager.subscribe(trigger_id=number, trigger=trigger, key=key)
        async for event in trigger.filter_shared_stream(stream):
            sequence = self.manager.bind_pending_event(trigger_id=number, key=key)
            assert sequence is not None
            self.kept[number].append(event.payload)
            if self.stores_events:
                self.manager.confirm_persisted([sequence])

    @property
    def loops(self) -> int:
        """How many loops look at the chain."""
        return len(self.manager._groups)

    async def kill(self) -> None:
        """Everything in it is gone."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.manager.stop_all()


def test_watchers_share_one_loop_and_each_has_a_cursor_of_its_own(office: Office) -> None:
    from airflow_chain.triggers.promotion_event import PromotionEventTrigger

    async def main() -> None:
        everything = PromotionEventTrigger(poll_interval=0.05)
        revoked = PromotionEventTrigger(
            poll_interval=0.05, events=["revoked"], model_name="fraud", target="@champion"
        )
        stores, others = Stores(), Stores()
        runner = Runner()
        runner.start(1, everything, stores)
        runner.start(2, revoked, others)
        await until(lambda: bool(stores.values) and bool(others.values))
        assert runner.loops == 1
        async with beating() as beats:
            await asyncio.to_thread(decide, office, 1)
            await until(lambda: len(runner.kept[1]) == 3 and len(runner.kept[2]) == 1)
            assert len(beats) > 0
        await until(lambda: stores.pending == others.pending == 0)
        # A store that is away holds back what is told, and loses none of it.
        stores.is_away = True
        await asyncio.to_thread(decide, office, 2)
        await until(lambda: len(runner.kept[2]) == 2)
        assert len(runner.kept[1]) == 3
        stores.is_away, runner.stores_events = False, False
        await until(lambda: len(runner.kept[1]) == 6)
        # Killed before anybody knows whether Airflow has the last three.
        assert stores.pending == 3
        await runner.kill()
        await asyncio.to_thread(decide, office, 3)
        again = Runner()
        again.start(1, revived(everything), stores)
        again.start(2, revived(revoked), others)
        await until(lambda: len(again.kept[1]) == 6 and len(again.kept[2]) == 1)
        await until(lambda: stores.pending == others.pending == 0)
        await again.kill()
        assert kinds(again.kept[1]) == [
            *(("approved", 2, True), ("promoted", 2, True), ("revoked", 2, True)),
            *(("approved", 3, False), ("promoted", 3, False), ("revoked", 3, False)),
        ]
        assert kinds(again.kept[2]) == [("revoked", 3, False)]
        ids = [one["event_id"] for one in (*runner.kept[1], *again.kept[1][3:])]
        assert len(ids) == len(set(ids)) == 9

    asyncio.run(main())


def test_a_cursor_that_somebody_else_wrote_tells_nothing_untrue_and_silences_nobody(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_chain.triggers import promotion_event

    def forge(stores: Stores, **changes: Any) -> None:
        ((name, value),) = stores.values.items()
        stores.values[name] = json.dumps({**json.loads(value), **changes})

    async def main() -> None:
        trigger, stores = promotion_event.PromotionEventTrigger(poll_interval=0.05), Stores()
        runner = Runner()
        runner.start(1, trigger, stores)
        await until(lambda: bool(stores.values))
        await runner.kill()
        forge(stores, pending=[f"approved/{to_hex(bytes(32))}"])
        await asyncio.to_thread(decide, office, 1)
        runner = Runner()
        runner.start(1, revived(trigger), stores)
        await until(lambda: len(runner.kept[1]) == 3 and stores.pending == 0)
        await runner.kill()
        assert [one["version"] for one in runner.kept[1]] == [1, 1, 1]
        # A node may be behind the one before: it is waited for, and not for ever.
        forge(stores, block=10**15)
        runner = Runner()
        runner.start(1, revived(trigger), stores)
        await until(lambda: runner.loops == 1)
        monkeypatch.setattr(promotion_event, "AHEAD_S", 0)
        await until(lambda: json.loads(*stores.values.values())["block"] < 10**15)
        await asyncio.to_thread(decide, office, 2)
        await until(lambda: len(runner.kept[1]) == 3)
        assert kinds(runner.kept[1])[-1] == ("revoked", 2, False)
        await runner.kill()

    asyncio.run(main())


def test_a_wait_asks_for_its_connection_once_as_long_as_nothing_fails(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_chain.hooks.chain import ChainHook
    from airflow_chain.triggers import approval

    document = office.propose(1)
    asked: list[str] = []
    looks: list[int] = []
    get_connection, look_once = ChainHook.get_connection, approval.look_once

    def counting(conn_id: str) -> Any:
        asked.append(conn_id)
        return get_connection(conn_id)

    def looking(*arguments: Any) -> Any:
        looks.append(1)
        if len(looks) in (3, 4):
            raise LogUnavailable("away for a moment")
        return look_once(*arguments)

    monkeypatch.setattr(ChainHook, "get_connection", staticmethod(counting))
    monkeypatch.setattr(approval, "look_once", looking)

    async def main() -> None:
        waiting = asyncio.create_task(first(approval_trigger(document.id)))
        await until(lambda: len(looks) == 3)
        assert len(asked) == 1
        await until(lambda: len(looks) == 7)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(main())
    assert len(asked) == 3


@pytest.mark.parametrize(
    "options", [{"events": ["promised"]}, {"events": []}, {"target": "champion"}]
)
def test_what_nobody_decides_can_not_be_watched(
    options: dict[str, Any], airflow_in_process: AirflowHome
) -> None:
    from airflow_chain.triggers.promotion_event import PromotionEventTrigger

    with pytest.raises(ValueError, match=r"expected|no target"):
        PromotionEventTrigger(**options)
