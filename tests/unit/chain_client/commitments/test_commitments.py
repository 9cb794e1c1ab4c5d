"""Salts, commitments and leaf data: the fast way is the plain way, and nothing forged passes."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_client import merkle
from chain_client.canonical import encode
from chain_client.commitments import (
    commit_items,
    commit_value,
    field_salt,
    leaf_data,
    prove_item,
    seal,
    verify_item,
)
from chain_client.compact_json import MAX_LEVELS
from chain_client.errors import InclusionFailed, InvalidEvent, InvalidInput
from chain_client.event_codec import encode_event
from chain_client.events import (
    RESERVED_FIELDS,
    Actor,
    Event,
    Json,
    OutcomeStatus,
    Subject,
    Timing,
)
from chain_client.types import EventId, SourceId
from tests.strategies import events, examples, metric_rows, seeds, tables, texts
from tests.unit.chain_client.merkle import textbook

SEED = bytes(range(16))
SEEDS = [number.to_bytes(16, "big") for number in range(5000)]
EVENT = Event(
    event_id=EventId(bytes(range(16, 32))),
    type="run.metrics_logged",
    source_id=SourceId(bytes(range(32, 48))),
    sequence=3,
    time_us=1760000000000000,
    status=OutcomeStatus.DONE,
    subject=Subject("store", "run", "0123456789abcdef"),
    actor=Actor("ada@example.org", "ada"),
    timing=Timing(10, 20, 4),
    payload={"metrics": [["loss", 0.123, 1760000000000, 7]], "note": "text", "params": {"lr": 1}},
    result={"run_id": "7"},
    error="OperationalError",
    detail={"metrics": [0]},
)


METRIC: Json = ["loss", 0.123, 1760000000000, 7]
OTHER_METRIC: Json = ["loss", 0.124, 1760000000000, 7]


def plain_salt(seed: bytes, path: str) -> bytes:
    return hmac.new(seed, path.encode(), hashlib.sha256).digest()


def plain_items(seed: bytes, name: str, items: Sequence[Json]) -> bytes:
    return textbook.tree_hash(
        [
            textbook.sha256(b"\x00" + plain_salt(seed, f"{name}/{index}") + encode(item))
            for index, item in enumerate(items)
        ]
    )


def plain_leaf(event: Event, seed: bytes) -> bytes:
    """Leaf data as the format's page says it, one step after the other."""
    fields: dict[str, Json] = {}
    for name, value in event.to_fields().items():
        if isinstance(value, list) and name not in ("subject", "actor", "timing"):
            root = plain_items(seed, name, value)
            fields[name] = {"items": len(value), "root": "0x" + root.hex()}
        else:
            digest = textbook.sha256(plain_salt(seed, name) + encode(value))
            fields[name] = "0x" + digest.hex()
    return encode(
        {
            "v": 1,
            "id": "0x" + event.event_id.hex(),
            "type": event.type,
            "source": "0x" + event.source_id.hex(),
            "sequence": event.sequence,
            "time_us": event.time_us,
            "status": str(event.status),
            "fields": fields,
        }
    )


@settings(max_examples=examples(400))
@given(events(), seeds)
def test_leaf_data_and_seal_are_those_of_the_plain_way(event: Event, seed: bytes) -> None:
    data = leaf_data(event, seed)
    assert data == plain_leaf(event, seed)
    assert seal(event, seed) == merkle.leaf_hash(data) == textbook.sha256(b"\x00" + data)
    assert data == rfc8785.dumps(json.loads(data)), "leaf data is RFC 8785 as it stands"


@pytest.mark.parametrize("size", [0, 1, 3, 4, 999, 1000, 1001, 1025])
def test_a_list_is_committed_item_by_item(size: int) -> None:
    items: list[Json] = [
        [f"m{index % 7}", index / 8, 1760000000000, index] for index in range(size)
    ]
    root = commit_items(SEED, "metrics", items)
    assert root == plain_items(SEED, "metrics", items)
    assert root == commit_items(SEED, "metrics", [tuple(item) for item in items])  # type: ignore[arg-type]
    fields = json.loads(leaf_data(replace(EVENT, payload={"metrics": items}), SEED))["fields"]
    assert fields["metrics"] == {"items": size, "root": "0x" + root.hex()}


