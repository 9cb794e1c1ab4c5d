"""Two implementations of RFC 9162, ours in Python and ours in the contract, give one verdict."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_client.errors import (
    CallReverted,
    ConsistencyFailed,
    ContractReverted,
    InclusionFailed,
)
from chain_client.ledger.event_log import EventLogContract, Head, deploy_call, explain
from chain_client.merkle import (
    EMPTY_ROOT,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root,
    verify_consistency,
    verify_inclusion,
)
from chain_client.types import Digest, LeafHash, LogId
from tests.embedded_chains import OWNER, WRITER, OpenedLog, deploy_event_log, make_chain, transact
from tests.strategies import examples, leaf_hashes


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenedLog]:
    """A chain and a contract; whoever needs an empty log opens one more."""
    ledger = make_chain(tmp_path_factory.mktemp("agreement") / "chain.db")
    contract = deploy_event_log(ledger)
    yield another_log(OpenedLog(ledger, contract, LogId(bytes(32))))
    ledger.close()


def another_log(opened: OpenedLog) -> OpenedLog:
    log_id = LogId(secrets.token_bytes(32))
    receipt = transact(
        opened.ledger, OWNER, opened.contract.open_log_call(log_id, WRITER.address())
    )
    assert receipt.succeeded
    return replace(opened, log_id=log_id)


def anchor(opened: OpenedLog, size: int, new_root: Digest, proof: Sequence[bytes]) -> int:
    """Anchors a head, and gives the gas it took."""
    call = opened.contract.anchor_call(opened.log_id, size, new_root, proof)
    receipt = transact(opened.ledger, WRITER, call)
    assert receipt.succeeded
    return receipt.gas_used


def refusal(opened: OpenedLog, size: int, new_root: Digest, proof: Sequence[bytes]) -> str | None:
    """Name of the error with which the contract would refuse a head; None if it wouldn't."""
    call = opened.contract.anchor_call(opened.log_id, size, new_root, proof)
    try:
        opened.ledger.call(call, sender=WRITER.address())
    except CallReverted as exc:
        return explain(exc).name
    return None


@dataclass(frozen=True, slots=True)
class Claim:
    """A root and a proof that may be forged."""

    root: Digest
    proof: list[Digest]


@st.composite
def forgeries(draw: st.DrawFn, honest: Claim) -> Claim:
    """Something else than an honest claim, most often close to it."""
    nodes = list(honest.proof)
    places = st.integers(0, max(0, len(nodes) - 1))
    kinds = ["flip", "drop", "insert", "swap", "repeat"] if nodes else ["insert"]
    kind = draw(st.sampled_from([*kinds, "root"]))
    place = draw(places)
    if kind == "root":
        return Claim(flipped(draw, honest.root), nodes)
    if kind == "flip":
        nodes[place] = flipped(draw, nodes[place])
    elif kind == "drop":
        del nodes[place]
    elif kind == "insert":
        extra = draw(st.sampled_from([honest.root, EMPTY_ROOT, Digest(bytes(32)), *nodes]))
        nodes.insert(draw(st.integers(0, len(nodes))), extra)
    elif kind == "swap":
        other = draw(places)
        nodes[place], nodes[other] = nodes[other], nodes[place]
    else:
        nodes[draw(places)] = nodes[place]
    return Claim(honest.root, nodes)


def flipped(draw: st.DrawFn, digest: bytes) -> Digest:
    place, mask = draw(st.integers(0, 31)), draw(st.integers(1, 255))
    changed = bytearray(digest)
    changed[place] ^= mask
    return Digest(bytes(changed))


@given(leaves=leaf_hashes(min_size=2), data=st.data())
@settings(max_examples=examples(20))
def test_every_head_of_a_growing_tree_is_anchored_and_forgeries_are_not(
    opened: OpenedLog, leaves: list[bytes], data: st.DataObject
) -> None:
    log = another_log(opened)
    sizes = sorted(data.draw(st.sets(st.integers(1, len(leaves)), min_size=2, max_size=4)))
    old = 0
    for size in sizes:
        new_root = root(leaves[:size])
        proof = consistency_proof(leaves, old, size) if old else []
        if old:
            old_root = root(leaves[:old])
            forged = data.draw(forgeries(Claim(new_root, proof)))
            assert refusal(log, size, forged.root, forged.proof) == (
                None if python_accepts_head(old, size, old_root, forged) else "InconsistentHead"
            )
            assert python_accepts_head(old, size, old_root, Claim(new_root, proof))
        anchor(log, size, new_root, proof)
        assert log.contract.head(log.log_id) == Head(
            size, new_root, log.ledger.block("latest").number
        )
        assert refusal(log, size, new_root, proof) == "AlreadyAnchored"
        assert refusal(log, size, EMPTY_ROOT, proof) == "NotGrowing"
        assert refusal(log, size - 1, new_root, proof) == "NotGrowing"
        old = size
    assert [found.head.size for found in log.contract.heads(log.log_id, 0, 10**9)] == sizes


