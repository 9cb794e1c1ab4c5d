"""Heads on a second chain: whoever owns the first one and the log can't rewrite what is there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from chain_client.clock import SystemClock
from chain_client.config import Settings
from chain_client.deploying.cross import deploy_cross
from chain_client.errors import ConfigurationError
from chain_client.ledger.event_log import EventLogContract, Head
from chain_client.relay.cross_assembly import make_cross_anchorer
from chain_client.testing.crash import run_killed
from chain_client.types import from_hex
from chain_client.verify import Verdict
from tests.integration.core.conftest import Site

Run = Callable[..., tuple[int, str, str]]
OpenSite = Callable[..., Site]
EVERY = {"CROSS_EVERY_S": "0.000001"}


@pytest.fixture(scope="module")
def crossed_home(founded_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a home whose second chain lies beside it, with no head there yet."""
    folder = tmp_path_factory.mktemp("crossed")
    shutil.copytree(founded_home, folder / "home")
    deploy_cross(_settings(folder))
    return folder


def _settings(folder: Path) -> Settings:
    environment = {"MLOPS_CHAIN_CROSS_LEDGER_URL": f"embedded:{folder}/second.db"}
    return Settings.from_environment(environment, folder, home=folder / "home")


@pytest.fixture
def crossed(crossed_home: Path, tmp_path: Path, open_site: OpenSite) -> Site:
    """A copy of it."""
    folder = tmp_path / "crossed"
    shutil.copytree(crossed_home, folder)
    return reopened(folder, open_site)


def reopened(folder: Path, open_site: OpenSite, **settings: object) -> Site:
    url = f"embedded:{folder}/second.db"
    return open_site(folder / "home", CROSS_LEDGER_URL=url, **(EVERY | settings))


def write(site: Site, count: int, name: str = "note") -> None:
    site.note(count, name)
    site.end_source()
    site.drain()


def there(site: Site) -> Head:
    """What stands on the second chain."""
    place = site.client.find_cross_place()
    assert place is not None
    ledger = place.open_ledger()
    head = place.contract(ledger).head(place.deployment.log_id)
    ledger.close()
    return head


def alarms(site: Site) -> list[tuple[str, str]]:
    return [(a.kind, a.detail) for a in site.client.log.alarms()]


def cross_check(site: Site) -> tuple[bool, str]:
    report = site.verify()
    assert [check.name for check in report.checks][5:7] == ["cross", "anchored"]
    return report.checks[5].ok, report.checks[5].detail


def swap_past(site: Site, other: Path) -> None:
    """The private chain's owner puts another chain and log in the place of the home's."""
    site.close()
    for name in ("chain/embedded.db", "log.db"):
        shutil.copy(other / "home" / name, site.home / name)
    shutil.rmtree(site.home / "spool")