@settings(max_examples=examples(100))
@given(texts, seeds)
def test_a_salt_is_the_hmac_of_its_path(path: str, seed: bytes) -> None:
    assert field_salt(seed, path) == plain_salt(seed, path)
    assert commit_value(field_salt(seed, path), path) == textbook.sha256(
        plain_salt(seed, path) + encode(path)
    )


def test_salts_differ_by_path_and_by_seed() -> None:
    paths = [*RESERVED_FIELDS, "metrics", "params", *(f"metrics/{index}" for index in range(2000))]
    salts = {field_salt(seed, path) for path in paths for seed in (SEED, SEED[::-1])}
    assert len(salts) == 2 * len(paths)
    equal: dict[str, Json] = {"a": "same", "b": "same", "c": ["same", "same"]}
    fields = json.loads(leaf_data(replace(EVENT, payload=equal), SEED))["fields"]
    assert fields["a"] != fields["b"], "equal values must not show as equal"


def test_the_leaf_shows_the_header_and_only_commitments_beside_it() -> None:
    leaf = json.loads(leaf_data(EVENT, SEED))
    fields = leaf.pop("fields")
    assert leaf == {
        "v": 1,
        "id": "0x" + bytes(range(16, 32)).hex(),
        "type": "run.metrics_logged",
        "source": "0x" + bytes(range(32, 48)).hex(),
        "sequence": 3,
        "time_us": 1760000000000000,
        "status": "done",
    }
    assert set(fields) == RESERVED_FIELDS | {"metrics", "note", "params"}
    assert fields.pop("metrics")["items"] == 1
    assert all(len(bytes.fromhex(value.removeprefix("0x"))) == 32 for value in fields.values())
    bare = replace(EVENT, payload={}, result=None, error=None, detail=None)
    assert set(json.loads(leaf_data(bare, SEED))["fields"]) == {"subject", "actor", "timing"}


@pytest.mark.parametrize(
    "changes",
    [
        {"event_id": bytes(16)},
        {"type": "run.created"},
        {"source_id": bytes(16)},
        {"sequence": 4},
        {"time_us": 1760000000000001},
        {"status": OutcomeStatus.RECOVERED},
        {"subject": Subject("store", "run", "0123456789abcdee")},
        {"subject": Subject("store", "rub", "0123456789abcdef")},
        {"actor": Actor(None, "ada")},
        {"actor": Actor("ada", "ada@example.org")},
        {"timing": Timing(10, 20, None)},
        {"timing": Timing(10, 20, 5)},
        {"payload": {}},
        {"payload": {**EVENT.payload, "more": None}},
        {"payload": {**EVENT.payload, "note": "texts"}},
        {"payload": {**EVENT.payload, "note": ["text"]}},
        {"payload": {**EVENT.payload, "params": {"lr": 2}}},
        {"payload": {**EVENT.payload, "metrics": []}},
        {"payload": {**EVENT.payload, "metrics": METRIC}},
        {"payload": {**EVENT.payload, "metrics": [OTHER_METRIC]}},
        {"payload": {**EVENT.payload, "metrics": [METRIC, METRIC]}},
        {"result": None},
        {"result": {}},
        {"result": {"run_id": "8"}},
        {"error": None},
        {"error": "MlflowException"},
        {"detail": {"metrics": [1]}},
    ],
    ids=lambda changes: " ".join(changes),
)
def test_whatever_changes_in_an_event_changes_its_leaf(changes: dict[str, Any]) -> None:
    assert seal(replace(EVENT, **changes), SEED) != seal(EVENT, SEED)


def test_another_seed_hides_everything_anew() -> None:
    one = json.loads(leaf_data(EVENT, SEED))["fields"]
    other = json.loads(leaf_data(EVENT, SEED[::-1]))["fields"]
    assert all(one[name] != other[name] for name in one)


