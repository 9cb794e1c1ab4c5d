"""Spools that were handed over: copies, beginnings, torn and foreign ones, and what is told."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chain_client.relay import ingest as ingest_module
from chain_client.relay import unfinished as unfinished_module
from chain_client.relay.inbox import LOCK_NAME
from chain_client.relay.lock import RelayLock
from chain_client.relay.service import Relay
from chain_client.shipping.manifest import MANIFEST_NAME, STAGED_PREFIX
from chain_client.spool import Kind, SourceReader, list_sources
from chain_client.types import SourceId
from chain_client.verify import Verdict
from tests.forked import fork, in_fork
from tests.integration.core.conftest import Site
from tests.unit.chain_client.spool.journals import make_source
from tests.workers import note, ship, worker

EVENTS = 30


class HandedOver:
    """A relay's home, and the spool of a worker with one source of some segments."""

    def __init__(self, site: Site, spool: Path) -> None:
        self.site, self.spool = site, spool
        self.inbox = site.home / "inbox"
        self.kept = spool.with_name("kept")

    def work(self, *, closes: bool = True) -> None:
        """A task that records, and is over."""

        def task() -> str:
            client = worker(self.site.home, self.spool)
            note(client, EVENTS)
            if closes:
                client.recorder.close()
            return "recorded"

        assert in_fork(task) == "recorded"
        shutil.copytree(self.spool, self.kept)

    def ship(self) -> None:
        sent = ship(self.spool, self.inbox)
        assert not sent.left, sent.left
        assert list_sources(self.spool) == []

    @property
    def source(self) -> Path:
        """The worker's source as it was before it was handed over."""
        (found,) = list_sources(self.kept)
        return found.directory

    @property
    def parcel(self) -> Path:
        """It, where the relay takes it in."""
        return self.inbox / self.source.name

    def put(self, folder: Path, *, segments: int | None = None) -> Path:
        """Put a copy of the source, or of its beginning, into a folder."""
        target = folder / self.source.name
        shutil.copytree(self.source, target)
        for path in sorted(target.glob("*.spool"))[segments:] if segments is not None else []:
            path.unlink()
        return target

    def assert_once(self, count: int = EVENTS) -> None:
        seen = [e.payload["number"] for e in self.site.events() if e.type == "task.seen"]
        assert seen == list(range(count))
        assert list_sources(self.inbox) == []
        assert self.alarms() == []
        assert self.site.verify().verdict is Verdict.HOLDS

    def alarms(self) -> list[str]:
        return sorted(alarm.kind for alarm in self.site.client.log.alarms())


@pytest.fixture
def handed(site: Site, tmp_path: Path) -> HandedOver:
    made = HandedOver(site, tmp_path / "worker")
    made.work()
    return made


def test_what_was_handed_over_comes_into_the_log_and_leaves_the_inbox(handed: HandedOver) -> None:
    handed.ship()
    handed.site.drain()
    handed.assert_once()
    assert [path.name for path in handed.inbox.iterdir()] == [LOCK_NAME]


def test_what_waits_in_the_inbox_is_told_of(
    handed: HandedOver, mlops_chain: Callable[..., tuple[int, str, str]]
) -> None:
    handed.ship()
    code, out, _ = mlops_chain("--home", str(handed.site.home), "status", "--json")
    assert json.loads(out)["spooled_events"] == EVENTS + 2, code


@pytest.mark.parametrize("first", ["copy", "original"])
def test_a_copy_and_the_original_that_was_left_behind_give_each_event_once(
    handed: HandedOver, first: str
) -> None:
    places = [handed.inbox, handed.site.home / "spool"]
    handed.inbox.mkdir()
    for place in places if first == "copy" else reversed(places):
        handed.put(place)
        handed.site.drain()
        handed.assert_once()
    handed.ship()
    handed.put(handed.site.home / "spool")
    handed.site.drain()
    handed.assert_once()


