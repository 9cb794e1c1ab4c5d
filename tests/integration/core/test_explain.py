"""What a person explains is no difference any more; what was not signed, or changes, is."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chain_client.events import Json
from chain_client.hosts import Finding
from chain_client.signing import create_keystore, open_signer
from chain_client.verify import Evidence, Verdict, read_spooled
from chain_client.verify.explanations import (
    MAX_FINDINGS,
    STORE_EXPLAINED,
    Explanations,
    Statement,
    read_explanations,
    split,
    subject_of,
    to_item,
)
from tests.faults.toy_host import STORE, ToyHost
from tests.integration.core.conftest import Site

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _toy_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chain_client.client.load_host", lambda name: ToyHost())
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")


def edit(site: Site, *statements: str) -> None:
    connection = sqlite3.connect(site.database)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def explain(run: Run, site: Site, *words: str) -> dict[str, Any]:
    site.close()
    code, out, err = run(
        *("--home", site.home, "explain", "--kind", "manual_edit", "--reason", "a slip"),
        *("--who", "Ada", "--yes", "--json", *words),
    )
    assert code == 0, err
    found = json.loads(out)
    assert isinstance(found, dict)
    return found


def verify(run: Run, site: Site, *words: str) -> tuple[int, dict[str, Any]]:
    site.close()
    code, out, _ = run("--home", site.home, "verify", "--json", *words)
    found = json.loads(out)
    assert isinstance(found, dict)
    return code, found


EDIT = (
    "UPDATE items SET value = 'edited' WHERE key = 'key-1'",
    "DELETE FROM items WHERE key = 'key-2'",
)


def test_what_was_explained_is_reported_and_fails_nothing(told: Site, mlops_chain: Run) -> None:
    edit(told, *EDIT)
    assert verify(mlops_chain, told)[0] == 1
    recorded = explain(mlops_chain, told)
    assert [found["subject"] for found in recorded["explained"]] == ["key-1", "key-2"]
    for _ in ("in the spool", "in the log"):
        code, document = verify(mlops_chain, told)
        assert (code, document["ok"], document["findings"]) == (0, True, [])
        first = document["explained"][0]
        assert (first["kind"], first["subject"], first["actual"]) == (
            *("item_changed", "key-1", "edited"),
        )
        said = first["explanation"]
        assert (said["kind"], said["reason"], said["who"]) == ("manual_edit", "a slip", "Ada")
        assert said["signer"] == recorded["signer"]
        told.drain()
    code, out, _ = mlops_chain("--home", told.home, "verify")
    assert code == 0
    assert "explained" in out
    assert "a slip (Ada" in out


def test_whatever_changes_further_is_a_finding_again(told: Site, mlops_chain: Run) -> None:
    edit(told, *EDIT)
    explain(mlops_chain, told)
    edit(told, "UPDATE items SET value = 'edited again' WHERE key = 'key-1'")
    code, document = verify(mlops_chain, told)
    assert code == 1
    assert [found["subject"] for found in document["findings"]] == ["key-1"]
    assert [found["subject"] for found in document["explained"]] == ["key-2"]


def test_only_what_was_chosen_is_explained(told: Site, mlops_chain: Run) -> None:
    edit(told, *EDIT)
    explain(mlops_chain, told, "--subject", "key-2", "--subject", "nothing")
    assert [subject for _, subject in told.findings()] == ["key-1"]


def test_nothing_to_explain_records_nothing(told: Site, mlops_chain: Run) -> None:
    size = told.client.log.size()
    assert explain(mlops_chain, told)["events"] == 0
    told.drain()
    assert told.client.log.size() == size


def test_a_person_is_asked_and_may_say_no(
    told: Site, mlops_chain: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io

    edit(told, *EDIT)
    words = ("--home", told.home, "explain", "--kind", "other", "--reason", "r")
    told.close()
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    code, out, _ = mlops_chain(*words)
    assert code == 2
    assert "key-1" in out
    assert len(told.findings()) == 2
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert mlops_chain(*words)[0] == 0
    assert told.findings() == []


def test_a_log_that_is_not_whole_lets_nothing_be_explained(told: Site, mlops_chain: Run) -> None:
    edit(told, *EDIT)
    told.sql("DELETE FROM payloads WHERE log_index = 9")
    told.close()
    code, _, err = mlops_chain(
        "--home", told.home, "explain", "--kind", "other", "--reason", "r", "--yes"
    )
    assert code == 2
    assert "not as they were anchored" in err
    assert "log_payload_missing" in {kind for kind, _ in told.findings()}


def test_findings_of_log_and_sources_stay_findings(told: Site, mlops_chain: Run) -> None:
    told.sql("UPDATE sources SET next_sequence = 400 WHERE source_no = 1")
    edit(told, *EDIT)
    assert [found["subject"] for found in explain(mlops_chain, told)["explained"]] == [
        "key-1",
        "key-2",
    ]
    assert {kind for kind, _ in told.findings()} == {"event_missing"}


def test_the_key_of_anybody_else_is_refused(told: Site, mlops_chain: Run) -> None:
    edit(told, *EDIT)
    told.close()
    words = ("--home", told.home, "explain", "--kind", "gc", "--reason", "r", "--yes")
    code, _, err = mlops_chain(*words, "--key", "keystore:keys/log-writer.json")
    assert code == 2
    assert "only explanations of the" in err
    assert len(told.findings()) == 2


def statement(site: Site, **changes: Any) -> Statement:
    deployment = site.client.deployment
    found = Statement(
        deployment.deployment_id,
        STORE,
        "other",
        "r",
        "me",
        2**52,
        [to_item(finding) for finding in site.verify().findings],
    )
    return replace(found, **changes)


FORGERIES: dict[str, Callable[[dict[str, Any]], dict[str, Json]]] = {
    "no signature": lambda p: {n: v for n, v in p.items() if n != "signature"},
    "an empty signature": lambda p: p | {"signature": "0x"},
    "a signature that is no text": lambda p: p | {"signature": 1},
    "another reason": lambda p: p | {"reason": "approved by the board"},
    "another person": lambda p: p | {"who": "you"},
    "another time": lambda p: p | {"time_us": 2**52 + 1},
    "a finding more": lambda p: p | {"findings": [*p["findings"], ["k", "s", 1, 2]]},
    "no findings": lambda p: p | {"findings": []},
    "findings of another form": lambda p: p | {"findings": [["k"]]},
    "too many findings": lambda p: p | {"findings": [["k", "s", 1, 2]] * (MAX_FINDINGS + 1)},
    "another signer": lambda p: p | {"signer": "0x" + "11" * 20},
    "another deployment": lambda p: p | {"deployment": "ff"},
    "nothing": lambda p: {},
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_an_explanation_that_the_owner_did_not_sign_is_itself_a_finding(
    told: Site, forgery: str
) -> None:
    edit(told, *EDIT)
    client = told.client
    signer = open_signer("keystore:keys/owner.json", base=told.home)
    payload = statement(told).to_payload(client.deployment, signer)
    client.recorder.note(STORE_EXPLAINED, subject_of(STORE), FORGERIES[forgery](payload))
    told.end_source()
    found = [kind for kind, _ in told.findings()]
    assert found == ["explanation_unexpected", "item_changed", "item_changed"]


def test_a_stranger_s_signature_counts_for_nothing(told: Site) -> None:
    edit(told, *EDIT)
    create_keystore(told.home / "keys" / "stranger.json")
    signer = open_signer("keystore:keys/stranger.json", base=told.home)
    payload = statement(told).to_payload(told.client.deployment, signer)
    told.client.recorder.note(STORE_EXPLAINED, subject_of(STORE), payload)
    told.end_source()
    told.drain()
    report = told.verify()
    assert report.verdict is Verdict.DIFFERS
    assert "which is not the deployment's owner" in report.findings[0].detail


def test_an_explanation_of_another_database_or_deployment_is_not_moved_here(told: Site) -> None:
    edit(told, *EDIT)
    signer = open_signer("keystore:keys/owner.json", base=told.home)
    for change in ({"store_id": "another"}, {"deployment_id": "another"}):
        payload = statement(told, **change).to_payload(told.client.deployment, signer)
        told.client.recorder.note(STORE_EXPLAINED, subject_of(STORE), payload)
    told.end_source()
    kinds = [kind for kind, _ in told.findings()]
    assert kinds.count("explanation_unexpected") == 2
    assert kinds.count("item_changed") == 2


ODD = [
    math.nan,
    math.inf,
    -0.0,
    1e-320,
    2**60,
    "\ud800",
    "é😀\0",
    {"a": [1.0, None]},
    (1, "x"),
    None,
]


def explained(site: Site, *findings: Finding) -> Explanations:
    items = [to_item(finding) for finding in findings]
    found = Explanations()
    found.add(statement(site, items=items, time_us=1_000), "0x")
    return found


def odd_finding(value: Any) -> Finding:
    return Finding("k", "s\ud800", value, [value], "d")


def test_odd_values_match_themselves_after_they_were_recorded(site: Site) -> None:
    findings = [odd_finding(value) for value in ODD]
    items = [to_item(finding) for finding in findings]
    signer = open_signer("keystore:keys/owner.json", base=site.home)
    payload = statement(site, items=items).to_payload(site.client.deployment, signer)
    site.client.recorder.note(STORE_EXPLAINED, subject_of(STORE), payload)
    site.end_source()
    site.drain()
    client = site.client
    evidence = Evidence(
        client.deployment,
        client.ledger,
        client.log,
        lambda: read_spooled(client.folder.spool, client.log),
        [],
        lambda name: ToyHost(),
    )
    found = read_explanations(evidence, STORE)
    assert found.findings == []
    assert [finding for finding in findings if found.find(finding) is None] == []
    others = [replace(f, actual=["something else"]) for f in findings]
    assert [finding for finding in others if found.find(finding) is not None] == []


def test_an_explanation_does_not_cover_what_was_recorded_after_it(site: Site) -> None:
    finding = Finding("alias_changed", "model m/alias a", 2, 1, "d", recorded_us=900)
    found = explained(site, finding)
    assert found.find(finding) is not None
    assert found.find(replace(finding, recorded_us=None)) is not None
    assert found.find(replace(finding, recorded_us=1_100)) is None


def test_the_latest_of_several_explanations_is_told(site: Site) -> None:
    finding = Finding("k", "s", 1, 2, "d")
    found = explained(site, finding)
    later = statement(site, items=[to_item(finding)], time_us=2_000, reason="better")
    found.add(later, "0x")
    found.add(replace(later, time_us=1_500, reason="older"), "0x")
    best = found.find(finding)
    assert best is not None
    assert best.reason == "better"


def test_many_findings_are_split_into_events_of_bounded_size() -> None:
    small: list[list[Json]] = [["k", str(n), 1, 2] for n in range(2 * MAX_FINDINGS + 1)]
    assert [len(part) for part in split(small)] == [MAX_FINDINGS, MAX_FINDINGS, 1]
    large: list[list[Json]] = [["k", "s", "x" * 3_000_000, None]] * 3
    assert [len(part) for part in split(large)] == [1, 1, 1]
    assert list(split([])) == []
