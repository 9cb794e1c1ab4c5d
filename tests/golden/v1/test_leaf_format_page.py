"""The worked example of docs/reference/leaf-format.md, recomputed by the standard library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.golden.v1 import plain_format as plain

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "leaf-format.md"


def example() -> dict[str, Any]:
    (block,) = PAGE.read_text("utf-8").split("```json\n")[1:]
    found: dict[str, Any] = json.loads(block.split("```")[0])
    return found


def test_the_worked_example_is_what_the_page_says() -> None:
    shown = example()
    event, seed = shown["event"], plain.from_hex(shown["seed"])
    fields = plain.fields_of(event)
    fields["metrics/0"] = fields.pop("metrics")[0]
    assert shown["salts"] == {path: plain.to_hex(plain.salt(seed, path)) for path in sorted(fields)}
    assert shown["canonical"] == {path: plain.canonical(fields[path]) for path in sorted(fields)}

    committed = json.loads(shown["leaf_data"])["fields"]
    salts = {path: plain.from_hex(salt) for path, salt in shown["salts"].items()}
    for path in ("actor", "subject", "timing"):
        body = shown["canonical"][path].encode()
        assert committed[path] == plain.to_hex(plain.sha256(salts[path] + body))
    only_item = plain.item_leaf(salts["metrics/0"], fields["metrics/0"])
    assert committed["metrics"] == {"items": 1, "root": plain.to_hex(only_item)}

    assert plain.leaf_data(event, seed) == shown["leaf_data"].encode()
    assert plain.to_hex(plain.leaf_hash(shown["leaf_data"].encode())) == shown["leaf_hash"]


def test_the_example_is_kept_as_evidence_too() -> None:
    shown = example()
    (leaf, *_) = json.loads((Path(__file__).parent / "leaves.json").read_text("utf-8"))
    assert json.loads(leaf["event"]) == shown["event"]
    assert {name: leaf[name] for name in ("seed", "leaf_data", "leaf_hash")} == {
        name: shown[name] for name in ("seed", "leaf_data", "leaf_hash")
    }
