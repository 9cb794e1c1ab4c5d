"""The documents and the program say the same."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from chain_client.cli import cli
from chain_client.config import setting_keys, variable_of
from chain_client.plugin_host import PLUGINS_VARIABLE
from mlflow_chain.stores.methods import REGISTRY, TRACKING, WORKSPACES
from mlflow_chain.stores.passed import PASSED
from tests.unit.repository.checkout import ROOT, tracked_files

CONFIGURE = ROOT / "docs/how-to/configure.md"
COMMANDS = ROOT / "docs/reference/cli.md"
REPORT = ROOT / "docs/how-to/read-a-verify-report.md"
RECORDED = ROOT / "docs/reference/what-is-recorded.md"

_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_ENDINGS = (
    "changed",
    "missing",
    "unexpected",
    "unrecorded",
    "unreadable",
    "truncated",
    "rolled_back",
    "rewritten",
    "repeated",
    "continued",
    "not_closed",
    "differs",
    "without_approval",
    "not_enforced",
    "version_current",
)
_KIND = re.compile(rf"[a-z][a-z_]*_(?:{'|'.join(_ENDINGS)})")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _sections(path: Path) -> dict[str, str]:
    """Text below each heading, up to the next one."""
    parts = re.split(r"^#+ +(.+?) *$", _FENCE.sub(_hide_headings, _read(path)), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def _hide_headings(block: re.Match[str]) -> str:
    return re.sub(r"^#", " #", block[0], flags=re.MULTILINE)


def _anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("path", [path for _, path in tracked_files("*.md")])
def test_every_relative_link_resolves(path: str) -> None:
    broken = []
    for target in _LINK.findall(_FENCE.sub("", _read(ROOT / path))):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, fragment = target.partition("#")
        found = (ROOT / path).parent / file if file else ROOT / path
        if not found.exists() or (
            fragment and fragment not in {_anchor(h) for h in _sections(found)}
        ):
            broken.append(target)
    assert broken == []


def test_every_document_is_reached_from_the_index() -> None:
    index = ROOT / "docs/README.md"
    reached = {
        (index.parent / link.partition("#")[0]).resolve() for link in _LINK.findall(_read(index))
    }
    documents = {(ROOT / path).resolve() for _, path in tracked_files("docs/*.md")}
    assert documents - reached == {index}


def test_every_setting_has_a_heading_with_its_variable_and_default() -> None:
    sections = _sections(CONFIGURE)
    keys = setting_keys()
    assert [name for name in sections if name in keys] == list(keys)
    for key, (default, _) in keys.items():
        shown = str(default).lower() if isinstance(default, bool) else str(default)
        assert f"`{variable_of(key)}`" in sections[key], key
        assert f"`{shown}`" in sections[key], key
    known = {variable_of(key) for key in keys} | {"MLOPS_CHAIN_HOME", PLUGINS_VARIABLE}
    assert set(re.findall(r"MLOPS_CHAIN_[A-Z_]+\b", _read(CONFIGURE))) <= known


def test_every_setting_has_an_effect() -> None:
    used = set()
    for package in ("chain_client", "mlflow_chain"):
        for file in (ROOT / package).rglob("*.py"):
            if file.name == "config.py":
                continue
            for node in ast.walk(ast.parse(_read(file))):
                if isinstance(node, ast.Attribute):
                    used.add(node.attr)
                elif isinstance(node, ast.Constant):
                    used.add(str(node.value).replace(".", "_"))
    assert {key.replace(".", "_") for key in setting_keys()} - used == set()


def test_every_command_and_option_is_described() -> None:
    sections = _sections(COMMANDS)
    assert isinstance(cli, click.Group)
    commands = _with_their_groups(cli)
    for name, command in commands.items():
        text = sections[f"mlops-chain {name}"]
        assert set(_options(command)) == set(_described(text)), name
    common = sections["Options of every command"]
    assert set(_options(cli)) | {"--help"} <= set(_described(common))
    headings = {h.removeprefix("mlops-chain ") for h in sections if h.startswith("mlops-chain ")}
    assert headings == set(commands)


def _with_their_groups(group: click.Group) -> dict[str, click.Command]:
    """Commands by name; those of a group within it by both names, and the group not."""
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found.update({f"{name} {n}": c for n, c in command.commands.items()})
        else:
            found[name] = command
    return found


def _options(command: click.Command) -> Iterator[str]:
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            yield max(parameter.opts, key=len)


def _described(text: str) -> list[str]:
    return re.findall(r"^\| .*?`(--[a-z-]+)", text, flags=re.MULTILINE)


def test_every_kind_of_finding_is_explained_and_no_other() -> None:
    text = _read(REPORT)
    explained = {kind for kind in re.findall(r"`([a-z_]+)`", text) if _KIND.fullmatch(kind)}
    found = set(_kinds())
    assert {"metric_changed", "log_leaf_changed", "source_not_closed"} <= found
    assert found - explained == set()
    assert explained - found == set()


_BUILT = {
    "missing": ("missing",),
    "unexpected": ("unexpected",),
    "unreadable": ("unreadable",),
    "_guarded": ("unreadable",),
    "compare_fields": ("field_changed",),
    "compare_keys": ("missing", "unexpected", "changed"),
    "_compare_set": ("missing", "unexpected"),
}
"""Functions that make kinds of findings from the word they are given first."""


def _kinds() -> Iterator[str]:
    """Every kind that the packages write as a literal or build from one."""
    packages = ("chain_client/verify", "mlflow_chain", "airflow_chain/verifying")
    files = [file for package in packages for file in (ROOT / package).rglob("*.py")]
    for file in [*files, ROOT / "chain_client/log/entry_check.py"]:
        in_log = file.name == "entry_check.py"
        for node in ast.walk(ast.parse(_read(file))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if not in_log and _KIND.fullmatch(node.value):
                    yield node.value
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                words = [str(a.value) for a in node.args if isinstance(a, ast.Constant)]
                if node.func.id == "_mismatch":
                    yield from (f"log_{w}" for w in words if _KIND.fullmatch(w))
                elif node.func.id in _BUILT and words:
                    yield from (f"{words[0]}_{ending}" for ending in _BUILT[node.func.id])


def test_every_recorded_method_and_every_reason_to_pass_one_is_listed() -> None:
    text = _read(RECORDED)
    missing = [
        f"{name}: {method.type}"
        for name, method in (TRACKING | REGISTRY | WORKSPACES).items()
        if f"`{name}`" not in text or f"`{method.type}`" not in text
    ]
    assert missing == []
    assert [reason for reason in PASSED if reason not in text] == []


def test_the_readme_names_every_command() -> None:
    assert isinstance(cli, click.Group)
    readme = _read(ROOT / "README.md")
    assert [name for name in cli.commands if f"`mlops-chain {name}`" not in readme] == []


def test_every_make_target_that_a_document_names_exists() -> None:
    rules = _read(ROOT / "Makefile") + _read(ROOT / "contracts/contracts.mk")
    targets = set(re.findall(r"^([a-z-]+):", rules, flags=re.MULTILINE))
    named = {
        (path, name)
        for _, path in tracked_files("*.md")
        for name in re.findall(r"(?:`|^)make ([a-z-]+)", _read(ROOT / path), flags=re.MULTILINE)
    }
    assert {(path, name) for path, name in named if name not in targets} == set()


def test_decisions_are_numbered_without_gaps_and_have_their_three_parts() -> None:
    decisions = sorted((ROOT / "docs/adr").glob("*.md"))
    assert [d.name[:4] for d in decisions] == [f"{n:04d}" for n in range(1, len(decisions) + 1)]
    for decision in decisions:
        assert list(_sections(decision))[1:] == ["Context", "Decision", "Consequences"], decision
