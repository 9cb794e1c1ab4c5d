"""Evidence of format 1, made once: every later version must still verify it.

The files are never edited after a release. `plain_format` checks them without our code, then
our code must say the same.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chain_client import merkle
from chain_client.commitments import commit_items, leaf_data, prove_item, seal, verify_item
from chain_client.errors import ConsistencyFailed, InclusionFailed
from chain_client.event_codec import decode_event, encode_event
from chain_client.events import OutcomeStatus
from tests.golden.v1 import plain_format as plain

HERE = Path(__file__).parent


def load(name: str) -> Any:
    return json.loads((HERE / name).read_text("utf-8"))


LEAVES: list[dict[str, Any]] = load("leaves.json")
ITEMS: list[dict[str, Any]] = load("items.json")
TREE: dict[str, list[Any]] = load("tree.json")
HASHES = [plain.from_hex(text) for text in TREE["leaf_hashes"]]
ROOTS = [plain.from_hex(text) for text in TREE["roots"]]


def raw(proof: list[str]) -> list[bytes]:
    return [plain.from_hex(text) for text in proof]


def test_the_evidence_covers_every_status() -> None:
    assert {json.loads(leaf["event"])[6] for leaf in LEAVES} == set(OutcomeStatus)


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf["case"])
def test_leaves_without_our_code(leaf: dict[str, Any]) -> None:
    data = plain.leaf_data(json.loads(leaf["event"]), plain.from_hex(leaf["seed"]))
    assert data == leaf["leaf_data"].encode()
    assert plain.to_hex(plain.leaf_hash(data)) == leaf["leaf_hash"]


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf["case"])
def test_leaves_with_our_code(leaf: dict[str, Any]) -> None:
    event, seed = decode_event(leaf["event"].encode()), plain.from_hex(leaf["seed"])
    assert leaf_data(event, seed) == leaf["leaf_data"].encode()
    assert seal(event, seed) == plain.from_hex(leaf["leaf_hash"])
    assert encode_event(event) == leaf["event"].encode()


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: f"{item['case']} {item['index']}")
def test_disclosed_items_with_and_without_our_code(item: dict[str, Any]) -> None:
    (leaf,) = (leaf for leaf in LEAVES if leaf["case"] == item["case"])
    shown = json.loads(leaf["leaf_data"])["fields"][item["field"]]
    assert shown == {"items": item["size"], "root": item["root"]}
    salt, root, proof = (
        plain.from_hex(item["salt"]),
        plain.from_hex(item["root"]),
        raw(item["proof"]),
    )
    value, index, size = json.loads(item["item"]), item["index"], item["size"]
    assert plain.root_of_path(plain.item_leaf(salt, value), index, size, proof) == root
    verify_item(salt, value, index, size, proof, root)
    with pytest.raises(InclusionFailed):
        verify_item(salt, [*value, 0], index, size, proof, root)

    seed = plain.from_hex(leaf["seed"])
    items = plain.fields_of(json.loads(leaf["event"]))[item["field"]]
    assert prove_item(seed, item["field"], items, index) == (salt, proof)
    assert commit_items(seed, item["field"], items) == root


def test_the_tree_is_over_the_leaves() -> None:
    assert TREE["leaf_hashes"] == [leaf["leaf_hash"] for leaf in LEAVES]
    for size, root in enumerate(ROOTS):
        assert plain.root(HASHES[:size]) == merkle.root(HASHES[:size]) == root


def test_inclusion_proofs_with_and_without_our_code() -> None:
    for entry in TREE["inclusion"]:
        index, size, proof = entry["index"], entry["size"], raw(entry["proof"])
        leaf, root = HASHES[index], ROOTS[size]
        assert plain.root_of_path(leaf, index, size, proof) == root
        merkle.verify_inclusion(leaf, index, size, proof, root)
        assert merkle.inclusion_proof(HASHES, index, size) == proof
        with pytest.raises(InclusionFailed):
            merkle.verify_inclusion(leaf, index, size, proof, ROOTS[size - 1])


def test_consistency_proofs() -> None:
    for entry in TREE["consistency"]:
        old_size, new_size, proof = entry["old_size"], entry["new_size"], raw(entry["proof"])
        old_root, new_root = ROOTS[old_size], ROOTS[new_size]
        merkle.verify_consistency(old_size, new_size, old_root, new_root, proof)
        assert merkle.consistency_proof(HASHES, old_size, new_size) == proof
        with pytest.raises(ConsistencyFailed):
            merkle.verify_consistency(old_size, new_size, new_root[::-1], new_root, proof)


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ('"loss"', '"lost"'),
        ("0.123", "0.124"),
        ("1760000000000,7", "1760000000000,8"),
        ('"ada"', '"adb"'),
        ('"done"', '"failed"'),
        ("98765432999", "98765432998"),
    ],
)
def test_a_changed_stored_event_has_another_leaf(part: str, other: str) -> None:
    leaf = LEAVES[0]
    assert part in leaf["event"]
    event = decode_event(leaf["event"].replace(part, other).encode())
    assert seal(event, plain.from_hex(leaf["seed"])) != plain.from_hex(leaf["leaf_hash"])