def test_final_heads_are_anchored_on_the_second_chain_and_verified_there(
    crossed: Site, mlops_chain: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(crossed, 5)
    first = crossed.client.contract.head(crossed.client.deployment.log_id)
    assert (there(crossed).size, there(crossed).root) == (first.size, first.root)
    write(crossed, 3)
    assert there(crossed).size > first.size
    ok, detail = cross_check(crossed)
    assert ok
    assert detail.startswith(f"{there(crossed).size} of {there(crossed).size} entries, on chain ")
    assert alarms(crossed) == []
    crossed.close()
    monkeypatch.setenv("MLOPS_CHAIN_CROSS_LEDGER_URL", crossed.settings.cross_ledger_url)
    code, out, _ = mlops_chain("--home", crossed.home, "verify", "--json")
    assert (code, json.loads(out)["checks"][5]["name"]) == (0, "cross")


def test_a_past_that_was_written_anew_shows_though_log_and_chain_agree(
    crossed: Site, crossed_home: Path, tmp_path: Path, open_site: OpenSite
) -> None:
    write(crossed, 8)
    kept = there(crossed)
    for count, kind in ((9, "cross_log_rewritten"), (1, "cross_log_truncated")):
        other = tmp_path / kind
        shutil.copytree(crossed_home, other)
        forger = open_site(other / "home")  # same deployment, and nothing of a second chain
        write(forger, count, "another past")
        forger.close()
        swap_past(crossed, other)
        report = crossed.verify()
        assert [f.kind for f in report.findings] == [kind]
        assert all(check.ok for check in report.checks if check.name != "cross")
        assert "of " in report.checks[5].detail
        assert " since block " in report.checks[5].detail
        # Whoever runs a relay on it learns it too, and the head there is not written over.
        write(crossed, 20, "more")
        assert there(crossed) == kept
        [(alarm, detail)] = alarms(crossed)
        assert alarm == "cross_anchor"
        assert "on the second chain" in detail or "the second chain holds" in detail
        crossed.close()


def test_an_older_copy_of_the_first_chain_alone_shows_on_both(
    crossed: Site, tmp_path: Path
) -> None:
    write(crossed, 2)
    crossed.close()
    shutil.copy(crossed.chain_file, tmp_path / "older.db")
    write(crossed, 2)
    crossed.close()
    shutil.copy(tmp_path / "older.db", crossed.chain_file)
    kinds = {f.kind for f in crossed.verify().findings}
    assert kinds == {"chain_rolled_back", "cross_chain_rolled_back"}


def test_another_contract_there_shows(crossed: Site) -> None:
    write(crossed, 1)
    file = crossed.home / "cross-deployment.json"
    content = json.loads(file.read_text())
    content["event_log"] = "0x" + "11" * 20
    file.write_text(json.dumps(content))
    assert [f.kind for f in crossed.verify().findings] == ["cross_contract_changed"]


def test_an_auditors_own_copy_counts_when_the_homes_was_removed(
    crossed: Site,
    crossed_home: Path,
    tmp_path: Path,
    mlops_chain: Run,
    monkeypatch: pytest.MonkeyPatch,
    open_site: OpenSite,
) -> None:
    write(crossed, 4)
    url = crossed.settings.cross_ledger_url
    own = tmp_path / "own.json"
    shutil.copy(crossed.home / "cross-deployment.json", own)
    other = tmp_path / "other"
    shutil.copytree(crossed_home, other)
    forger = open_site(other / "home")
    write(forger, 9, "another past")
    forger.close()
    swap_past(crossed, other)
    (crossed.home / "cross-deployment.json").unlink()
    assert mlops_chain("--home", crossed.home, "verify")[0] == 0
    monkeypatch.setenv("MLOPS_CHAIN_CROSS_LEDGER_URL", url)
    # The setting alone: what it is to be compared with is missing.
    code, out, _ = mlops_chain("--home", crossed.home, "verify", "--json")
    assert (code, "cross-deployment.json" in json.loads(out)["checks"][5]["detail"]) == (2, True)
    words = ("verify", "--json", "--cross-deployment", own)
    code, out, _ = mlops_chain("--home", crossed.home, *words)
    assert code == 1
    assert [f["kind"] for f in json.loads(out)["findings"]] == ["cross_log_rewritten"]


def test_a_second_chain_that_is_gone_holds_up_nothing_and_is_caught_up_with(
    crossed: Site, open_site: OpenSite
) -> None:
    second = crossed.home.parent / "second.db"
    second.rename(second.with_suffix(".away"))
    write(crossed, 6)
    assert crossed.client.contract.head(crossed.client.deployment.log_id).size >= 6
    assert [kind for kind, _ in alarms(crossed)] == ["cross_anchor"]
    report = crossed.verify()
    assert report.verdict is Verdict.NOT_CHECKED
    assert report.findings == []
    second.with_suffix(".away").rename(second)
    crossed.drain()
    assert there(crossed).size == crossed.client.log.size()
    assert alarms(crossed) == []


def test_relays_that_come_and_go_keep_the_pace(crossed: Site, open_site: OpenSite) -> None:
    write(crossed, 1)
    size = there(crossed).size
    crossed.close()
    slow = reopened(crossed.home.parent, open_site, CROSS_EVERY_S=3600)
    write(slow, 1)
    write(slow, 1)
    assert there(slow).size == size
    slow.close()
    write(crossed, 1)
    assert there(crossed).size > size


DRAINS = """
import sys
from pathlib import Path
from chain_client import ChainClient, Settings

home, second = map(Path, sys.argv[1:])
environment = {
    "MLOPS_CHAIN_RELAY_AUTOSTART": "false",
    "MLOPS_CHAIN_CROSS_LEDGER_URL": f"embedded:{second}",
    "MLOPS_CHAIN_CROSS_EVERY_S": "0.000001",
}
client = ChainClient.open(Settings.from_environment(environment, home.parent, home=home))
relay = client.relay()
relay.start()
relay.drain(patience_s=60)
"""


@pytest.mark.parametrize("step", ["transaction.stored", "embedded.block.committed"])
def test_an_anchor_that_a_killed_relay_left_is_taken_over_and_not_sent_twice(
    crossed: Site, tmp_path: Path, step: str
) -> None:
    write(crossed, 1)
    before = nonce(crossed)
    crossed.note(1)
    crossed.end_source()
    crossed.close()
    script = tmp_path / "drains.py"
    script.write_text(DRAINS)
    # The second pass of the step: the first is the first chain's anchor.
    words = (str(crossed.home), str(crossed.home.parent / "second.db"))
    run_killed(script, *words, step_name=step, count=2)
    assert there(crossed).size < crossed.client.log.size() or step != "transaction.stored"
    crossed.drain()
    assert there(crossed).size == crossed.client.log.size()
    assert (nonce(crossed), alarms(crossed)) == (before + 1, [])
    assert cross_check(crossed)[0]


def nonce(site: Site) -> int:
    place = site.client.find_cross_place()
    assert place is not None
    ledger = place.open_ledger()
    found = ledger.nonce(place.deployment.writer)
    ledger.close()
    return found


def test_status_and_doctor_tell_of_the_second_chain(
    crossed: Site, mlops_chain: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(crossed, 3)
    size = there(crossed).size
    crossed.close()
    monkeypatch.setenv("MLOPS_CHAIN_CROSS_LEDGER_URL", crossed.settings.cross_ledger_url)

    def doctor() -> tuple[bool, str]:
        checks = json.loads(mlops_chain("--home", crossed.home, "doctor", "--json")[1])["checks"]
        return next((c["ok"], c["detail"]) for c in checks if c["name"] == "cross")

    ok, detail = doctor()
    assert ok
    assert f"holds {size} of {size} final entries" in detail
    status = json.loads(mlops_chain("--home", crossed.home, "status", "--json")[1])
    assert (status["cross"]["size"], status["trouble"]) == (size, [])
    assert f"{size} entries, block " in mlops_chain("--home", crossed.home, "status")[1]
    key = crossed.home / "keys" / "cross-writer.json"
    shutil.copy(crossed.home / "keys" / "log-writer.json", key)
    ok, detail = doctor()
    assert not ok
    assert "cross.key is" in detail
    key.unlink()
    assert doctor()[0] is False


def test_an_outage_of_the_first_chain_is_no_alarm_of_the_second(
    crossed: Site, mlops_chain: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(crossed, 3)
    settings = replace(crossed.settings, ledger_url="embedded:gone.db")
    deployment, log, clock = crossed.client.deployment, crossed.client.log, SystemClock()
    anchorer = make_cross_anchorer(settings, log, deployment, clock)
    assert anchorer is not None
    lease = log.acquire_lease("relay", "here/id:1", 60)
    anchorer.turn(lease)
    assert not anchorer.is_busy(30)
    anchorer.stop()
    log.release(lease)
    assert alarms(crossed) == []
    monkeypatch.setenv("MLOPS_CHAIN_CROSS_LEDGER_URL", crossed.settings.cross_ledger_url)
    monkeypatch.setenv("MLOPS_CHAIN_LEDGER_URL", "embedded:gone.db")
    found = json.loads(mlops_chain("--home", crossed.home, "doctor", "--json")[1])["checks"]
    checks = {check["name"]: check for check in found}
    assert not checks["chain"]["ok"]
    assert (checks["cross"]["ok"], checks["log"]["ok"]) == (True, True)


def test_deploying_again_changes_nothing_and_the_homes_own_chain_is_refused(
    crossed: Site, crossed_home: Path
) -> None:
    settings = crossed.settings
    file = settings.home / "cross-deployment.json"
    before = file.read_bytes()
    found = deploy_cross(settings)
    assert file.read_bytes() == before
    assert found.deployment_id == crossed.client.deployment_id
    place = crossed.client.find_cross_place()
    assert place is not None
    ledger = place.open_ledger()
    assert EventLogContract(ledger, found.event_log).owner() == found.owner
    ledger.close()
    file.unlink()
    own = replace(settings, cross_ledger_url=settings.ledger_url)
    with pytest.raises(ConfigurationError, match="which is the home's own"):
        deploy_cross(own)
    assert not file.exists()


def test_another_homes_file_is_refused(crossed: Site) -> None:
    file = crossed.home / "cross-deployment.json"
    content = json.loads(file.read_text())
    content["deployment_id"] = "0" * 32
    file.write_text(json.dumps(content))
    with pytest.raises(ConfigurationError, match="put the home's own file back"):
        crossed.client.find_cross_place()
    assert from_hex(content["event_log"], size=20)
