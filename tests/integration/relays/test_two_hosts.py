"""Relays of several hosts feed one log: one anchors, the others stand by and take over."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Callable

import psutil
import pytest

from chain_client.errors import NotInTime
from chain_client.log import EntryStatus
from chain_client.relay.figures import Role
from chain_client.relay.held_lease import LEASE, ingests_only
from chain_client.status import read_status
from tests.integration.core.conftest import Site
from tests.integration.relays.conftest import PATIENCE_S, TwoHosts, wait_until

Run = Callable[..., tuple[int, str, str]]

WHERE = pytest.mark.parametrize("where", ["hosts", "hosts_on_postgres"])


@pytest.fixture
def there(where: str, request: pytest.FixtureRequest) -> TwoHosts:
    found: TwoHosts = request.getfixturevalue(where)
    return found


def end_sources(hosts: TwoHosts) -> None:
    for site in hosts.both:
        site.end_source()


def test_one_anchors_and_the_other_stands_by(hosts: TwoHosts) -> None:
    hosts.a.note(3, "a")
    hosts.b.note(3, "b")
    end_sources(hosts)
    first, second = hosts.a.relay(), hosts.b.relay()
    first.start()
    second.start()
    assert (first.role, second.role) == (Role.ANCHORS, Role.STANDS_BY)
    found = read_status(hosts.b.client).relay
    assert found is not None
    name = f"/{hosts.a.client.folder.ingester_id()}:"
    assert name in str(found["holder"])
    assert f"/{hosts.b.client.folder.ingester_id()}:" in str(found["stands_by"])
    assert found["ingests_only"] == []

    done, anchored = second.run_round()
    assert done is not None
    assert (done.entries > 0, anchored) == (True, None)
    first.drain(patience_s=20)
    assert hosts.is_final()  # of the other's entries too
    first.close()

    def takes_over() -> bool:
        second.run_round()
        return second.role is Role.ANCHORS

    wait_until(takes_over, "taking over")
    second.close()
    hosts.a.drain()
    hosts.assert_whole({"a": 3, "b": 3})


def test_once_beside_a_relay_of_another_host_waits_until_that_one_has_anchored(
    hosts: TwoHosts,
) -> None:
    hosts.b.note(4, "b")
    hosts.b.end_source()
    # Its lease has to last while another Python starts, however busy the machine is.
    anchoring = Site(hosts.a.home, **{**hosts.settings, "RELAY_LEASE_S": 60})
    working = anchoring.relay()
    working.start()
    once = hosts.relay_process(hosts.b, "--once", "--json", RELAY_LEASE_S=30)
    wait_until(lambda: hosts.a.client.log.size() == 6, "ingesting")
    assert once.process.poll() is None
    assert hosts.anchoring_pid() != once.pid
    working.drain(patience_s=20)
    assert once.process.wait(PATIENCE_S) == 0, once.said()
    assert '"size": 6' in once.said()
    assert '"anchors": 0' in once.said()
    working.close()
    anchoring.close()
    hosts.assert_whole({"b": 4})


def test_a_home_without_the_writers_key_only_ingests(hosts: TwoHosts) -> None:
    (hosts.b.home / "keys" / "log-writer.json").unlink()
    hosts.b.note(2, "b")
    hosts.b.end_source()
    relay = hosts.b.relay()
    relay.start()
    assert relay.role is Role.INGESTS_ONLY
    [lease] = hosts.a.client.log.holders("ingest:")
    assert ingests_only(lease.holder)
    with pytest.raises(
        NotInTime, match=r"no relay anchors\. This home has not the log writer's key"
    ):
        relay.drain(patience_s=0)
    assert hosts.a.client.log.holder(LEASE) is None
    relay.close()
    hosts.a.drain()
    hosts.assert_whole({"b": 2})


def test_a_relay_that_never_anchors_may_end_while_others_have_to(hosts: TwoHosts) -> None:
    hosts.b.note(2, "b")
    hosts.b.end_source()
    idle = hosts.relay_process(hosts.b, "--until-idle", RELAY_ANCHOR="never", RELAY_IDLE_S=0.1)
    assert idle.process.wait(PATIENCE_S) == 0, idle.said()
    assert hosts.a.client.log.size() == 4
    assert hosts.a.client.log.counts()[EntryStatus.FINALIZED] == 0
    hosts.a.drain()
    hosts.assert_whole({"b": 2})


def test_a_killed_relay_is_followed_by_the_one_that_stood_by(
    hosts_on_postgres: TwoHosts,
) -> None:
    there = hosts_on_postgres
    first = there.relay_process(there.a)
    wait_until(lambda: there.anchoring_pid() == first.pid, "anchoring")
    second = there.relay_process(there.b)
    wait_until(lambda: there.ingesting_pid(there.b) == second.pid, "standing by")
    there.a.note(3, "a")
    there.b.note(3, "b")
    wait_until(there.is_final, "finality")
    first.end(signal.SIGKILL)
    there.b.note(3, "b", first=3)
    wait_until(lambda: there.anchoring_pid() == second.pid, "taking over")
    third = there.relay_process(there.a)
    wait_until(lambda: there.ingesting_pid(there.a) == third.pid, "coming back")
    there.a.note(2, "a", first=3)
    end_sources(there)
    wait_until(lambda: there.numbers("a") == list(range(5)) and there.is_final(), "finality")
    assert there.anchoring_pid() == second.pid
    assert [relay.end() for relay in (second, third)] == [0, 0]
    assert "stands by" in third.said()
    there.a.drain()
    there.b.drain()
    there.assert_whole({"a": 5, "b": 6})


def test_a_relay_that_slept_past_its_lease_stands_by_and_goes_on_ingesting(
    hosts: TwoHosts,
) -> None:
    sleeper = hosts.relay_process(hosts.a)
    wait_until(lambda: hosts.anchoring_pid() == sleeper.pid, "anchoring")
    hosts.a.note(2, "a")
    wait_until(hosts.is_final, "finality")
    successor = hosts.relay_process(hosts.b)
    wait_until(lambda: hosts.ingesting_pid(hosts.b) == successor.pid, "standing by")
    sleep_between_writes(hosts, sleeper.pid)
    hosts.a.note(2, "a", first=2)
    hosts.b.note(2, "b")
    wait_until(lambda: hosts.anchoring_pid() == successor.pid, "taking over")
    sleeper.process.send_signal(signal.SIGCONT)
    wait_until(lambda: hosts.numbers("a") == [0, 1, 2, 3], "ingesting")
    wait_until(hosts.is_final, "finality")
    wait_until(lambda: "this one stands by" in sleeper.said(), "standing by")
    assert hosts.anchoring_pid() == successor.pid
    end_sources(hosts)
    assert [relay.end() for relay in (successor, sleeper)] == [0, 0]
    hosts.a.drain()
    hosts.b.drain()
    hosts.assert_whole({"a": 4, "b": 2})


def sleep_between_writes(hosts: TwoHosts, pid: int) -> None:
    """Stop a relay where it holds no lock of SQLite's, which nobody could take from it."""
    relay = psutil.Process(pid)

    def sleeps() -> bool:
        relay.suspend()
        wait_until(lambda: relay.status() == psutil.STATUS_STOPPED)
        if hosts.is_free():
            return True
        relay.resume()
        return False

    wait_until(sleeps, "sleeping")


