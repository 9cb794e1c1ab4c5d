"""Every kind of alarm that the packages raise has a heading in the runbook, and no other has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

from tests.unit.repository.checkout import ROOT

RUNBOOK = ROOT / "docs/how-to/runbook-alarms.md"
RAISING = {"raise_alarm", "write_alarm", "_alarm", "alarm", "raise_once", "_raise", "start"}
"""Functions and methods whose first argument is a kind."""
_KIND = re.compile(r"[a-z]+(?:_[a-z]+)*")


@cache
def kinds() -> frozenset[str]:
    """Every kind that is given to one of them."""
    return frozenset(_kinds())


def _kinds() -> Iterator[str]:
    """As a literal, by a constant's name, or built."""
    files = [f for p in ("chain_client", "mlflow_chain") for f in sorted((ROOT / p).rglob("*.py"))]
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    constants = [dict(_constants(tree)) for tree in trees]
    everywhere = {name: value for found in constants for name, value in found.items()}
    for tree, own in zip(trees, constants, strict=True):
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and call.args and _name(call.func) in RAISING:
                yield from _first(call.args[0], tree, everywhere | own)


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        if isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            target, value = node.target, node.value
        else:
            continue
        if isinstance(target, ast.Name) and isinstance(value, ast.Constant):
            yield target.id, str(value.value)


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _first(node: ast.expr, tree: ast.Module, constants: dict[str, str]) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Name) and node.id in constants:
        yield constants[node.id]
    elif isinstance(node, ast.JoinedStr):
        # Built from a word that the function around it is given.
        start = node.values[0]
        assert isinstance(start, ast.Constant), "a kind of alarm that this test can't read"
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and _name(call.func) == "_set_aside":
                word = call.args[1]
                assert isinstance(word, ast.Constant), "a kind of alarm that this test can't read"
                yield str(start.value) + str(word.value)


def test_every_kind_of_alarm_has_a_heading_and_every_heading_an_alarm() -> None:
    text = RUNBOOK.read_text(encoding="utf-8")
    headings = set(re.findall(r"^## (.+)$", text, flags=re.MULTILINE))
    found = kinds()
    assert {"chain", "head", "cross_anchor", "source_foreign", "sync", "reorg"} <= found
    assert found - headings == set()
    assert headings - found == set()


def test_every_heading_says_what_it_means_what_happens_what_to_do_and_how_it_ends() -> None:
    text = RUNBOOK.read_text(encoding="utf-8")
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        words = re.findall(r"^\*\*([A-Za-z]+):?\*\*", section, flags=re.MULTILINE)
        assert words == ["Means", "Meanwhile", "Do", "Ends"], section.partition("\n")[0]


def test_the_runbooks_table_names_every_alarm_once() -> None:
    text = RUNBOOK.read_text(encoding="utf-8")
    listed = re.findall(r"\[([a-z_]+)\]\(#\1\)", text.partition("\n## ")[0])
    headings = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    assert sorted(listed) == sorted(headings)
    assert all(_KIND.fullmatch(heading) for heading in headings)


def test_a_relay_how_to_names_no_alarm_that_does_not_exist() -> None:
    page = (ROOT / "docs/how-to/run-a-relay.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"runbook-alarms\.md#([a-z_]+)", page))
    assert linked - kinds() == set()
