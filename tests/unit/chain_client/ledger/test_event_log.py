"""The binding of `EventLog`, against the real bytecode on an embedded chain."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from chain_client.errors import CallReverted, ContractMissing, ContractReverted
from chain_client.ledger import EmbeddedLedger
from chain_client.ledger.base import Call
from chain_client.ledger.event_log import EventLogContract, Head, LogInfo, explain
from chain_client.merkle import consistency_proof, inclusion_proof, leaf_hash, root
from chain_client.signing import Signer
from chain_client.types import Address, Digest, LeafHash, LogId
from tests.embedded_chains import (
    OWNER,
    STRANGER,
    WRITER,
    OpenedLog,
    make_chain,
    open_log,
    transact,
)

LEAVES = [leaf_hash(b"%d" % number) for number in range(70)]
OTHER = LogId(b"\x0b" * 32)
UNKNOWN = LogId(b"\x0c" * 32)
REASON = Digest(b"\x0d" * 32)


@pytest.fixture(scope="module")
def _chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "chain.db"
    opened = open_log(path)
    path.with_name("address").write_bytes(opened.contract.address + opened.log_id)
    opened.ledger.close()
    return path


@pytest.fixture
def log(_chain: Path, tmp_path: Path) -> OpenedLog:
    """A fresh copy of a chain with an open, empty log."""
    path = tmp_path / "chain.db"
    path.write_bytes(_chain.read_bytes())
    made = _chain.with_name("address").read_bytes()
    ledger = EmbeddedLedger(path)
    return OpenedLog(ledger, EventLogContract(ledger, Address(made[:20])), LogId(made[20:]))


def anchor_call(log: OpenedLog, old: int, new: int) -> Call:
    proof = consistency_proof(LEAVES, old, new) if old else []
    return log.contract.anchor_call(log.log_id, new, root(LEAVES[:new]), proof)


def refusal(log: OpenedLog, signer: Signer, call: Call) -> ContractReverted:
    with pytest.raises(CallReverted) as caught:
        log.ledger.estimate_gas(call, signer.address())
    return explain(caught.value)


def test_a_new_log_is_empty_and_known(log: OpenedLog) -> None:
    opened = log.ledger.block().number
    assert log.contract.head(log.log_id) == Head(0, root([]), opened)
    assert log.contract.log(log.log_id) == LogInfo(
        log.log_id, WRITER.address(), opened, None, None, None, None
    )
    assert log.contract.logs() == [log.log_id]
    assert log.contract.current_log(log.log_id) == log.log_id
    assert log.contract.owner() == OWNER.address()


def test_heads_grow_by_proofs_and_are_found_in_events(log: OpenedLog) -> None:
    sizes = [0, 1, 2, 3, 7, 8, 64, 70]
    receipts = [
        transact(log.ledger, WRITER, anchor_call(log, old, new))
        for old, new in itertools.pairwise(sizes)
    ]
    assert all(receipt.succeeded for receipt in receipts)
    heads = [
        Head(size, root(LEAVES[:size]), receipt.block_number)
        for size, receipt in zip(sizes[1:], receipts)
    ]
    assert log.contract.head(log.log_id) == heads[-1]
    latest = log.ledger.block().number
    found = log.contract.heads(log.log_id, 0, latest)
    assert [row.head for row in found] == heads
    assert [row.tx_hash for row in found] == [receipt.tx_hash for receipt in receipts]
    middle = receipts[3].block_number
    assert [r.head for r in log.contract.heads(log.log_id, middle, middle)] == [heads[3]]
    assert log.contract.head(log.log_id, at=middle) == heads[3]
    assert log.contract.heads(UNKNOWN, 0, latest) == []


def crafted(log: OpenedLog) -> dict[str, Call]:
    """Anchors from 7 to 20 leaves that must not pass."""
    good, head = consistency_proof(LEAVES, 7, 20), root(LEAVES[:20])

    def to(proof: list[Digest], size: int = 20, new_root: Digest = head) -> Call:
        return log.contract.anchor_call(log.log_id, size, new_root, proof)

    flipped = Digest(bytes([good[1][0] ^ 1]) + good[1][1:])
    rewritten = [leaf_hash(b"rewritten"), *LEAVES[1:]]
    return {
        "no proof": to([]),
        "short": to(good[:-1]),
        "long": to([*good, good[-1]]),
        "reversed": to(good[::-1]),
        "one bit": to([good[0], flipped, *good[2:]]),
        "other root": to(good, new_root=root(LEAVES[:21])),
        "other size": to(good, size=40),
        "zero root": to(good, new_root=Digest(bytes(32))),
        "rewritten past": to(consistency_proof(rewritten, 7, 20), new_root=root(rewritten[:20])),
        "of another old size": to(consistency_proof(LEAVES, 8, 20)),
    }


@pytest.fixture
def grown(log: OpenedLog) -> OpenedLog:
    """The log with 7 leaves."""
    transact(log.ledger, WRITER, anchor_call(log, 0, 7))
    return log


def test_crafted_proofs_are_refused_and_change_nothing(grown: OpenedLog) -> None:
    before = grown.contract.head(grown.log_id)
    for what, call in crafted(grown).items():
        assert refusal(grown, WRITER, call).name == "InconsistentHead", what
    receipt = transact(grown.ledger, WRITER, crafted(grown)["one bit"], gas_limit=1_000_000)
    assert not receipt.succeeded
    assert receipt.events == ()
    assert grown.contract.head(grown.log_id) == before
    assert transact(grown.ledger, WRITER, anchor_call(grown, 7, 20)).succeeded


REFUSED: list[tuple[str, Signer, Callable[[OpenedLog], Call]]] = [
    ("NotWriter", OWNER, lambda log: anchor_call(log, 7, 8)),
    ("NotWriter", STRANGER, lambda log: anchor_call(log, 7, 8)),
    ("AlreadyAnchored", WRITER, lambda log: anchor_call(log, 7, 7)),
    ("NotGrowing", WRITER, lambda log: log.contract.anchor_call(log.log_id, 7, REASON, [])),
    ("NotGrowing", WRITER, lambda log: anchor_call(log, 0, 6)),
    ("NotGrowing", WRITER, lambda log: anchor_call(log, 0, 0)),
    (
        "SizeTooLarge",
        WRITER,
        lambda log: log.contract.anchor_call(log.log_id, 2**64 - 1, REASON, []),
    ),
    ("UnknownLog", WRITER, lambda log: log.contract.anchor_call(UNKNOWN, 1, REASON, [])),
    ("LogExists", OWNER, lambda log: log.contract.open_log_call(log.log_id, WRITER.address())),
    (
        "ZeroLogId",
        OWNER,
        lambda log: log.contract.open_log_call(LogId(bytes(32)), WRITER.address()),
    ),
    ("ZeroAddress", OWNER, lambda log: log.contract.open_log_call(OTHER, Address(bytes(20)))),
    (
        "OwnableUnauthorizedAccount",
        WRITER,
        lambda log: log.contract.open_log_call(OTHER, WRITER.address()),
    ),
    (
        "OwnableUnauthorizedAccount",
        WRITER,
        lambda log: log.contract.rotate_writer_call(log.log_id, STRANGER.address()),
    ),
    ("UnknownLog", OWNER, lambda log: log.contract.rotate_writer_call(UNKNOWN, WRITER.address())),
    (
        "ZeroAddress",
        OWNER,
        lambda log: log.contract.rotate_writer_call(log.log_id, Address(bytes(20))),
    ),
    (
        "LogExists",
        OWNER,
        lambda log: log.contract.succeed_log_call(log.log_id, log.log_id, WRITER.address(), REASON),
    ),
    (
        "UnknownLog",
        OWNER,
        lambda log: log.contract.succeed_log_call(UNKNOWN, OTHER, WRITER.address(), REASON),
    ),
    (
        "OwnableUnauthorizedAccount",
        STRANGER,
        lambda log: log.contract.succeed_log_call(log.log_id, OTHER, STRANGER.address(), REASON),
    ),
]


def test_each_refusal_has_its_name(grown: OpenedLog) -> None:
    for name, signer, call in REFUSED:
        assert refusal(grown, signer, call(grown)).name == name


def test_a_rotated_writer_takes_over(grown: OpenedLog) -> None:
    call = grown.contract.rotate_writer_call(grown.log_id, STRANGER.address())
    assert transact(grown.ledger, OWNER, call).succeeded
    assert grown.contract.log(grown.log_id).writer == STRANGER.address()
    assert refusal(grown, WRITER, anchor_call(grown, 7, 9)).name == "NotWriter"
    assert transact(grown.ledger, STRANGER, anchor_call(grown, 7, 9)).succeeded
    assert grown.contract.head(grown.log_id).size == 9


def test_a_succeeded_log_keeps_its_last_head_and_takes_no_more(grown: OpenedLog) -> None:
    contract, ledger = grown.contract, grown.ledger
    last = contract.head(grown.log_id)
    call = contract.succeed_log_call(grown.log_id, OTHER, STRANGER.address(), REASON)
    closed = transact(ledger, OWNER, call).block_number
    old, new = contract.log(grown.log_id), contract.log(OTHER)
    assert (old.writer, old.successor, old.closed_block, old.reason) == (
        None,
        OTHER,
        closed,
        REASON,
    )
    assert (new.writer, new.predecessor, new.successor) == (STRANGER.address(), grown.log_id, None)
    assert contract.head(grown.log_id) == last
    assert contract.head(OTHER).size == 0
    assert contract.logs() == [grown.log_id, OTHER]
    assert contract.current_log(grown.log_id) == contract.current_log(OTHER) == OTHER
    assert refusal(grown, WRITER, anchor_call(grown, 7, 9)).name == "LogClosed"
    again = contract.succeed_log_call(grown.log_id, UNKNOWN, WRITER.address(), REASON)
    assert refusal(grown, OWNER, again).name == "LogClosed"
    rotate = contract.rotate_writer_call(grown.log_id, WRITER.address())
    assert refusal(grown, OWNER, rotate).name == "LogClosed"


def test_the_contract_checks_inclusion(log: OpenedLog) -> None:
    transact(log.ledger, WRITER, anchor_call(log, 0, 70))
    check = log.contract.verify_inclusion
    for index in (0, 1, 63, 64, 69):
        proof = inclusion_proof(LEAVES, index, 70)
        assert check(log.log_id, LEAVES[index], index, proof)
        assert not check(log.log_id, LEAVES[index], index, proof[:-1])
        assert not check(log.log_id, LEAVES[index], index, [*proof, proof[0]])
        assert not check(log.log_id, LEAVES[(index + 1) % 70], index, proof)
        assert not check(log.log_id, LEAVES[index], (index + 1) % 70, proof)
        flipped = bytes([proof[0][0] ^ 1]) + proof[0][1:]
        assert not check(log.log_id, LEAVES[index], index, [flipped, *proof[1:]])
    assert not check(log.log_id, LEAVES[0], 70, inclusion_proof(LEAVES, 0, 70))
    # a node of the tree is no leaf
    assert not check(log.log_id, LeafHash(root(LEAVES[:64])), 0, [root(LEAVES[64:70])])


def test_an_unknown_log_is_refused_by_every_view(log: OpenedLog) -> None:
    views: list[Callable[[], object]] = [
        lambda: log.contract.head(UNKNOWN),
        lambda: log.contract.log(UNKNOWN),
        lambda: log.contract.current_log(UNKNOWN),
        lambda: log.contract.verify_inclusion(UNKNOWN, LEAVES[0], 0, []),
    ]
    for view in views:
        with pytest.raises(ContractReverted, match="0x0c0c") as caught:
            view()
        assert caught.value.name == "UnknownLog"


def test_an_address_without_the_contract_is_told(tmp_path: Path) -> None:
    ledger = make_chain(tmp_path / "chain.db")
    nowhere = EventLogContract(ledger, Address(b"\1" * 20))
    for view in (nowhere.logs, nowhere.owner, lambda: nowhere.head(UNKNOWN)):
        with pytest.raises(ContractMissing, match="no EventLog contract answers at 0x0101"):
            view()