@pytest.mark.parametrize("place", ["inbox", "spool"])
@pytest.mark.parametrize("segments", [1, 3])
def test_the_beginning_of_a_source_that_is_in_the_log_is_no_finding(
    handed: HandedOver, place: str, segments: int
) -> None:
    handed.ship()
    handed.site.drain()
    handed.put(handed.site.home / place, segments=segments)
    handed.site.drain()
    handed.assert_once()


@pytest.mark.parametrize("place", ["inbox", "spool"])
def test_a_source_that_comes_after_its_beginning_is_a_source_of_its_own_without_an_alarm(
    handed: HandedOver, place: str
) -> None:
    folder = handed.site.home / place
    folder.mkdir(exist_ok=True)
    handed.put(folder, segments=2)
    handed.site.drain()
    assert {"source.abandoned"} <= {event.type for event in handed.site.events()}
    handed.ship()
    handed.site.drain()
    handed.assert_once()
    types = [event.type for event in handed.site.events()]
    assert types.count("source.forked") == 1
    # And what is left of both is still nothing new.
    handed.put(handed.site.home / "spool")
    handed.put(handed.inbox, segments=1)
    handed.site.drain()
    handed.assert_once()
    assert len(handed.site.events()) == len(types)


def _cut(parcel: Path) -> None:
    last = max(parcel.glob("*.spool"))
    os.truncate(last, last.stat().st_size - 5)


def _lose_a_segment(parcel: Path) -> None:
    (parcel / "00000001.spool").unlink()


def _lose_a_segment_and_the_list(parcel: Path) -> None:
    _lose_a_segment(parcel)
    (parcel / MANIFEST_NAME).unlink()


def _lose_the_beginning_and_the_list(parcel: Path) -> None:
    (parcel / "00000000.spool").unlink()
    (parcel / MANIFEST_NAME).unlink()


def _flip(parcel: Path) -> None:
    path = parcel / "00000001.spool"
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)


def _flip_without_the_list(parcel: Path) -> None:
    _flip(parcel)
    (parcel / MANIFEST_NAME).unlink()


def _damage_the_list(parcel: Path) -> None:
    (parcel / MANIFEST_NAME).write_text("{}")


def _take_another_list(parcel: Path) -> None:
    path = parcel / MANIFEST_NAME
    path.write_text(path.read_text().replace(parcel.name, "0" * 32))


def _climb(parcel: Path) -> None:
    path = parcel / MANIFEST_NAME
    path.write_text(path.read_text().replace("00000001.spool", "../x.spool"))


def _empty(parcel: Path) -> None:
    for path in parcel.iterdir():
        path.unlink()


def _say_nothing_of_whose_it_is(parcel: Path) -> None:
    _empty(parcel)
    parcel.rmdir()
    source_id = SourceId(bytes.fromhex(parcel.name))
    make_source(parcel.parent, [(Kind.NOTE, 0, 1, b"anything")], source_id=source_id)


def _name_segments(name: str) -> Callable[[Path], None]:
    def damage(parcel: Path) -> None:
        path = parcel / MANIFEST_NAME
        content = json.loads(path.read_text())
        content["segments"] = {name: {"size": 1, "sha256": "00" * 32}}
        path.write_text(json.dumps(content))

    return damage


def _put_an_endless_number(parcel: Path) -> None:
    path = parcel / MANIFEST_NAME
    content = json.loads(path.read_text())
    for segment in content["segments"].values():
        segment["size"] = float("inf")
    path.write_text(json.dumps(content))


def _replace(name: str, make: Callable[[Path], None]) -> Callable[[Path], None]:
    def damage(parcel: Path) -> None:
        (parcel / name).unlink(missing_ok=True)
        make(parcel / name)

    return damage


def _link_to_zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _grow(parcel: Path) -> None:
    os.truncate(parcel / "00000001.spool", 2 << 30)


def _link_the_whole(parcel: Path) -> None:
    elsewhere = parcel.parent.with_name(f"elsewhere-{parcel.name}")
    parcel.rename(elsewhere)
    parcel.symlink_to(elsewhere)


