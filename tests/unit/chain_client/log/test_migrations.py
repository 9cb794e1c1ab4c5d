"""Logs of every released schema, as they were dumped then: upgraded, they prove all and go on."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import NullPool, create_engine

from chain_client.errors import LogCorrupt, SchemaTooNew, SchemaTooOld
from chain_client.ledger import Call
from chain_client.log import EntryStatus, Lease, Log, SourceProgress
from chain_client.log.model import SourceState
from chain_client.log.recheck import recheck, recheck_tiles
from chain_client.log.schema import REVISIONS, metadata
from chain_client.log.schema_version import MIGRATIONS
from chain_client.merkle import root, verify_consistency, verify_inclusion
from chain_client.signing import Signer
from chain_client.testing.crash import run_killed
from chain_client.testing.simulated_ledger import SimulatedLedger
from chain_client.transactions import TransactionQueue, key_lease_name
from chain_client.types import Address, Digest, LeafHash
from tests.embedded_chains import OWNER, WRITER
from tests.postgres import PASSWORD, Postgres
from tests.unit.chain_client.log.logs import SOURCE, make_entry

GOLDEN = Path(__file__).parents[3] / "golden" / "v1"
CHECKOUT = str(Path(__file__).parents[4])
RELEASED = ("0001", "0002", "0003")
"""Every schema that was released before this version's; each has its dumps."""
ERASED = 5

both = pytest.mark.parametrize(
    ("revision", "database"), [(r, d) for r in RELEASED for d in ("sqlite", "postgres")]
)


class Dumped:
    """A database that holds what an earlier version left."""

    def __init__(self, url: str, expected: dict[str, Any]) -> None:
        self.url = url
        self.expected = expected
        self.leaves = [LeafHash(bytes.fromhex(leaf)) for leaf in expected["leaves"]]


@pytest.fixture
def dumped(revision: str, database: str, request: pytest.FixtureRequest) -> Iterator[Dumped]:
    """A dump of that revision, put back into that kind of database."""
    folder = GOLDEN / f"log_{revision}"
    expected = json.loads((folder / "expected.json").read_text())
    if database == "sqlite":
        path = request.getfixturevalue("tmp_path") / "log.db"
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.executescript((folder / "sqlite.sql").read_text("utf-8"))
        yield Dumped(f"sqlite:///{path}", expected)
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create("template0")
    words = ["-h", "127.0.0.1", "-p", str(server.port), "-U", "me", "-v", "ON_ERROR_STOP=1"]
    subprocess.run(
        [server.binaries / "psql", *words, "-q", "-f", folder / "postgres.sql", name],
        env=os.environ | {"PGPASSWORD": PASSWORD},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    yield Dumped(server.uri(name, "psycopg"), expected)
    server.execute(f"drop database {name} with (force)")


@pytest.fixture
def log(dumped: Dumped) -> Iterator[Log]:
    """The dumped log, not upgraded."""
    opened = Log(dumped.url, timeout_s=30)
    yield opened
    opened.close()


def test_every_released_schema_has_its_dumps() -> None:
    assert REVISIONS[:-1] == RELEASED
    for revision in RELEASED:
        names = {path.name for path in (GOLDEN / f"log_{revision}").iterdir()}
        assert {"sqlite.sql", "postgres.sql", "expected.json"} <= names


@both
def test_an_older_log_is_named_and_read_by_nobody_before_its_upgrade(
    log: Log, revision: str
) -> None:
    with pytest.raises(SchemaTooOld, match=rf"has schema {revision}.*needs {REVISIONS[-1]}.*init"):
        log.check_schema()


@both
def test_an_upgraded_log_holds_everything_and_proves_it(log: Log, dumped: Dumped) -> None:
    log.upgrade()
    log.check_schema()
    expected, leaves = dumped.expected, dumped.leaves
    assert (log.size(), log.root().hex()) == (expected["size"], expected["root"])
    assert [entry.leaf_hash for entry in log.entries()] == leaves
    for size, known in expected["heads"].items():
        head = Digest(bytes.fromhex(known))
        assert log.root(int(size)) == head == root(leaves[: int(size)])
        verify_consistency(
            int(size), len(leaves), head, log.root(), log.consistency_proof(int(size))
        )
    for index in range(len(leaves)):
        verify_inclusion(leaves[index], index, len(leaves), log.inclusion_proof(index), log.root())
    assert [mismatch.index for mismatch in recheck(log)] == [ERASED]
    assert list(recheck_tiles(log)) == []
    assert {head.size: head.status.value for head in log.heads()} == {
        40: "finalized",
        210: "finalized",
        257: "included",
        270: "broadcast",
        280: "sequenced",
    }
    assert log.counts()[EntryStatus.FINALIZED] == 210
    assert [source.state for source in log.sources()] == ["open", "closed", "lost", "forked"]
    assert [alarm.count for alarm in log.alarms()] == [2]


@both
def test_an_upgraded_log_goes_on(log: Log, dumped: Dumped) -> None:
    log.upgrade()
    before = _source(log)
    taken = log.acquire_lease("relay", "host:2", 30)
    assert taken.token == 2
    new = [make_entry(number) for number in range(before.next_sequence, 300)]
    assert log.append(new, [SourceProgress(SOURCE, {}, 9, 9, 300)], taken) == len(new)
    assert log.root() == root([*dumped.leaves, *(entry.leaf_hash for entry in new)])
    log.set_head_status(280, EntryStatus.FINALIZED, taken, block_number=9)
    assert _source(log).next_sequence == 300
    with pytest.raises(Exception, match="was taken over"):
        log.append([], (), Lease("relay", "host:1", 1, 2**60))


def _source(log: Log) -> SourceState:
    found = log.source(SOURCE)
    assert found is not None
    return found


@both
@pytest.mark.parametrize("signer", [OWNER, WRITER], ids=["owner", "writer"])
def test_transactions_go_on_where_the_earlier_version_left_them(
    log: Log, dumped: Dumped, signer: Signer
) -> None:
    log.upgrade()
    ledger = SimulatedLedger(auto_mine=False, finality_depth=2)
    ledger.reverting.add(b"call 1")
    lease = log.acquire_lease(key_lease_name(signer.address()), "host:2", 60, replace_dead=_dead)
    queue = TransactionQueue(
        log.engine,
        ledger,
        signer,
        lease=lambda: lease,
        chain_id=31337,
        alarm=log.raise_alarm,
        wait=lambda seconds: ledger.mine(),
    )
    rows = sorted([*queue.find("pay:", prefix=True), *_others(queue)], key=lambda row: row.nonce)
    assert [row.nonce for row in rows] == [0, 1, 2, 3, 4]
    for row in rows[:3]:  # what the chain of that time holds
        ledger.send(row.raw)
    ledger.mine(4)
    queue.resume()
    number = queue.submit(Call(Address(b"\1" * 20), b"call 5"), "pay:5")
    queue.settle(number, final=True)
    # Each call once at its nonce, those that waited long perhaps with more fees than then.
    included = [(tx.nonce, tx.call.data) for tx in ledger.included(signer.address())]
    assert included == [(number, b"call %d" % number) for number in range(6)]
    queue.watch()
    assert queue.pending() == []


def _others(queue: TransactionQueue) -> list[Any]:
    return [*queue.find("anchor:", prefix=True), *queue.find("deploy:", prefix=True)]


def _dead(holder: str) -> bool:
    return True


@both
def test_the_migrations_give_the_tables_of_the_schema(log: Log, dumped: Dumped) -> None:
    log.upgrade()
    assert _differences(dumped.url) == []


def test_a_new_log_on_postgres_has_the_tables_of_the_schema(
    postgres: Postgres, template_database: str
) -> None:
    assert _differences(postgres.uri(template_database, "psycopg")) == []


def _differences(url: str) -> list[Any]:
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        return list(
            compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
        )


_UPGRADE = """
import sys
from chain_client.log import Log
log = Log(sys.argv[1], timeout_s=60)
sys.stdin.readline()
log.upgrade()
log.check_schema()
log.close()
"""


@both
def test_processes_that_upgrade_at_once_do_it_once(log: Log, dumped: Dumped) -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _UPGRADE, dumped.url],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    for child in children:
        assert child.communicate(timeout=60)[1] == ""
        assert child.returncode == 0
    assert log.size() == dumped.expected["size"]
    assert _differences(dumped.url) == []


