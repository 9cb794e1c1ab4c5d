"""Any one value of the log's evidence, changed at random, is seen; so is an older copy of it."""

from __future__ import annotations

import shutil
import sqlite3
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chain_client.hosts import StoreBinding
from chain_client.verify import Verdict
from tests.faults.toy_host import STORE
from tests.integration.core.conftest import Site
from tests.strategies import examples

EVIDENCE = {
    "entries": ("log_index", "leaf_hash", "source_no", "sequence"),
    "payloads": ("log_index", "subject_no", "seed", "event", "object_digest"),
    "subjects": ("subject_no", "subject_key"),
    "sources": ("source_no", "source_id", "next_sequence", "state", "forked_from"),
    "tiles": ("level", "tile", "hashes"),
    "heads": ("size", "root"),
}
"""Columns on which a claim rests, by table."""
NOTES = {
    "payloads": {"leaf_data", "object_bytes"},
    "sources": {"segment", "position", "info", "created_us", "updated_us", "ingester"},
    "heads": {"status", "transaction_id", "block_number", "block_hash", "created_us"},
}
"""The relay's own notes, on which no claim rests."""


def test_every_column_is_classed(told: Site) -> None:
    connection = sqlite3.connect(told.log_file)
    for table, columns in EVIDENCE.items():
        found = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        assert found == set(columns) | NOTES.get(table, set())
    connection.close()


def _changed(value: Any, data: st.DataObject) -> Any:
    """Another value, such as somebody may put there who knows what belongs there."""
    if isinstance(value, bytes) and value:
        index = data.draw(st.integers(0, len(value) - 1))
        flipped = bytes([value[index] ^ data.draw(st.integers(1, 255))])
        return data.draw(
            st.sampled_from([value[:index] + flipped + value[index + 1 :], value[:-1], b"", None])
        )
    if isinstance(value, int):
        return value + data.draw(st.sampled_from([1, -1, 1000, 2**40]))
    if isinstance(value, str):
        return data.draw(st.sampled_from(["open", "closed", "finalized", "sequenced", "{}", "{"]))
    return bytes(16)


@pytest.fixture(scope="module")
def told_log(told_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("edited") / "told"
    shutil.copytree(told_home, folder)
    return folder


@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_changed_value_is_seen(
    told_log: Path, told_home: Path, open_site: Callable[..., Site], data: st.DataObject
) -> None:
    site = open_site(told_log / "home")
    site.client.bind_store(StoreBinding(STORE, "toy", str(site.database)))
    site.close()
    shutil.copy(told_home / "home" / "log.db", site.log_file)
    table = data.draw(st.sampled_from(sorted(EVIDENCE)))
    column = data.draw(st.sampled_from(EVIDENCE[table]))
    connection = sqlite3.connect(site.log_file)
    rows = connection.execute(f"SELECT rowid, {column} FROM {table}").fetchall()
    rowid, value = data.draw(st.sampled_from(rows))
    new = _changed(value, data)
    if new == value:
        connection.close()
        return
    try:
        with connection:
            statement = f"UPDATE {table} SET {column} = ? WHERE rowid = ?"
            connection.execute(statement, (new, rowid))
    except (sqlite3.IntegrityError, OverflowError):
        return  # the database itself refuses it
    finally:
        connection.close()
    verdict = site.verify().verdict
    site.close()
    assert verdict is not Verdict.HOLDS, (table, column, rowid, value, new)


def test_an_older_copy_of_the_log_is_named_with_both_sizes(told: Site, tmp_path: Path) -> None:
    told.close()
    older = tmp_path / "older.db"
    shutil.copy(told.log_file, older)
    before = told.client.log.size()
    told.note(3)
    told.end_source()
    told.drain()
    after = told.client.log.size()
    told.close()
    shutil.copy(older, told.log_file)
    report = told.verify()
    assert report.verdict is Verdict.DIFFERS
    truncated = next(found for found in report.findings if found.kind == "log_truncated")
    assert (truncated.expected, truncated.actual) == ({"size": after}, {"size": before})


def test_a_chain_put_back_is_named_with_both_sizes(told: Site, tmp_path: Path) -> None:
    told.close()
    older = tmp_path / "older.db"
    shutil.copy(told.chain_file, older)
    before = told.client.log.size()
    told.note(3)
    told.end_source()
    told.drain()
    after = told.client.log.size()
    told.close()
    shutil.copy(older, told.chain_file)
    found = {finding.kind: finding for finding in told.verify().findings}
    rolled_back = found["chain_rolled_back"]
    assert (rolled_back.expected, rolled_back.actual) == ({"size": after}, {"size": before})


def test_an_exchanged_contract_is_named_with_both_code_hashes(told: Site) -> None:
    file = told.home / "deployment.json"
    told.close()
    deployed = "0x" + told.client.deployment.code_hash.hex()
    other = "0x" + "11" * 32
    file.write_text(file.read_text().replace(deployed, other))
    told.close()
    [finding] = [found for found in told.verify().findings if found.kind == "contract_changed"]
    assert (finding.expected, finding.actual) == (other, deployed)
    assert finding.subject == "EventLog"


def test_an_exchanged_registry_is_named_and_the_log_is_checked_all_the_same(told: Site) -> None:
    file = told.home / "deployment.json"
    code_hash = told.client.deployment.registry_code_hash
    told.close()
    assert code_hash is not None
    deployed, other = "0x" + code_hash.hex(), "0x" + "11" * 32
    file.write_text(file.read_text().replace(deployed, other))
    report = told.verify()
    [finding] = [found for found in report.findings if found.kind == "contract_changed"]
    assert (finding.expected, finding.actual) == (other, deployed)
    assert finding.subject == "ModelRegistry"
    assert report.verdict is Verdict.DIFFERS
    assert {check.name: check.ok for check in report.checks}["head"]


def test_a_source_that_was_removed_before_a_relay_met_it_leaves_no_trace(site: Site) -> None:
    """What the documents say plainly: only a second observer can tell."""
    site.note(3)
    site.end_source()
    [folder] = [path for path in (site.home / "spool").iterdir() if len(path.name) == 32]
    shutil.rmtree(folder)
    site.drain()
    assert site.findings() == []
    assert site.numbers() == []


def test_a_source_that_a_relay_has_met_can_not_be_removed_unseen(site: Site) -> None:
    site.note(3)
    relay = site.relay()
    relay.start()
    relay.run_round()
    relay.close()
    site.note(3)
    [folder] = [path for path in (site.home / "spool").iterdir() if len(path.name) == 32]
    shutil.rmtree(folder)
    site.drain()
    assert {kind for kind, _ in site.findings()} == {"source_not_closed"}


@pytest.mark.parametrize(
    ("edit", "kind"),
    [
        ("entries SET log_index = log_index + (1 << 40) WHERE log_index = 9", "log_entry_missing"),
        ("entries SET sequence = sequence + (1 << 40) WHERE log_index = 9", "event_missing"),
        ("sources SET next_sequence = 1 << 40 WHERE source_no = 1", "event_missing"),
    ],
)
def test_a_number_far_beyond_all_others_costs_no_memory(told: Site, edit: str, kind: str) -> None:
    told.sql(f"UPDATE {edit}")
    tracemalloc.start()
    try:
        found = told.findings()
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert kind in {found_kind for found_kind, _ in found}
    assert peak_bytes < 50e6
