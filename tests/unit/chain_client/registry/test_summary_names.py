"""Names in a text that people sign can't pass for other names, and hide nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings

from chain_client.registry.proposals import ProposalDocument
from chain_client.registry.summaries import check_summary, complete_proposal, salt_line_of
from chain_client.registry.targets import Target
from chain_client.shown_text import escape_unprintable
from tests.strategies import examples
from tests.unit.chain_client.registry.documents_for_tests import SALT, proposals


def _named(document: ProposalDocument, name: str) -> str:
    """The text about a model of that name."""
    names = replace(document.names, model=replace(document.names.model, name=name))
    line = salt_line_of(document.summary)
    return complete_proposal(document.domain, document.fields, names, document.terms, line).summary


@settings(max_examples=examples(20))
@given(proposals())
def test_a_look_alike_is_told_by_its_form_in_ascii(document: ProposalDocument) -> None:
    cyrillic = _named(document, "fr\u0430ud")
    assert 'model "fr\u0430ud" (in ASCII: "fr\\u0430ud") to ' in cyrillic
    assert 'Model: "fr\u0430ud" (in ASCII: "fr\\u0430ud")\n' in cyrillic
    assert 'Model: "fraud"\n' in _named(document, "fraud")


@pytest.mark.parametrize("char", ["\u034f", "\u2800", "\u3164", "\ufe0f", "\u200b", "\u202e"])
def test_an_invisible_character_is_written_as_an_escape(char: str) -> None:
    from tests.unit.chain_client.registry.test_typed_data import _example

    text = _named(_example(), f"fr{char}aud")
    assert f'Model: "fr\\u{ord(char):04x}aud"\n' in text
    assert text.isascii()


@settings(max_examples=examples(60))
@given(proposals())
def test_whatever_the_names_a_text_hides_nothing_and_is_true(document: ProposalDocument) -> None:
    check_summary(document, SALT)
    assert escape_unprintable(document.summary, "\n") == document.summary
    labels = [line.partition(": ")[0] for line in document.summary.split("\n")]
    assert labels.count("Model") == labels.count("Target") == labels.count("Salt") == 1
    assert f"\nTarget: {Target.parse(str(document.names.target))}\n" in document.summary