@both
def test_an_upgrade_that_dies_in_the_middle_has_changed_nothing(
    log: Log, dumped: Dumped, tmp_path: Path
) -> None:
    script = tmp_path / "upgrade.py"
    script.write_text(_UPGRADE)
    run_killed(script, dumped.url, step_name="log.migrated.before_commit")
    with pytest.raises(SchemaTooOld):
        log.check_schema()
    assert (log.size(), log.root()) == (len(dumped.leaves), root(dumped.leaves))
    log.upgrade()
    assert [entry.leaf_hash for entry in log.entries()] == dumped.leaves
    assert log.root().hex() == dumped.expected["root"]
    assert _differences(dumped.url) == []


@both
def test_an_older_version_leaves_an_upgraded_log_alone(
    log: Log, revision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.upgrade()
    monkeypatch.setattr("chain_client.log.schema_version.REVISIONS", (revision,))
    for act in (log.check_schema, log.upgrade, log.create):
        with pytest.raises(SchemaTooNew, match=rf"'{REVISIONS[-1]}'.*upgrade mlops-chain"):
            act()


def test_no_migration_can_be_taken_back() -> None:
    for path in (MIGRATIONS / "versions").glob("*.py"):
        assert not re.search(r"^def downgrade", path.read_text(), re.MULTILINE), path.name


@pytest.mark.parametrize("version", ["1f2e3d4c5b6a", "0001"])
def test_a_database_of_another_program_that_uses_alembic_too_is_not_touched(
    postgres: Postgres, version: str
) -> None:
    name = postgres.create()
    postgres.execute("create table runs (id text)", name)
    postgres.execute("create table alembic_version (version_num varchar(32))", name)
    postgres.execute(f"insert into alembic_version values ('{version}')", name)
    log = Log(postgres.uri(name, "psycopg"))
    acts = [log.create, log.upgrade, log.check_schema, log.size]
    for act in acts if version != "0001" else acts[3:]:
        with pytest.raises(LogCorrupt, match="another program's"):
            act()
    log.close()
    postgres.execute(f"drop database {name} with (force)")