@settings(max_examples=examples(100))
@given(st.one_of(metric_rows, tables()), seeds, st.data())
def test_every_item_of_a_list_can_be_disclosed(
    items: list[Json], seed: bytes, data: st.DataObject
) -> None:
    root = commit_items(seed, "metrics", items)
    for index in data.draw(st.sets(st.sampled_from(range(len(items))))) if items else ():
        salt, proof = prove_item(seed, "metrics", items, index)
        assert salt == plain_salt(seed, f"metrics/{index}")
        verify_item(salt, items[index], index, len(items), proof, root)


def flipped(value: bytes, place: int) -> bytes:
    return value[:place] + bytes([value[place] ^ (1 << place % 8)]) + value[place + 1 :]


@pytest.mark.parametrize(("size", "index"), [(1, 0), (2, 1), (5, 0), (5, 4), (8, 3)])
def test_nothing_but_the_disclosed_item_passes(size: int, index: int) -> None:
    items: list[Json] = [["loss", place / 4, 1760000000000, place] for place in range(size)]
    root = commit_items(SEED, "metrics", items)
    salt, proof = prove_item(SEED, "metrics", items, index)
    item = items[index]
    verify_item(salt, item, index, size, proof, root)
    body = encode(item)

    forgeries: list[tuple[bytes, Json, int, list[Any], bytes]] = []
    for place in range(32):
        forgeries.append((flipped(salt, place), item, index, list(proof), root))
        forgeries.append((salt, item, index, list(proof), flipped(root, place)))
        for node in range(len(proof)):
            other = [*proof[:node], flipped(proof[node], place), *proof[node + 1 :]]
            forgeries.append((salt, item, index, other, root))
    for other_index in set(range(-1, size + 1)) - {index}:
        forgeries.append((salt, item, other_index, list(proof), root))
    other_items: list[Json] = [
        ["loss", index / 4, 1760000000000, index + 1],
        ["loss", index / 4, 1760000000000],
        ["los", index / 4, 1760000000000, index],
        body.decode(),
        None,
        {},
    ]
    for other_item in other_items:
        forgeries.append((salt, other_item, index, list(proof), root))
    forgeries.append((salt[:-1], item, index, list(proof), root))
    forgeries.append((salt + b"[", item, index, list(proof), root))
    forgeries.append((b"", item, index, list(proof), root))
    forgeries.append((salt, item, index, [*proof, bytes(32)], root))
    forgeries.append((plain_salt(SEED, "metrics"), item, index, list(proof), root))
    forgeries.append((plain_salt(SEED, f"params/{index}"), item, index, list(proof), root))
    for forged_salt, forged_item, forged_index, forged_proof, forged_root in forgeries:
        with pytest.raises(InclusionFailed):
            verify_item(forged_salt, forged_item, forged_index, size, forged_proof, forged_root)


def test_bytes_moved_between_salt_and_item_are_refused() -> None:
    # The hashed bytes stay the same, so only the length of the salt can tell.
    seed = next(seed for seed in SEEDS if field_salt(seed, "numbers/0").endswith(b"7"))
    root = commit_items(seed, "numbers", [12])
    salt, proof = prove_item(seed, "numbers", [12], 0)
    verify_item(salt, 12, 0, 1, proof, root)
    for moved_salt, moved_item in ((salt + b"1", 2), (salt[:-1], 712)):
        assert moved_salt + encode(moved_item) == salt + encode(12)
        with pytest.raises(InclusionFailed):
            verify_item(moved_salt, moved_item, 0, 1, proof, root)


def test_numbers_of_a_header_follow_the_number_rules() -> None:
    event = replace(EVENT, sequence=2**53, time_us=-(2**60))
    leaf = json.loads(leaf_data(event, SEED))
    assert (leaf["sequence"], leaf["time_us"]) == (f"number:{2**53}", f"number:{-(2**60)}")
    assert leaf_data(event, SEED) == plain_leaf(event, SEED)