def python_accepts_head(old: int, size: int, old_root: Digest, claim: Claim) -> bool:
    try:
        verify_consistency(old, size, old_root, claim.root, claim.proof)
    except ConsistencyFailed:
        return False
    return True


@given(leaves=leaf_hashes(min_size=1), data=st.data())
@settings(max_examples=examples(20))
def test_every_leaf_is_included_and_forgeries_are_not(
    opened: OpenedLog, leaves: list[bytes], data: st.DataObject
) -> None:
    log = another_log(opened)
    size = len(leaves)
    new_root = root(leaves)
    anchor(log, size, new_root, [])
    for _ in range(6):
        index = data.draw(st.integers(0, size - 1))
        leaf = LeafHash(leaves[index])
        honest = Claim(new_root, inclusion_proof(leaves, index))
        assert python_accepts_leaf(leaf, index, size, honest)
        assert log.contract.verify_inclusion(log.log_id, leaf, index, honest.proof)
        forged = data.draw(forgeries(honest))
        claimed_index = data.draw(st.integers(0, size + 2) | st.just(index))
        claim = Claim(new_root, forged.proof)
        assert log.contract.verify_inclusion(
            log.log_id, leaf, claimed_index, claim.proof
        ) == python_accepts_leaf(leaf, claimed_index, size, claim)


def python_accepts_leaf(leaf: LeafHash, index: int, size: int, claim: Claim) -> bool:
    try:
        verify_inclusion(leaf, index, size, claim.proof, claim.root)
    except InclusionFailed:
        return False
    return True


def test_the_empty_log_has_the_root_of_the_empty_tree(opened: OpenedLog) -> None:
    log = another_log(opened)
    assert log.contract.head(log.log_id).root == EMPTY_ROOT == root([])
    assert refusal(log, 1, root([leaf_hash(b"a")]), [EMPTY_ROOT]) == "InconsistentHead"
    assert refusal(log, 2**48, EMPTY_ROOT, []) == "SizeTooLarge"
    assert refusal(log, 2**48 - 1, EMPTY_ROOT, []) is None


def test_a_closed_log_keeps_its_head_and_proves_its_leaves(opened: OpenedLog) -> None:
    log = another_log(opened)
    leaves = [leaf_hash(bytes([number])) for number in range(5)]
    anchor(log, 5, root(leaves), [])
    head = log.contract.head(log.log_id)
    successor = LogId(secrets.token_bytes(32))
    call = log.contract.succeed_log_call(
        log.log_id, successor, WRITER.address(), Digest(b"\x09" * 32)
    )
    assert transact(log.ledger, OWNER, call).succeeded
    assert log.contract.head(log.log_id) == head
    assert log.contract.log(log.log_id).writer is None
    assert log.contract.current_log(log.log_id) == successor
    assert log.contract.verify_inclusion(log.log_id, leaves[3], 3, inclusion_proof(leaves, 3))
    assert refusal(log, 6, root(leaves), []) == "LogClosed"


def test_an_unknown_log_is_an_error_in_every_view(opened: OpenedLog) -> None:
    contract, unknown = opened.contract, LogId(b"\x01" * 32)
    for ask in (
        lambda: contract.head(unknown),
        lambda: contract.log(unknown),
        lambda: contract.current_log(unknown),
        lambda: contract.verify_inclusion(unknown, LeafHash(bytes(32)), 0, []),
    ):
        with pytest.raises(ContractReverted) as caught:
            ask()
        assert caught.value.name == "UnknownLog"


def test_deployment_takes_less_than_a_million_and_a_quarter_gas(opened: OpenedLog) -> None:
    receipt = transact(opened.ledger, OWNER, deploy_call(OWNER.address()))
    assert receipt.contract_address is not None
    assert EventLogContract(opened.ledger, receipt.contract_address).logs() == []
    print("deploy, gas:", receipt.gas_used)
    assert receipt.gas_used < 1_250_000
