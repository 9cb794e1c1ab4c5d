"""A sync that is killed between chain and MLflow is made good by the next one."""

from __future__ import annotations

from pathlib import Path

from chain_client.ledger.model_registry_values import ProposalStatus
from chain_client.steps import STEPS
from chain_client.testing.crash import run_killed
from tests.integration.gate_sync.people import CHAMPION, People

_SCRIPT = """
import sys, warnings
warnings.simplefilter("ignore")
from pathlib import Path
from chain_client.client import ChainClient
from chain_client.config import Settings
home = Path(sys.argv[1])
settings = Settings(home=home, relay_autostart=False, spool_durability="process")
ChainClient.open(settings).sync()
"""

_STATES: dict[str, tuple[dict[str, tuple[int, ...]], bool]] = {
    "sync.promoted": ({}, False),
    "sync.target.written": ({CHAMPION: (2,)}, False),
    "sync.tag.written": ({CHAMPION: (3,)}, True),
}
"""What MLflow has after a death at each step: targets, and whether the version has a tag."""


def test_whatever_a_death_left_the_next_sync_makes_equal(people: People, tmp_path: Path) -> None:
    assert set(_STATES) == {name for name in STEPS if name.startswith("sync.")}
    script = tmp_path / "sync.py"
    script.write_text(_SCRIPT)
    for version, (step, (targets, has_tag)) in enumerate(_STATES.items(), 1):
        document = people.propose(version)
        people.approve(document)
        people.settle()
        run_killed(script, str(people.client.home), step_name=step, timeout_s=120)
        state = people.client.model_registry.proposal(document.id)
        assert state.status is ProposalStatus.PROMOTED, step
        assert people.targets() == targets, step
        assert bool(people.tags(version)) is has_tag, step
        assert people.client.sync().troubles == []
        assert people.targets() == {CHAMPION: (version,)}
        assert people.tags(version)["target"] == CHAMPION
        assert people.tags(version - 1) == {}
        assert people.findings() == [], step
    versions = [e.payload["version"] for e in people.events("registered_model.alias_set")]
    assert sorted(versions, key=str) == [1, 2, 3]