def test_a_salt_of_one_item_says_nothing_about_its_neighbour() -> None:
    items: list[Json] = ["same", "same"]
    salt, proof = prove_item(SEED, "tags", items, 0)
    with pytest.raises(InclusionFailed):
        verify_item(salt, "same", 1, 2, [merkle.leaf_hash(salt + b'"same"')], merkle.root(proof))


def test_arguments_of_other_types_are_invalid_input() -> None:
    root = commit_items(SEED, "tags", ["a"])
    salt, proof = prove_item(SEED, "tags", ["a"], 0)
    wrong: Any
    for wrong in (None, salt.hex(), bytearray(salt)):
        with pytest.raises(InvalidInput):
            verify_item(wrong, "a", 0, 1, proof, root)
    for wrong in (b"a", {1: 2}, "\ud800"):
        with pytest.raises(InvalidInput):
            verify_item(salt, wrong, 0, 1, proof, root)
    for wrong in (None, "0", True):
        with pytest.raises(InvalidInput):
            verify_item(salt, "a", wrong, 1, proof, root)


@pytest.mark.parametrize("index", [-1, 2, 10**6])
def test_there_is_no_proof_of_an_item_that_is_not_there(index: int) -> None:
    with pytest.raises(InvalidInput):
        prove_item(SEED, "tags", ["a", "b"], index)


@pytest.mark.parametrize("length", [0, 15, 17, 32, 64])
def test_seeds_and_salts_have_one_length(length: int) -> None:
    seed = bytes(length)
    with pytest.raises(InvalidInput, match="seed"):
        field_salt(seed, "tags")
    with pytest.raises(InvalidInput, match="seed"):
        commit_items(seed, "tags", [])
    with pytest.raises(InvalidInput, match="seed"):
        prove_item(seed, "tags", ["a"], 0)
    with pytest.raises(InvalidInput, match="seed"):
        leaf_data(EVENT, seed)
    with pytest.raises(InvalidInput, match="seed"):
        seal(EVENT, seed)
    if length != 32:
        with pytest.raises(InvalidInput, match="salt"):
            commit_value(seed, "a")


@pytest.mark.parametrize(
    "payload",
    [
        *({name: "secret"} for name in sorted(RESERVED_FIELDS)),
        {"": "secret"},
        {"/": "secret"},
        {"metrics/0": "secret"},
        {"a/": ["secret"]},
        {"\ud800": "secret"},
        {"\ud800": ["secret"]},
        {7: "secret"},
        {None: "secret"},
        {"a": b"secret"},
        {"a": [b"secret"]},
        {"a": {"b": "secret\udfff"}},
        {"a": ["secret\udfff"] * 5},
    ],
    ids=lambda payload: ascii(list(payload)),
)
def test_names_and_values_that_cannot_be_committed_are_refused_without_showing_them(
    payload: Mapping[Any, Any],
) -> None:
    event = replace(EVENT, payload=payload)
    for refuse in (leaf_data, seal):
        with pytest.raises(InvalidEvent) as caught:
            refuse(event, SEED)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"event_id": bytes(15)},
        {"event_id": b""},
        {"source_id": bytes(17)},
        {"type": "\ud800"},
        {"subject": Subject("\ud800", "run", "7")},
        {"error": "\udfff"},
    ],
    ids=lambda changes: " ".join(changes),
)
def test_headers_that_cannot_be_written_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent):
        seal(replace(EVENT, **changes), SEED)


def _nested(form: type, levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = {"a": value} if form is dict else form([value])
    return value


@pytest.mark.parametrize("form", [list, tuple, dict])
def test_parts_nest_as_deep_for_the_seal_as_for_the_store(form: type) -> None:
    # One level is the payload's own.
    event = replace(EVENT, payload={"part": _nested(form, MAX_LEVELS - 1)})
    assert seal(event, SEED)
    assert encode_event(event)
    deeper = _nested(form, MAX_LEVELS)
    for part in (deeper, [deeper["a"]] * 5 if form is dict else form([*deeper] * 5)):
        event = replace(EVENT, payload={"part": part})
        with pytest.raises(InvalidEvent, match="levels"):
            seal(event, SEED)
        with pytest.raises(InvalidEvent, match="levels"):
            encode_event(event)
