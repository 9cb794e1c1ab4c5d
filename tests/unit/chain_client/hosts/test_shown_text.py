"""Text from outside is shown so that nothing in it hides, turns or forges other text."""

from __future__ import annotations

import json
import shlex
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_client.shown_text import escape_unprintable, quote_word
from tests.strategies import examples, texts

HOSTILE = "toy\x1b[2K\x1b]0;pwned\x07\r\n\x9b31m\u202e\u200b\ufe0f\u034f\u3164\u2800\U000e0101"


@pytest.mark.parametrize("char", [*HOSTILE[3:], "\x7f", "\xa0", "\ufeff", "\ud800", "\u2028"])
def test_what_shows_nothing_is_written_as_an_escape(char: str) -> None:
    if char in "[]0;pwned31mK2":
        assert escape_unprintable(char) == char
        return
    shown = escape_unprintable(f"a{char}b")
    assert shown.isascii()
    assert "\\u" in shown


def test_what_people_read_stays_as_it_is() -> None:
    text = "Modèle «fraud», 詐欺 — 9 %, ünï \\ 'x' \"y\" [bold]"
    assert escape_unprintable(text) == text
    assert escape_unprintable("one\ntwo\t", keep="\n") == "one\ntwo\\u0009"


@settings(max_examples=examples(100))
@given(texts)
def test_an_escape_inside_a_string_of_json_is_the_character(text: str) -> None:
    assert json.loads(escape_unprintable(json.dumps(text, ensure_ascii=False))) == text


@settings(max_examples=examples(100))
@given(st.text(st.characters(codec="utf-8")))
def test_a_word_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    assert escape_unprintable(quote_word(text)) == quote_word(text)


@pytest.mark.parametrize("name", ["fraud", "a b", "x; rm -rf ~", "$(id)", "`id`", "o'neil", ""])
def test_a_name_is_one_word_of_a_command(name: str) -> None:
    assert shlex.split(quote_word(name)) == [name]


@pytest.mark.parametrize("name", [HOSTILE.replace("\ud800", ""), "it's\\\n$(id)`id`\x1b", "\t'"])
def test_bash_reads_the_name_back(name: str) -> None:
    script = f"printf %s {quote_word(name)}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True, timeout=30)
    assert done.stdout.decode() == name
