"""The members of ``--json`` documents as docs/reference/cli.md names them.

What stands there is read by these rules: a word of small letters in backticks is a member, and
parentheses behind it hold the members of its objects; ``(by …`` says that those stand in an object
under any names, ``(any`` that nothing is said of them. What is no such word is a value. A link to a
heading of the document stands for the members that are named there.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

import click

from chain_client.cli import cli
from tests.unit.repository.checkout import ROOT

Members = dict[str, Any]
"""Members by name, with those of their objects."""

ANY_NAME = "*"
ANYTHING = "**"

_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
_ROW = re.compile(r"^\| `--json` \| (.*) \|$", re.MULTILINE)
_TOKEN = re.compile(
    r"\[[^\]]*\]\((?P<link>[^)]*)\)|`(?P<code>[^`]*)`|"
    r"(?P<open>\((?: *(?P<said>by|any)\b)?)|(?P<close>\))"
)


def documented(command: str) -> Members:
    """Members that a command prints, such as ``model show``, as the document says."""
    found = _members(f"mlops-chain-{command.replace(' ', '-')}")
    return {"ok": {}, **found}


def undocumented(printed: object, members: Members, path: str = "") -> Iterator[str]:
    """Paths of members that were printed and are not documented."""
    if ANYTHING in members:
        return
    if isinstance(printed, list):
        for item in printed:
            yield from undocumented(item, members, path)
    elif isinstance(printed, dict):
        for name, value in printed.items():
            known = members.get(name, members.get(ANY_NAME))
            if known is None:
                yield path + name
            else:
                yield from undocumented(value, known, f"{path}{name}.")


def unprinted(printed: object, members: Members, path: str = "") -> Iterator[str]:
    """Paths of members that are documented and were not printed."""
    found = list(_objects(printed))
    for name, below in members.items():
        if name == ANYTHING:
            continue
        there = [one[name] for one in found if name in one]
        if name == ANY_NAME:
            there = [value for one in found for value in one.values()]
        if not there:
            yield path + name
        else:
            yield from unprinted(there, below, f"{path}{name}.")


def command_of(words: tuple[str, ...]) -> str:
    """The command that words of a command line name: ``model show``."""
    group: click.Command = cli
    names = []
    for word in words:
        if isinstance(group, click.Group) and word in group.commands:
            names.append(word)
            group = group.commands[word]
    return " ".join(names)


def _objects(printed: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(printed, dict):
        yield printed
    elif isinstance(printed, list):
        for item in printed:
            yield from _objects(item)


@functools.cache
def _sections() -> dict[str, str]:
    """Text below each heading, by its anchor."""
    text = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    parts = _HEADING.split(re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    return {
        heading.lower().replace(" ", "-"): section
        for heading, section in zip(parts[1::2], parts[2::2])
    }


def _members(anchor: str) -> Members:
    section = _sections()[anchor]
    row = _ROW.search(section)
    return read_members(section if row is None else row[1])


def read_members(text: str) -> Members:
    """The members that a text names."""
    root: Members = {}
    within, last, end = [root], None, 0
    for token in _TOKEN.finditer(text):
        is_behind = last is not None and not text[end : token.start()].strip()
        if token["open"]:
            below = last if is_behind and last is not None else within[-1]
            if token["said"] == "any" and is_behind:
                below[ANYTHING] = {}
            elif token["said"] == "by" and is_behind:
                below = below.setdefault(ANY_NAME, {})
            within.append(below)
        elif token["close"] and len(within) > 1:
            within.pop()
        elif token["link"] and token["link"].startswith("#"):
            _merge(within[-1], _members(token["link"][1:]))
        last, end = None, token.end()
        if token["code"] and re.fullmatch(r"[a-z_]+", token["code"]):
            last = within[-1].setdefault(token["code"], {})
    return root


def _merge(into: Members, further: Members) -> None:
    for name, below in further.items():
        _merge(into.setdefault(name, {}), below)