@pytest.mark.parametrize("seed", [1])
def test_killing_either_relay_at_any_point_makes_no_fork_and_no_gap(
    hosts: TwoHosts, seed: int
) -> None:
    kill_and_judge(hosts, seed, kills=3)


@pytest.mark.soak
@WHERE
@pytest.mark.parametrize("seed", range(2, 8))
def test_killing_either_relay_many_times(there: TwoHosts, seed: int) -> None:
    kill_and_judge(there, seed, kills=12)


def kill_and_judge(hosts: TwoHosts, seed: int, kills: int) -> None:
    """Both record, and now one relay dies, now the other; each is started again."""
    print(f"seed {seed}")
    dice = random.Random(seed)
    noted = {"a": 0, "b": 0}
    relays = [hosts.relay_process(site) for site in hosts.both]
    for _ in range(kills):
        for name, site in zip(noted, hosts.both):
            for _ in range(dice.randrange(1, 6)):
                site.note(1, name, first=noted[name])
                noted[name] += 1
        threading.Event().wait(dice.uniform(0.5, 2.5))
        victim = dice.randrange(2)
        relays[victim].end(signal.SIGKILL)
        relays[victim] = hosts.relay_process(hosts.both[victim])
    end_sources(hosts)
    for site in hosts.both:
        wait_until(lambda site=site: not any((site.home / "spool").iterdir()), "ingesting")  # type: ignore[misc]
    wait_until(hosts.is_final, "finality")
    assert [relay.end() for relay in relays] == [0, 0]
    hosts.a.drain()
    hosts.assert_whole(noted)
    assert hosts.a.client.log.alarms() == []