DAMAGES = [
    _name_segments("a\0b"),
    _name_segments("\ud800"),
    _name_segments(".."),
    _put_an_endless_number,
    _replace(MANIFEST_NAME, os.mkfifo),
    _replace(MANIFEST_NAME, _link_to_zeros),
    _replace(MANIFEST_NAME, Path.mkdir),
    _replace("00000000.spool", os.mkfifo),
    _replace("00000000.spool", _link_to_zeros),
    _replace("owner.lock", os.mkfifo),
    _link_the_whole,
    _grow,
    _say_nothing_of_whose_it_is,
    _cut,
    _lose_a_segment,
    _lose_a_segment_and_the_list,
    _lose_the_beginning_and_the_list,
    _flip,
    _flip_without_the_list,
    _damage_the_list,
    _take_another_list,
    _climb,
    _empty,
]


def test_what_did_not_arrive_whole_is_set_aside_with_an_alarm_and_holds_up_nothing(
    handed: HandedOver, site: Site
) -> None:
    handed.inbox.mkdir()
    relay = site.relay()
    relay.start()
    try:
        for number, damage in enumerate(DAMAGES):
            shutil.copytree(handed.kept, handed.spool, dirs_exist_ok=True)
            handed.ship()
            damage(handed.parcel)
            _read(relay)
            assert site.events() == [], damage.__name__
            assert handed.alarms() == ["source_damaged"], damage.__name__
            assert len(list((handed.inbox / "aside").iterdir())) == number + 1
            site.client.log.clear_alarm("source_damaged", handed.source.name)
    finally:
        relay.close()
    # The sender still has it, and sends it again.
    shutil.copytree(handed.kept, handed.spool, dirs_exist_ok=True)
    handed.ship()
    site.drain()
    handed.assert_once()


def test_what_can_not_even_be_set_aside_stops_nothing_else(
    handed: HandedOver, site: Site, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "thesis.txt").write_text("years of work")
    handed.inbox.mkdir()
    (handed.inbox / f".taken-{'ab' * 16}").symlink_to(victim)
    (handed.inbox / "aside").symlink_to(victim)
    handed.ship()
    _damage_the_list(handed.parcel)
    relay = site.relay()
    relay.start()
    try:
        _read(relay)
        _read(relay)
        assert handed.alarms() == ["source_damaged", "source_unreadable"]
        assert handed.parcel.is_dir()
        # As soon as there is a place for it, it is put there.
        (handed.inbox / "aside").unlink()
        _read(relay)
        assert handed.alarms() == ["source_damaged"]
        assert [path.name for path in (handed.inbox / "aside").iterdir()] == [
            f"{handed.source.name}.damaged"
        ]
        shutil.copytree(handed.kept, handed.spool, dirs_exist_ok=True)
        handed.ship()
        _read(relay)
    finally:
        relay.close()
    assert [path.name for path in victim.iterdir()] == ["thesis.txt"]
    seen = [e.payload["number"] for e in site.events() if e.type == "task.seen"]
    assert seen == list(range(EVENTS))


