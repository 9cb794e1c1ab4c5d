"""Operators that die by SIGKILL, are tried again, or run twice at once: everything happens once."""

from __future__ import annotations

import json
import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chain_client.ledger.model_registry_values import RegistryEvent
from chain_client.registry import documents
from chain_client.types import Digest
from tests.airflow_home import AirflowHome, open_chain
from tests.integration.airflow.model import QuickTeam, champion, make_model, to_connection

PROGRAM = Path(__file__).with_name("deciding_program.py")
DEATHS: dict[str, list[tuple[str, str]]] = {
    "register": [
        ("register-version", "transaction.signed"),
        ("register-version", "transaction.stored"),
        ("register-version", "transaction.sent"),
    ],
    "propose": [
        ("note", "log.append.before_commit"),
        ("propose", "transaction.signed"),
        ("propose", "transaction.stored"),
        ("propose", "embedded.block.committed"),
    ],
    "promote": [
        ("promote", "transaction.stored"),
        ("promote", "embedded.block.committed"),
        ("sync", "sync.target.written"),
    ],
    "revoke": [("revoke-version", "transaction.stored"), ("revoke-version", "transaction.sent")],
}
"""Where each try dies: within which action, at which step. After them one try is let live."""


@dataclass(frozen=True)
class Tried:
    """What many tries gave.

    Args:
        team: whose home it is.
        stages: exit code and result of each try.
        events: of the registry, in the end.
        written: ids of the proposals whose text is in the log.
    """

    team: QuickTeam
    stages: dict[str, list[dict[str, Any]]]
    events: list[RegistryEvent]
    written: list[Digest]

    def count(self, version: int) -> Counter[str]:
        """Events about a version, by name."""
        return Counter(
            event.name
            for event in self.events
            if version
            == (
                event.args["proposal"].version
                if "proposal" in event.args
                else event.args.get("version")
            )
        )


@pytest.fixture(scope="module")
def tried(
    founded_home: Path, airflow_template: AirflowHome, tmp_path_factory: pytest.TempPathFactory
) -> Tried:
    """All tries, in one process of Airflow with many children."""
    team = QuickTeam(tmp_path_factory.mktemp("tried"))
    team.found_from(founded_home)
    make_model(team)
    airflow_home = airflow_template.copied(tmp_path_factory.mktemp("airflow") / "home")
    airflow_home = airflow_home.with_variables(
        AIRFLOW_CONN_MLOPS_CHAIN_DEFAULT=to_connection(team.extra())
    )
    names, stages = _plan(team.folder)
    results = tmp_path_factory.mktemp("results")
    done = airflow_home.run_python(PROGRAM, json.dumps(stages), str(results))
    found = json.loads(done.stdout.partition("RESULT ")[2])
    by_name: dict[str, list[dict[str, Any]]] = {}
    for name, results_of in zip(names, found):
        by_name.setdefault(name, []).extend(results_of)
    client = open_chain(team.home)
    try:
        written = [document.id for document in documents.proposals(client.log)]
        return Tried(team, by_name, client.registry.events(), written)
    finally:
        client.close()


def _plan(folder: Path) -> tuple[list[str], list[list[dict[str, Any]]]]:
    """Stages by name: version 1 with deaths, version 2 with two tries at the same time."""
    arguments: dict[str, dict[str, Any]] = {
        "register": {},
        "propose": {"alias": "champion"},
        "promote": {"alias": "champion", "poll_interval": 0.1, "timeout": 60},
        "revoke": {"reason": "leaked data"},
    }
    names: list[str] = []
    stages: list[list[dict[str, Any]]] = []
    for version in (1, 2):
        for do, more in arguments.items():
            one: dict[str, Any] = {
                "do": do,
                "arguments": {"model_name": "fraud", "version": version, **more},
            }
            if do == "promote":
                names.append("approve")
                stages.append([{"do": "approve", "folder": str(folder), "version": version}])
            for within, step in DEATHS[do] if version == 1 else ():
                names.append(f"{do} dies")
                stages.append([{**one, "within": within, "dies_at": step}])
            names.append(f"{do} {'lives' if version == 1 else 'twice'}")
            stages.append([one] * version)
    return names, stages


@pytest.mark.parametrize("do", list(DEATHS))
def test_after_every_death_by_sigkill_the_next_try_finds_what_was_done(
    tried: Tried, do: str
) -> None:
    assert [one["code"] for one in tried.stages[f"{do} dies"]] == [-signal.SIGKILL] * len(
        DEATHS[do]
    )
    (lived,) = tried.stages[f"{do} lives"]
    assert lived["code"] == 0, lived["said"]


def test_of_many_tries_one_registration_proposal_promotion_and_revocation_come(
    tried: Tried,
) -> None:
    assert tried.count(1) == {
        "VersionRegistered": 1,
        "ProposalMade": 1,
        "CurrentChanged": 1,
        "VersionRevoked": 1,
    }
    (lived,) = tried.stages["propose lives"]
    (promoted,) = tried.stages["promote lives"]
    assert promoted["said"]["proposal_id"] == lived["said"]["proposal_id"]


@pytest.mark.parametrize("do", list(DEATHS))
def test_two_tries_at_the_same_time_do_it_once_and_say_the_same(tried: Tried, do: str) -> None:
    first, second = tried.stages[f"{do} twice"]
    assert (first["code"], second["code"]) == (0, 0), (first, second)
    assert first["said"] == second["said"]


def test_two_tries_at_the_same_time_leave_one_of_each(tried: Tried) -> None:
    assert tried.count(2) == {
        "VersionRegistered": 1,
        "ProposalMade": 1,
        "CurrentChanged": 1,
        "VersionRevoked": 1,
    }
    assert champion(tried.team) == 2


def test_no_more_texts_were_written_than_tries_that_saw_none(tried: Tried) -> None:
    made = {event.args["proposalId"] for event in tried.events if event.name == "ProposalMade"}
    assert len(made) == 2
    assert made <= set(tried.written)
    assert len(set(tried.written)) <= 3  # the two at once may each have written one
