"""Names and reasons from outside can't speak to the terminal of whoever reads them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from chain_client.events import Actor
from chain_client.hosts import ModelIncarnation
from chain_client.registry import documents
from chain_client.registry.drafts import Draft, note_draft
from chain_client.registry.proposals import ProposalDocument
from chain_client.registry.summaries import complete_proposal, new_salt_line
from chain_client.registry.targets import Target
from chain_client.shown_text import escape_unprintable
from chain_client.types import Digest
from tests.closing import everything_closed
from tests.embedded_chains import transact
from tests.unit.chain_client.registry.office import ALICE, CHAMPION, FRAUD, Office

Run = Callable[..., tuple[int, str, str]]
HOSTILE = "toy\x1b[2K\x1b]0;pwned\x07\r\nerror: all is well\x9b31m\u202e"
DRAFT = "3f9a000000000000"


@pytest.fixture(scope="module")
def hostile_home(founded_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a draft, a model, a user and a lying proposal whose names are hostile."""
    path = tmp_path_factory.mktemp("hostile") / "home"
    shutil.copytree(founded_home, path)
    with everything_closed():
        office = Office(path)
        office.govern()
        actor = Actor(authenticated=HOSTILE)
        refused = Draft(DRAFT, FRAUD.store_id, "", HOSTILE, 9, CHAMPION, HOSTILE, actor)
        note_draft(office.records, refused)
        leave = replace(refused, id="4" + DRAFT[1:], version=None)
        note_draft(office.records, leave)
        model = replace(FRAUD, name=HOSTILE)
        office.client.note_names((HOSTILE,), (), (model,))
        office.register(6)
        _propose(office, office.write(6), model)
        written = office.client
        document = written.write_proposal(model, 1, CHAMPION, FRAUD_DIGEST, ALICE.address())
        commitment = written.commitment(written.model_id(model), 1, FRAUD_DIGEST)
        written.register_version(model, 1, commitment, 7)
        written.propose(document, signer=ALICE)
    return path


FRAUD_DIGEST = Digest(b"\x64" * 32)


def _propose(office: Office, true: ProposalDocument, model: ModelIncarnation) -> None:
    """Alice proposes fraud for the champion with a text about another model's sandbox."""
    names = replace(true.names, model=model, target=Target.parse("@sandbox"))
    lie = complete_proposal(true.domain, true.fields, names, true.terms, new_salt_line())
    call = office.client.contract.propose_call(lie.fields)
    assert transact(office.chain.ledger, ALICE, call).succeeded
    documents.note_document(office.records, lie)


@pytest.fixture
def run(
    mlops_chain: Run, hostile_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """`mlops-chain …` on the home."""
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")
    home = tmp_path / "home"
    shutil.copytree(hostile_home, home)
    return lambda *words: mlops_chain("--home", home, *words)


@pytest.mark.parametrize(
    "words",
    [
        ("draft", "list", "--all"),
        ("draft", "show", "3f9a"),
        ("draft", "show", "3f9a", "--json"),
        ("draft", "propose", "4f9a", "--key", "x"),
        ("approvals",),
        ("approvals", "--json"),
        ("approvals", "--mine", "--address", "bob"),
        ("model", "list"),
        ("model", "show", HOSTILE),
        ("model", "show", "nix"),
        ("model", "show", HOSTILE + "x"),
        ("model", "history", HOSTILE),
        ("role", "list"),
        ("user", "list"),
        ("user", "bind", HOSTILE),
        ("policy", "show"),
        ("sync", "--dry-run"),
    ],
    ids=" ".join,
)
def test_nothing_that_is_shown_commands_the_terminal(run: Run, words: tuple[str, ...]) -> None:
    _, out, err = run(*words)
    assert escape_unprintable(out + err, "\n") == out + err
    assert not any(line.startswith("error: all is well") for line in (out + err).splitlines())


def test_programs_get_names_as_they_are(run: Run) -> None:
    (one, _) = json.loads(run("draft", "list", "--all", "--json")[1])["drafts"]
    assert one["model"] == HOSTILE


def test_a_hint_quotes_the_name_that_it_holds(run: Run) -> None:
    _, _, err = run("draft", "propose", "4f9a", "--key", "x")
    assert "mlops-chain model remove $'toy\\x1b[2K" in err


def test_a_proposal_whose_text_lies_is_told_from_others(run: Run) -> None:
    models = json.loads(run("model", "list", "--json")[1])["models"]
    waiting = {one["model"]: [item["is_true"] for item in one["open"]] for one in models}
    assert waiting == {"fraud": [False], HOSTILE: [True]}
    assert run("model", "list")[1].count("NOT TO BE SIGNED: its text is not in the log") == 1
    said = " ".join(run("model", "show", "fraud")[1].split())
    assert "its text is not in the log, or not true: nobody should sign it" in said
    assert len(json.loads(run("approvals", "--json")[1])["waiting"]) == 1