def test_one_source_that_nobody_foresaw_stops_no_other(
    handed: HandedOver, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed.ship()
    (handed.inbox / ("00" * 16)).mkdir()
    (handed.inbox / ("00" * 16) / "00000000.spool").write_bytes(b"anything")
    check = vars(ingest_module)["check_parcel"]

    def check_oddly(reader: SourceReader, *rest: Any, **more: Any) -> None:
        if not any(reader.source_id):
            raise UnicodeError("a fault that nobody foresaw")
        check(reader, *rest, **more)

    monkeypatch.setattr(ingest_module, "check_parcel", check_oddly)
    site.drain()
    seen = [e.payload["number"] for e in site.events() if e.type == "task.seen"]
    assert seen == list(range(EVENTS))
    assert handed.alarms() == ["source_unreadable"]
    # It is not read again and again; whoever mends the fault puts it back.
    assert [path.name for path in (handed.inbox / "aside").iterdir()] == [f"{'00' * 16}.unreadable"]


def test_a_damaged_one_that_is_moved_into_the_spool_gives_what_is_whole(
    handed: HandedOver, site: Site
) -> None:
    handed.ship()
    _flip(handed.parcel)
    site.drain()
    (aside,) = (handed.inbox / "aside").iterdir()
    aside.rename(site.home / "spool" / handed.source.name)
    site.drain()
    assert len([e for e in site.events() if e.type == "task.seen"]) >= EVENTS - 10
    assert {kind for kind, _ in site.findings()} == {"event_missing"}


def _read(relay: Relay) -> None:
    relay._intake._inbox._look_us = None  # it looks every two seconds whether the folder is there
    for _ in range(3):
        relay.run_round()


def test_one_of_another_deployment_is_set_aside(handed: HandedOver, tmp_path: Path) -> None:
    handed.ship()
    deployment = handed.site.home / "deployment.json"
    content = json.loads(deployment.read_text())
    handed.site.close()
    other = tmp_path / "other"
    shutil.copytree(handed.site.home, other)
    content["deployment_id"] = "00000000-0000-4000-8000-000000000000"
    (other / "deployment.json").write_text(json.dumps(content))
    site = Site(other)
    site.drain()
    assert site.events() == []
    assert [alarm.kind for alarm in site.client.log.alarms()] == ["source_foreign"]
    assert [path.name for path in (other / "inbox" / "aside").iterdir()] == [
        f"{handed.source.name}.foreign"
    ]
    site.close()


def test_a_source_whose_owner_was_killed_is_told_of_and_accuses_nobody(
    site: Site, tmp_path: Path
) -> None:
    handed = HandedOver(site, tmp_path / "worker")
    handed.work(closes=False)
    handed.ship()
    site.drain()
    handed.assert_once()
    report = site.verify()
    (sources,) = [check for check in report.checks if check.name == "sources"]
    assert f"source {handed.source.name}" in sources.detail
    assert "was not closed by its owner" in sources.detail
    assert os.uname().nodename in sources.detail
    assert report.findings == []


def test_a_source_of_which_nothing_arrived_accuses_nobody(handed: HandedOver) -> None:
    shutil.rmtree(handed.spool)
    handed.site.drain()
    assert handed.site.findings() == []
    assert handed.alarms() == []


def test_a_shipment_that_does_not_go_on_is_told_of_until_it_is_whole(
    handed: HandedOver, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished_module, "_UNFINISHED_S", 0.0)
    handed.ship()
    staged = handed.inbox / f"{STAGED_PREFIX}{handed.source.name}-{'0' * 16}"
    handed.parcel.rename(staged)
    relay = site.relay()
    relay.start()
    try:
        for _ in range(2):
            _read(relay)
        assert [(a.kind, a.subject) for a in site.client.log.alarms()] == [
            ("shipment_unfinished", handed.source.name)
        ]
        assert site.events() == []
        staged.rename(handed.parcel)
        _read(relay)
    finally:
        relay.close()
    site.drain()
    handed.assert_once()


def test_odd_things_in_the_place_of_shipments_hide_no_other(
    handed: HandedOver, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished_module, "_UNFINISHED_S", 0.0)
    handed.ship()
    names = [handed.source.name, "0" * 32, "1" * 32, "2" * 32]
    real, pipe, link, file = (handed.inbox / f"{STAGED_PREFIX}{n}-{'0' * 16}" for n in names)
    handed.parcel.rename(real)
    os.mkfifo(pipe)
    link.symlink_to(tmp_path)
    file.write_text("no folder")
    relay = site.relay()
    relay.start()
    try:
        for _ in range(2):
            _read(relay)
        told = {a.subject: a.detail for a in site.client.log.alarms()}
        assert sorted(told) == sorted(names)
        assert all("; 0 of its files are here" in told[name] for name in names[1:])
        assert "; 0 of" not in told[handed.source.name]
        for path in (pipe, link, file):
            path.unlink()
        _read(relay)
        assert [alarm.subject for alarm in site.client.log.alarms()] == [handed.source.name]
    finally:
        relay.close()


def test_an_inbox_that_another_relay_reads_is_left_to_it(handed: HandedOver, site: Site) -> None:
    handed.ship()
    other = RelayLock(handed.inbox / LOCK_NAME)
    assert other.take()
    site.drain()
    assert site.events() == []
    other.release()
    site.drain()
    handed.assert_once()


def test_an_inbox_that_can_not_be_used_raises_an_alarm_that_ends_by_itself(
    handed: HandedOver, site: Site
) -> None:
    handed.ship()
    (handed.inbox / LOCK_NAME).mkdir()
    site.note(1)
    site.end_source()
    site.drain()
    assert site.numbers() == [0]
    assert handed.alarms() == ["inbox"]
    (handed.inbox / LOCK_NAME).rmdir()
    site.drain()
    handed.assert_once()


def test_the_command_line_hands_a_spool_over_and_says_what_stays(
    handed: HandedOver, mlops_chain: Callable[..., tuple[int, str, str]]
) -> None:
    home = ("--home", str(handed.site.home))
    (handed.site.home / "config.toml").write_text(f'[spool]\nfolder = "{handed.spool}"\n')
    to = f"folder:{handed.inbox}"
    code, out, _ = mlops_chain(*home, "ship", to, "--json")
    assert code == 2, "the folder is not there yet"
    assert list(json.loads(out)["left"]) == [handed.source.name]
    handed.inbox.mkdir()
    code, out, _ = mlops_chain(*home, "ship", to, "--json")
    assert (code, json.loads(out)) == (
        0,
        {"ok": True, "shipped": [handed.source.name], "left": {}},
    )
    code, out, _ = mlops_chain(*home, "ship", to)
    assert (code, "0 sources" in out) == (0, True)
    code, _, err = mlops_chain(*home, "ship", "s3://key:secret@bucket")
    assert code == 2
    assert "secret" not in err
    (handed.site.home / "config.toml").unlink()
    handed.site.drain()
    handed.assert_once()


def test_the_beginning_of_a_source_that_goes_on_says_nothing_of_its_end(site: Site) -> None:
    inbox = site.home / "inbox"
    inbox.mkdir()
    site.note(10)
    (source,) = list_sources(site.home / "spool")
    shutil.copytree(source.directory, inbox / source.directory.name)
    site.note(10, first=10)
    relay = site.relay()
    relay.start()
    try:
        _read(relay)
        assert list_sources(inbox) == []
        site.note(10, first=20)
        site.end_source()
        _read(relay)
    finally:
        relay.close()
    site.drain()
    assert site.numbers() == list(range(30))
    assert {event.type for event in site.events()} == {
        "source.opened",
        "item.seen",
        "source.closed",
    }
    assert site.client.log.alarms() == []


def test_many_tasks_that_end_at_once_on_one_machine_hand_each_event_over_once(
    site: Site, tmp_path: Path
) -> None:
    spool, inbox = tmp_path / "worker", site.home / "inbox"
    inbox.mkdir()
    begin_read, begin_write = os.pipe()

    def task(first: int) -> None:
        client = worker(site.home, spool)
        note(client, 5, first=first)
        os.close(begin_write)
        os.read(begin_read, 1)  # until all are ready
        client.recorder.close()
        for _ in range(3):
            ship(spool, inbox)

    children = []
    for number in range(8):
        child = fork()
        if child == 0:
            code = 1
            try:
                task(number * 5)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    os.close(begin_read)
    os.close(begin_write)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert codes == [0] * 8
    assert not ship(spool, inbox).left
    assert list(spool.iterdir()) == []
    site.drain()
    seen = [int(str(e.payload["number"])) for e in site.events() if e.type == "task.seen"]
    assert sorted(seen) == list(range(40))
    assert site.client.log.alarms() == []
    assert site.verify().verdict is Verdict.HOLDS
