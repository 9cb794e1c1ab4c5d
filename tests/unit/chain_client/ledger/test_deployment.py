"""The deployment: its file, making it, and checking it against the chain."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from chain_client.errors import (
    ChainError,
    ConfigurationError,
    ContractMissing,
    ContractReverted,
    HomeMissing,
    HomeNotWritable,
    LedgerUnavailable,
    LogMismatch,
    SchemaTooNew,
    WrongChain,
)
from chain_client.ledger import Call, EmbeddedLedger
from chain_client.ledger.deployment import (
    DEPLOY_PURPOSE,
    OPEN_LOG_PURPOSE,
    Deployment,
    check_deployment,
    deploy,
)
from chain_client.ledger.event_log import EventLogContract, deploy_call
from chain_client.transactions import TransactionQueue
from chain_client.types import Address, Digest, LogId, to_hex
from tests.embedded_chains import CHAIN_ID, OWNER, STRANGER, WRITER, make_chain
from tests.queues import make_log, own

NOWHERE = Address(b"\1" * 20)
SAMPLE = Deployment(
    deployment_id="ab" * 16,
    ledger_url="embedded:chain.db",
    chain_id=CHAIN_ID,
    event_log=NOWHERE,
    code_hash=Digest(b"\2" * 32),
    log_id=LogId(b"\3" * 32),
    owner=OWNER.address(),
    writer=WRITER.address(),
    block_number=2,
)
WITH_REGISTRY = replace(
    SAMPLE,
    registry=Address(b"\4" * 20),
    registry_code_hash=Digest(b"\5" * 32),
    registry_salt_hash=Digest(b"\7" * 32),
    registry_block=3,
    timelock=Address(b"\6" * 20),
)


@dataclass(frozen=True)
class Place:
    """Where a home is to be made."""

    path: Path
    ledger: EmbeddedLedger
    queue: TransactionQueue

    def deploy(self, writer: Address = WRITER.address()) -> Deployment:  # noqa: B008 - frozen
        return deploy(
            self.path,
            ledger=self.ledger,
            ledger_url="embedded:chain.db",
            queue=self.queue,
            writer=writer,
        )


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    ledger = make_chain(tmp_path / "chain.db")
    owner = own(make_log(tmp_path), ledger)
    yield Place(tmp_path / "deployment.json", ledger, owner.queue)
    owner.log.close()
    ledger.close()


class TestFile:
    def test_what_is_written_is_read_again(self, tmp_path: Path) -> None:
        path = tmp_path / "deployment.json"
        mask = os.umask(0o022)
        try:
            SAMPLE.write(path)
        finally:
            os.umask(mask)
        assert Deployment.read(path) == Deployment.from_json(SAMPLE.to_json()) == SAMPLE
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        assert list(tmp_path.iterdir()) == [path]

    def test_the_format_is_what_others_may_read(self) -> None:
        assert json.loads(SAMPLE.to_json()) == {
            "schema_version": 2,
            "deployment_id": "ab" * 16,
            "ledger_url": "embedded:chain.db",
            "chain_id": CHAIN_ID,
            "event_log": to_hex(NOWHERE),
            "code_hash": "0x" + "02" * 32,
            "log_id": "0x" + "03" * 32,
            "owner": to_hex(OWNER.address()),
            "writer": to_hex(WRITER.address()),
            "block_number": 2,
            "registry": None,
            "registry_code_hash": None,
            "registry_salt_hash": None,
            "registry_block": None,
            "timelock": None,
        }
        content = json.loads(WITH_REGISTRY.to_json())
        assert content["registry"] == "0x" + "04" * 20
        assert content["registry_code_hash"] == "0x" + "05" * 32
        assert content["registry_salt_hash"] == "0x" + "07" * 32
        assert (content["registry_block"], content["timelock"]) == (3, "0x" + "06" * 20)

    @pytest.mark.parametrize(
        "deployment", [SAMPLE, WITH_REGISTRY, replace(WITH_REGISTRY, timelock=None)]
    )
    def test_a_registry_and_its_timelock_may_be_missing(self, deployment: Deployment) -> None:
        assert Deployment.from_json(deployment.to_json()) == deployment

    def test_a_file_of_the_first_version_has_no_registry(self) -> None:
        content = json.loads(SAMPLE.to_json())
        for name in [name for name in content if name.startswith("registry")] + ["timelock"]:
            del content[name]
        content["schema_version"] = 1
        assert Deployment.from_json(json.dumps(content)) == SAMPLE

    def test_a_newer_file_asks_for_the_newer_version(self, tmp_path: Path) -> None:
        path = tmp_path / "deployment.json"
        path.write_text(json.dumps({"schema_version": 3, "something": "else"}))
        with pytest.raises(SchemaTooNew, match=r"deployment\.json: .* schema version 3"):
            Deployment.read(path)

    @pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '"x"', "{}", "\0"])
    def test_other_text_is_damaged(self, text: str) -> None:
        with pytest.raises(ConfigurationError, match="damaged"):
            Deployment.from_json(text)

    @pytest.mark.parametrize("name", json.loads(WITH_REGISTRY.to_json()))
    def test_a_missing_or_nonsensical_part_is_named(self, name: str) -> None:
        content: dict[str, Any] = json.loads(WITH_REGISTRY.to_json())
        nonsense: list[Any] = ["", [], True, -1, 1.5] + ([] if name == "timelock" else [None])
        if name not in ("deployment_id", "ledger_url"):
            nonsense += ["0xzz", "0x00"]
        for value in nonsense:
            with pytest.raises(ConfigurationError, match=name):
                Deployment.from_json(json.dumps(content | {name: value}))
        del content[name]
        with pytest.raises(ConfigurationError, match=name):
            Deployment.from_json(json.dumps(content))

    def test_a_missing_or_unreadable_file_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(HomeMissing, match="run mlops-chain init"):
            Deployment.read(tmp_path / "deployment.json")
        with pytest.raises(ConfigurationError, match="can't be read"):
            Deployment.read(tmp_path)
        (tmp_path / "bytes").write_bytes(b"\xff\xfe")
        with pytest.raises(ConfigurationError, match="can't be read"):
            Deployment.read(tmp_path / "bytes")

    def test_a_folder_that_can_not_be_written_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(HomeNotWritable, match="can't be written"):
            SAMPLE.write(tmp_path / "missing" / "deployment.json")
        (tmp_path / "folder").mkdir()
        with pytest.raises(HomeNotWritable, match="can't be written"):
            SAMPLE.write(tmp_path / "folder")
        assert [file.name for file in tmp_path.iterdir()] == ["folder"]

    @pytest.mark.parametrize(
        ("url", "absolute"),
        [
            ("embedded:chain.db", "embedded:/srv/home/chain.db"),
            ("embedded:/data/chain.db", "embedded:/data/chain.db"),
            ("https://node.example", "https://node.example"),
        ],
    )
    def test_only_an_embedded_path_belongs_to_the_home(self, url: str, absolute: str) -> None:
        assert replace(SAMPLE, ledger_url=url).to_absolute_url(Path("/srv/home")) == absolute


class TestDeploy:
    def test_one_contract_and_one_log_are_made(self, place: Place) -> None:
        made = place.deploy()
        contract = EventLogContract(place.ledger, made.event_log)
        assert contract.logs() == [made.log_id]
        assert contract.owner() == made.owner == OWNER.address()
        assert contract.log(made.log_id).writer == made.writer == WRITER.address()
        assert contract.log(made.log_id).opened_block == made.block_number == 2
        assert place.ledger.nonce(OWNER.address()) == 2
        assert (made.chain_id, made.ledger_url) == (CHAIN_ID, "embedded:chain.db")
        check_deployment(place.ledger, made)

    def test_again_it_is_only_read(self, place: Place) -> None:
        assert place.deploy() == place.deploy() == Deployment.read(place.path)
        assert place.ledger.nonce(OWNER.address()) == 2

    def test_a_lost_file_is_made_again_from_what_was_sent(self, place: Place) -> None:
        made = place.deploy()
        place.path.unlink()
        assert place.deploy() == made
        assert place.ledger.nonce(OWNER.address()) == 2

    def test_a_failed_deployment_is_not_taken_for_one(self, place: Place) -> None:
        tx_id = place.queue.submit(deploy_call(OWNER.address()), DEPLOY_PURPOSE, gas_limit=300_000)
        with pytest.raises(ContractReverted):
            place.queue.settle(tx_id)
        made = place.deploy()
        check_deployment(place.ledger, made)
        assert place.ledger.nonce(OWNER.address()) == 3

    def test_a_failed_opening_is_not_taken_for_one(self, place: Place) -> None:
        call = EventLogContract(place.ledger, NOWHERE).open_log_call(SAMPLE.log_id, NOWHERE)
        contract = place.queue.submit(deploy_call(OWNER.address()), DEPLOY_PURPOSE)
        address = place.queue.settle(contract).receipt.contract_address
        failing = Call(address, call.data)
        purpose = OPEN_LOG_PURPOSE + to_hex(SAMPLE.log_id)
        tx_id = place.queue.submit(failing, purpose, gas_limit=30_000)
        with pytest.raises(ContractReverted):
            place.queue.settle(tx_id)
        made = place.deploy()
        assert EventLogContract(place.ledger, made.event_log).logs() == [made.log_id]
        assert made.log_id != SAMPLE.log_id

    def test_other_code_than_ours_is_refused(self, place: Place) -> None:
        place.queue.submit(Call(None, bytes.fromhex("600160005360016000f3")), DEPLOY_PURPOSE)
        with pytest.raises(ContractMissing, match="its code is not on the chain"):
            place.deploy()
        assert not place.path.exists()

    def test_another_writer_than_the_logs_is_refused(self, place: Place) -> None:
        place.deploy()
        place.path.unlink()
        with pytest.raises(ConfigurationError, match="put the writer's keystore back"):
            place.deploy(STRANGER.address())
        assert not place.path.exists()

    def test_a_missing_chain_leaves_no_file(self, place: Place) -> None:
        chain = Path(place.ledger.url.removeprefix("embedded:"))
        place.ledger.close()
        chain.unlink()
        with pytest.raises(LedgerUnavailable):
            place.deploy()
        assert not place.path.exists()


def test_a_deployment_that_the_chain_does_not_hold_is_refused(place: Place, tmp_path: Path) -> None:
    made = place.deploy()
    cases: list[tuple[Deployment, type[ChainError], str]] = [
        (replace(made, chain_id=CHAIN_ID + 1), WrongChain, "is chain 1234567, but"),
        (replace(made, event_log=NOWHERE), ContractMissing, "no contract at 0x0101"),
        (replace(made, code_hash=Digest(bytes(32))), ContractMissing, "has the code 0x"),
        (replace(made, log_id=LogId(b"\7" * 32)), LogMismatch, "does not hold the log 0x0707"),
    ]
    for deployment, error, text in cases:
        with pytest.raises(error, match=text):
            check_deployment(place.ledger, deployment)
    replaced = make_chain(tmp_path / "other.db")
    with pytest.raises(ContractMissing, match="replaced or restored from an old copy"):
        check_deployment(replaced, made)
    with pytest.raises(LedgerUnavailable):
        check_deployment(EmbeddedLedger(tmp_path / "missing.db"), made)
