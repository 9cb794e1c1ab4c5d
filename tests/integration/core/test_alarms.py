"""Alarms: listed, acknowledged for the record, and back when their cause is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chain_client.alarms import ALARM_ACKNOWLEDGED
from chain_client.relay import log_file
from chain_client.relay.log_file import keep_small, open_log_file
from tests.copied_spools import CopiedProcess
from tests.integration.core.conftest import Site

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _no_relay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")


def raised(site: Site, *alarms: tuple[str, str]) -> None:
    for kind, subject in alarms:
        site.client.log.raise_alarm(kind, subject, "it happened")
    site.close()


def acknowledge(run: Run, site: Site, *words: str) -> tuple[int, str]:
    code, out, err = run(
        "--home", site.home, "alarm", "acknowledge", *words, "--reason", "seen", "--who", "Ada"
    )
    return code, out + err


def test_an_acknowledged_alarm_is_recorded_and_makes_nothing_red(
    site: Site, mlops_chain: Run
) -> None:
    raised(site, ("spool_corrupt", "a"), ("spool_corrupt", "b"), ("in_doubt", "a"))
    assert mlops_chain("--home", site.home, "alarm", "list")[0] == 1
    assert acknowledge(mlops_chain, site, "spool_corrupt", "b")[0] == 0
    code, out, _ = mlops_chain("--home", site.home, "alarm", "list", "--json")
    document = json.loads(out)
    assert (code, document["ok"]) == (1, False)
    assert {(a["kind"], a["subject"]) for a in document["alarms"]} == {
        ("spool_corrupt", "a"),
        ("in_doubt", "a"),
    }
    assert acknowledge(mlops_chain, site, "spool_corrupt")[0] == 0
    assert acknowledge(mlops_chain, site, "in_doubt")[0] == 0
    assert mlops_chain("--home", site.home, "alarm", "list")[0] == 0
    code, out, _ = mlops_chain("--home", site.home, "alarm", "list", "--all", "--json")
    assert (code, len(json.loads(out)["alarms"])) == (0, 3)
    assert json.loads(mlops_chain("--home", site.home, "status", "--json")[1])["alarms"] == []
    site.drain()
    said = [event for event in site.events() if event.type == ALARM_ACKNOWLEDGED]
    assert sorted(str(event.payload["about"]) for event in said) == ["a", "a", "b"]
    assert {(e.actor.claimed, e.payload["reason"]) for e in said} == {("Ada", "seen")}
    assert site.findings() == []


def test_an_acknowledged_alarm_comes_back_when_its_cause_does(site: Site, mlops_chain: Run) -> None:
    first = CopiedProcess()
    second, third = first.snapshot(), first.snapshot()
    first.see(0)
    second.see(1)
    third.see(2)
    for process in (first, second):
        process.put_spool(site.home)
        site.drain()
    site.close()
    assert acknowledge(mlops_chain, site, "source_forked")[0] == 0
    second.put_spool(site.home)
    site.drain()
    assert site.client.log.alarms() == []
    third.put_spool(site.home)
    site.drain()
    assert [alarm.kind for alarm in site.client.log.alarms()] == ["source_forked"]


def test_what_does_not_stand_can_not_be_acknowledged(site: Site, mlops_chain: Run) -> None:
    raised(site, ("in_doubt", "a"))
    for words in (("nothing",), ("in_doubt", "b")):
        code, text = acknowledge(mlops_chain, site, *words)
        assert code == 2
        assert "alarm list" in text
    code, _, _ = mlops_chain(
        "--home", site.home, "alarm", "acknowledge", "in_doubt", "--reason", " "
    )
    assert code == 2


def test_pieces_kept_aside_are_red_until_somebody_has_seen_them(
    site: Site, mlops_chain: Run
) -> None:
    CopiedProcess(deployment="another").put_spool(site.home)
    site.drain()
    site.close()

    def spool_check() -> tuple[bool, str]:
        checks = json.loads(mlops_chain("--home", site.home, "doctor", "--json")[1])["checks"]
        return next((c["ok"], c["detail"]) for c in checks if c["name"] == "spool")

    assert spool_check()[0] is False
    assert acknowledge(mlops_chain, site, "source_foreign")[0] == 0
    found, text = spool_check()
    assert found
    assert text.startswith("1 damaged or refused pieces are kept")


def test_the_log_of_a_relay_is_begun_anew_when_it_is_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_file, "MAX_BYTES", 100)
    path = tmp_path / "relay.log"
    for text in (b"a" * 100, b"b" * 100, b"c"):
        descriptor = open_log_file(path)
        os.write(descriptor, text)
        os.close(descriptor)
    assert path.read_bytes() == b"c"
    assert (tmp_path / "relay.log.1").read_bytes() == b"b" * 100
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith("relay")) == [
        "relay.log",
        "relay.log.1",
    ]


WRITES_MUCH = """
import sys
from pathlib import Path
from chain_client.relay import log_file
log_file.MAX_BYTES = 1000
for number in range(100):
    print("x" * 99, file=sys.stderr)
    log_file.keep_small(Path(sys.argv[1]))
print("the end", flush=True)
"""


def test_a_relay_that_works_for_long_keeps_its_log_small(tmp_path: Path) -> None:
    path = tmp_path / "relay.log"
    descriptor = open_log_file(path)
    subprocess.run(
        [sys.executable, "-c", WRITES_MUCH, str(path)],
        stdout=descriptor,
        stderr=descriptor,
        check=True,
        timeout=60,
        cwd=Path(__file__).parents[3],
    )
    os.close(descriptor)
    assert path.read_bytes().endswith(b"the end\n")
    assert path.stat().st_size < 1100
    assert (tmp_path / "relay.log.1").stat().st_size == 1000


def test_messages_that_go_elsewhere_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "relay.log"
    path.write_bytes(b"x" * (log_file.MAX_BYTES + 1))
    keep_small(path)
    keep_small(tmp_path / "nothing")
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("relay")] == ["relay.log"]
