"""The embedded chain: what every ledger does, and what a chain in a file must do besides."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from chain_client.errors import (
    ConfigurationError,
    LedgerUnavailable,
    SchemaTooNew,
    TransactionRejected,
    WrongChain,
)
from chain_client.ledger import Block, Call, EmbeddedLedger, create_embedded
from chain_client.testing.crash import run_killed
from chain_client.testing.ledger_suite import NOWHERE, ChainUnderTest, LedgerSuite, sign
from chain_client.types import TxHash
from tests.embedded_chains import (
    CHAIN_ID,
    OWNER,
    STRANGER,
    deploy_event_log,
    make_chain,
    open_log,
    transact,
)
from tests.forked import in_fork

ROOT = Path(__file__).parents[2]
PAY = Call(NOWHERE, b"", value_wei=1)

SENDER = """
import sys
from pathlib import Path
from chain_client.ledger import EmbeddedLedger
for raw in sys.argv[2:]:
    EmbeddedLedger(Path(sys.argv[1])).send(bytes.fromhex(raw))
"""


class TurnedClock:
    """A clock that stands until a test turns it."""

    def __init__(self, now_s: int) -> None:
        self.now_s = now_s

    def time_us(self) -> int:
        return self.now_s * 1_000_000 + 999_999

    def monotonic_us(self) -> int:
        return self.time_us()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chain.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[EmbeddedLedger]:
    made = make_chain(path)
    yield made
    made.close()


class TestEmbedded(LedgerSuite):
    @pytest.fixture
    def chain(self, path: Path) -> Iterator[ChainUnderTest]:
        make_chain(path).close()
        opened: list[EmbeddedLedger] = []

        def connect() -> EmbeddedLedger:
            opened.append(EmbeddedLedger(path))
            return opened[-1]

        yield ChainUnderTest(connect, OWNER, STRANGER)
        for one in opened:
            one.close()


def python(source: str, *arguments: str) -> subprocess.Popen[str]:
    """A fresh interpreter that can import us, and waits for its standard input if it reads it."""
    return subprocess.Popen(
        [sys.executable, "-c", source, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def every_method(ledger: EmbeddedLedger) -> list[Callable[[], object]]:
    return [
        ledger.chain_id,
        ledger.block,
        ledger.fees,
        lambda: ledger.code(NOWHERE),
        lambda: ledger.balance_wei(NOWHERE),
        lambda: ledger.nonce(NOWHERE),
        lambda: ledger.estimate_gas(PAY, OWNER.address()),
        lambda: ledger.call(Call(NOWHERE, b"")),
        lambda: ledger.send(b"\x02"),
        lambda: ledger.receipt(TxHash(bytes(32))),
        lambda: ledger.events(NOWHERE, (), 0, 1),
    ]


def assert_every_method_raises(ledger: EmbeddedLedger, error: type[Exception], text: str) -> None:
    for method in every_method(ledger):
        with pytest.raises(error, match=text):
            method()


class TestTheFile:
    def test_a_missing_chain_is_an_error_and_never_made(self, path: Path) -> None:
        ledger = EmbeddedLedger(path)
        assert_every_method_raises(ledger, LedgerUnavailable, "is missing; put it back")
        assert list(path.parent.iterdir()) == []

    def test_a_chain_that_vanishes_while_open_is_missed(
        self, ledger: EmbeddedLedger, path: Path
    ) -> None:
        ledger.block()
        path.unlink()
        assert_every_method_raises(ledger, LedgerUnavailable, "is missing")
        assert not path.exists()

    def test_only_its_owner_may_read_it(self, path: Path) -> None:
        mask = os.umask(0)
        try:
            ledger = make_chain(path)
            transact(ledger, OWNER, PAY)
        finally:
            os.umask(mask)
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        assert modes.pop("chain.db") == 0o600
        assert set(modes.values()) <= {0o600}

    def test_a_chain_is_never_replaced(self, ledger: EmbeddedLedger, path: Path) -> None:
        before = ledger.block(0)
        with pytest.raises(ConfigurationError, match="exists already"):
            create_embedded(path, chain_id=1, funded=[])
        assert ledger.block(0) == before
        assert [file.name for file in path.parent.iterdir() if file.name[0] == "."] == []

    def test_the_journal_of_a_lost_chain_is_not_adopted(self, path: Path) -> None:
        path.with_name("chain.db-journal").write_bytes(b"half a block")
        with pytest.raises(ConfigurationError, match="belongs to a chain that is missing"):
            make_chain(path)

    @pytest.mark.parametrize("chain_id", [0, -1])
    def test_a_chain_id_is_positive(self, path: Path, chain_id: int) -> None:
        with pytest.raises(ConfigurationError, match="positive"):
            make_chain(path, chain_id=chain_id)
        assert not path.exists()

    def test_it_can_not_be_made_in_a_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="can't be made"):
            make_chain(tmp_path / "nowhere" / "chain.db")

    def test_two_chains_of_one_id_differ_in_their_first_block(self, tmp_path: Path) -> None:
        one, other = make_chain(tmp_path / "a"), make_chain(tmp_path / "b")
        assert one.chain_id() == other.chain_id()
        assert one.block(0).hash != other.block(0).hash

    def test_a_chain_locked_beyond_the_timeout_is_unavailable_until_it_is_free(
        self, ledger: EmbeddedLedger, path: Path
    ) -> None:
        raw = sign(ledger, OWNER, PAY)
        patient = EmbeddedLedger(path, timeout_s=0.05)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(LedgerUnavailable, match=r"locked by another process for 0\.05 s"):
                patient.block()
            with pytest.raises(LedgerUnavailable, match="locked by another process"):
                patient.send(raw)
            other.execute("ROLLBACK")
        assert patient.receipt(patient.send(raw)) is not None

    def test_a_read_only_chain_is_read_and_not_written(self) -> None:
        with TemporaryDirectory() as folder:  # pytest's own folder is closed to other users
            path = Path(folder) / "chain.db"
            ledger = make_chain(path)
            raw, block = sign(ledger, OWNER, PAY), ledger.block()
            path.chmod(0o444)
            path.parent.chmod(0o555)

            def look_and_send() -> str:
                if os.geteuid() == 0:
                    os.setuid(65534)  # root may write whatever it likes
                reader = EmbeddedLedger(path)
                assert reader.block() == block
                assert reader.balance_wei(NOWHERE) == 0
                with pytest.raises(LedgerUnavailable) as caught:
                    reader.send(raw)
                return str(caught.value)

            assert "or its folder is read-only; make both writable" in in_fork(look_and_send)
            path.parent.chmod(0o755)


class TestDamage:
    def test_an_emptied_file_is_no_chain(self, ledger: EmbeddedLedger, path: Path) -> None:
        ledger.block()
        ledger.close()
        path.write_bytes(b"")
        assert_every_method_raises(
            ledger, LedgerUnavailable, "not an embedded chain, or was emptied"
        )

    def test_another_file_is_no_chain(self, path: Path) -> None:
        path.write_bytes(b"these are no pages of a database" * 200)
        assert_every_method_raises(EmbeddedLedger(path), LedgerUnavailable, "damaged")

    def test_a_newer_format_asks_for_the_newer_version(
        self, ledger: EmbeddedLedger, path: Path
    ) -> None:
        ledger.close()
        with contextlib.closing(sqlite3.connect(path)) as other:
            other.execute("PRAGMA user_version = 99")
        assert_every_method_raises(ledger, SchemaTooNew, "format 99")

    @pytest.mark.parametrize(
        "damage",
        [
            "DELETE FROM chain",
            "UPDATE chain SET chain_id = 'x'",
            "DELETE FROM blocks",
        ],
    )
    def test_a_chain_without_identity_is_damaged(
        self, ledger: EmbeddedLedger, path: Path, damage: str
    ) -> None:
        ledger.close()
        with contextlib.closing(sqlite3.connect(path)) as other:
            other.execute(damage)
            other.commit()
        with pytest.raises(LedgerUnavailable, match="damaged"):
            ledger.chain_id()

    @pytest.mark.parametrize(
        "damage",
        [
            "UPDATE nodes SET value = zeroblob(length(value)) WHERE length(key) = 32",
            "UPDATE nodes SET value = CAST(value || 'x' AS BLOB) WHERE length(key) = 32",
            "DELETE FROM nodes WHERE length(key) = 32",
            "DELETE FROM nodes",
        ],
    )
    def test_a_changed_node_is_never_believed(self, path: Path, damage: str) -> None:
        opened = open_log(path)
        ledger, sender = opened.ledger, OWNER.address()
        raw = sign(ledger, OWNER, PAY)
        with contextlib.closing(sqlite3.connect(path)) as other:
            other.execute(damage)
            other.commit()
        block = ledger.block()
        for ask in (
            lambda: ledger.balance_wei(sender),
            lambda: ledger.code(opened.contract.address),
            lambda: opened.contract.head(opened.log_id),
            lambda: ledger.estimate_gas(PAY, sender),
            lambda: ledger.send(raw),
        ):
            with pytest.raises(LedgerUnavailable, match="a stored node is missing or changed"):
                ask()
        assert ledger.block() == block

    def test_torn_pages_are_reported_as_damage(self, path: Path) -> None:
        opened = open_log(path)
        opened.ledger.close()
        content = bytearray(path.read_bytes())
        for page in range(4096, len(content), 4096):
            content[page : page + 64] = b"\xa5" * 64
        path.write_bytes(content)
        for ask in (opened.ledger.block, lambda: opened.contract.head(opened.log_id)):
            with pytest.raises(LedgerUnavailable, match="damaged"):
                ask()


class TestOtherFilesAtThePath:
    def test_another_chain_moved_there_is_refused(
        self, ledger: EmbeddedLedger, path: Path, tmp_path: Path
    ) -> None:
        ledger.block()
        stranger = tmp_path / "other.db"
        make_chain(stranger, chain_id=99).close()
        kept = path.rename(tmp_path / "kept.db")
        stranger.rename(path)
        assert_every_method_raises(ledger, WrongChain, "now holds another chain")
        kept.replace(path)
        assert ledger.chain_id() == CHAIN_ID

    def test_another_chain_copied_over_the_open_file_is_refused(
        self, ledger: EmbeddedLedger, path: Path, tmp_path: Path
    ) -> None:
        transact(ledger, OWNER, PAY)
        stranger = make_chain(tmp_path / "other.db")
        stranger.close()
        content = path.read_bytes()
        path.write_bytes((tmp_path / "other.db").read_bytes())
        assert_every_method_raises(ledger, WrongChain, "now holds another chain")
        path.write_bytes(content)
        assert ledger.block().number == 1

    @pytest.mark.parametrize("how", ["moved", "copied"])
    def test_a_restored_backup_is_picked_up(
        self, ledger: EmbeddedLedger, path: Path, tmp_path: Path, how: str
    ) -> None:
        transact(ledger, OWNER, PAY)
        backup = tmp_path / "backup.db"
        shutil.copyfile(path, backup)
        block = ledger.block()
        lost = transact(ledger, OWNER, PAY)
        if how == "moved":
            backup.replace(path)
        else:
            path.write_bytes(backup.read_bytes())
        assert ledger.block() == block
        assert ledger.receipt(lost.tx_hash) is None
        assert transact(ledger, OWNER, PAY).block_number == 2


class TestSeveralProcesses:
    def test_they_see_each_others_blocks(self, ledger: EmbeddedLedger, path: Path) -> None:
        raws = [sign(ledger, OWNER, PAY, nonce=nonce, gas_limit=21_000) for nonce in (0, 1)]
        child = python(SENDER, str(path), raws[0].hex())
        assert child.wait(60) == 0, child.communicate()
        child.communicate()
        assert ledger.balance_wei(NOWHERE) == 1
        assert ledger.receipt(ledger.send(raws[1])) is not None
        assert ledger.balance_wei(NOWHERE) == 2

    def test_their_blocks_follow_each_other_without_a_gap(self, path: Path) -> None:
        signers = [OWNER, STRANGER]
        create_embedded(path, chain_id=CHAIN_ID, funded=[s.address() for s in signers])
        ledger = EmbeddedLedger(path)
        raws = {
            s.uri: [sign(ledger, s, PAY, nonce=n, gas_limit=21_000) for n in range(20)]
            for s in signers
        }
        children = [python(SENDER, str(path), *(r.hex() for r in raw)) for raw in raws.values()]
        for child in children:
            _, error = child.communicate(timeout=60)
            assert child.returncode == 0, error
        assert ledger.block().number == 40
        assert ledger.balance_wei(NOWHERE) == 40
        blocks = [ledger.block(number) for number in range(41)]
        assert len({block.hash for block in blocks}) == 41

    def test_a_forked_child_and_its_parent_go_on(self, ledger: EmbeddedLedger) -> None:
        raws = [sign(ledger, OWNER, PAY, nonce=nonce, gas_limit=21_000) for nonce in range(3)]
        ledger.send(raws[0])

        def send_in_child() -> str:
            ledger.send(raws[1])
            return str(ledger.block().number)

        assert in_fork(send_in_child) == "2"
        ledger.send(raws[2])
        assert ledger.block().number == 3

    @pytest.mark.parametrize("step", ["embedded.block.before_commit", "embedded.block.committed"])
    def test_death_around_a_commit_leaves_one_inclusion_after_sending_again(
        self, ledger: EmbeddedLedger, path: Path, tmp_path: Path, step: str
    ) -> None:
        raw = sign(ledger, OWNER, PAY)
        script = tmp_path / "sender.py"
        script.write_text(SENDER)
        run_killed(script, str(path), raw.hex(), step_name=step)
        assert ledger.block().number == (1 if step.endswith("committed") else 0)
        first = ledger.receipt(ledger.send(raw))
        assert ledger.receipt(ledger.send(raw)) == first is not None
        assert (ledger.block().number, ledger.balance_wei(NOWHERE)) == (1, 1)
        assert ledger.nonce(OWNER.address()) == 1


class TestTimeAndCost:
    def test_blocks_are_never_ahead_of_the_clock_and_never_go_back(self, path: Path) -> None:
        clock = TurnedClock(1_000_000)
        create_embedded(path, chain_id=1, funded=[OWNER.address()], clock=clock)
        ledger = EmbeddedLedger(path, clock=clock)
        assert ledger.block().timestamp_s == 1_000_000
        times = []
        for now_s in (1_000_000, 1_000_000, 1_000_007, 900_000, 1_000_006, 1_000_008):
            clock.now_s = now_s
            transact(ledger, OWNER, PAY)
            times.append(ledger.block().timestamp_s)
        assert times == [1_000_000, 1_000_000, 1_000_007, 1_000_007, 1_000_007, 1_000_008]

    def test_a_view_runs_at_the_present_time(self, path: Path) -> None:
        clock = TurnedClock(1_000_000)
        create_embedded(path, chain_id=1, funded=[OWNER.address()], clock=clock)
        ledger = EmbeddedLedger(path, clock=clock)
        runtime = "4260005260206000f3"  # TIMESTAMP; MSTORE at 0; RETURN 32 bytes
        deploy = bytes.fromhex("68" + runtime + "60005260096017f3")  # PUSH9; MSTORE; RETURN it
        address = transact(ledger, OWNER, Call(None, deploy)).contract_address
        assert address is not None
        clock.now_s = 1_000_500
        assert int.from_bytes(ledger.call(Call(address, b"")), "big") == 1_000_500
        assert int.from_bytes(ledger.call(Call(address, b""), at=1), "big") == 1_000_000

    def test_gas_is_free(self, ledger: EmbeddedLedger) -> None:
        before = ledger.balance_wei(OWNER.address())
        deploy_event_log(ledger)
        assert ledger.balance_wei(OWNER.address()) == before
        assert ledger.fees().max_fee_wei == ledger.block().base_fee_wei == 0

    def test_an_account_without_funds_may_still_transact(self, ledger: EmbeddedLedger) -> None:
        assert transact(ledger, STRANGER, Call(NOWHERE, b"")).succeeded

    def test_a_committed_block_is_final(self, ledger: EmbeddedLedger) -> None:
        transact(ledger, OWNER, PAY)
        latest: Block = ledger.block()
        assert ledger.block("finalized") == latest

    def test_a_nonce_gap_is_refused_as_nothing_waits_here(self, ledger: EmbeddedLedger) -> None:
        with pytest.raises(TransactionRejected) as caught:
            ledger.send(sign(ledger, OWNER, PAY, nonce=1))
        assert caught.value.reason == "nonce_gap"

    @pytest.mark.parametrize("gas_limit", [20_999, 30_000_001])
    def test_a_gas_limit_out_of_bounds_is_refused(
        self, ledger: EmbeddedLedger, gas_limit: int
    ) -> None:
        with pytest.raises(TransactionRejected) as caught:
            ledger.send(sign(ledger, OWNER, PAY, gas_limit=gas_limit))
        assert caught.value.reason == "gas_limit"
