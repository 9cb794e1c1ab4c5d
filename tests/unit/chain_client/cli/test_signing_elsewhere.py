"""Approvers sign where there is neither home nor chain, and nobody makes them sign a lie there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from chain_client.registry.proposals import ProposalDocument
from chain_client.registry.statements import SignedStatement, request_approval
from chain_client.registry.summaries import complete_proposal, new_salt_line
from chain_client.registry.targets import Target
from chain_client.signing import create_keystore
from chain_client.types import Digest
from tests.closing import everything_closed
from tests.unit.chain_client.registry.office import Office

Run = Callable[..., tuple[int, str, str]]
Sign = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def proposed(founded_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a home where Alice proposed fraud, an approver's key, and what to approve."""
    folder = tmp_path_factory.mktemp("proposed")
    shutil.copytree(founded_home, folder / "home")
    with everything_closed():
        office = Office(folder / "home")
        office.govern()
        address = create_keystore(folder / "key" / "erin.json")
        office.client.add_approver("risk", address)
        document = office.propose()
    (folder / "asked.json").write_text(request_approval(document).to_text())
    return folder


@dataclass
class Site:
    """A copy of that folder, and the command line on its home."""

    folder: Path
    run: Run

    @property
    def home(self) -> Path:
        """The home."""
        return self.folder / "home"

    @property
    def key(self) -> Path:
        """The approver's key."""
        return self.folder / "key" / "erin.json"

    def chain(self, *words: object, code: int = 0) -> str:
        """`mlops-chain …` on the home: its output; its errors, where it has to fail."""
        got, out, err = self.run("--home", self.home, *words)
        assert got == code, (words, out, err)
        return out if code == 0 else " ".join(err.split())

    def submit(self) -> dict[str, Any]:
        """What was signed, at the home."""
        said = self.chain("model", "approve", "--in", self.folder / "signed.json", "--json")
        found: dict[str, Any] = json.loads(said)
        return found


@pytest.fixture
def site(proposed: Path, tmp_path: Path, mlops_chain: Run, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("MLOPS_CHAIN_RELAY_AUTOSTART", "false")
    shutil.copytree(proposed, tmp_path / "site")
    return Site(tmp_path / "site", mlops_chain)


@pytest.fixture
def asked(site: Site) -> Path:
    """A file with which Alice's proposal is to be approved."""
    return site.folder / "asked.json"


@pytest.fixture
def sign(site: Site, asked: Path, mlops_chain: Run, tmp_path: Path) -> Sign:
    """Sign it into ``signed.json``, where there is no home: exit code, output, errors."""

    def run(*words: object) -> tuple[int, str, str]:
        key = ("--key", site.key, "--offline", "--out", site.folder / "signed.json")
        code, out, err = mlops_chain(
            "--home", tmp_path / "none", "model", "approve", "--in", asked, *key, *words
        )
        assert not (tmp_path / "none").exists()
        return code, out, " ".join(err.split())

    return run


@pytest.fixture
def salt(site: Site) -> Path:
    """A copy of the deployment's salt, and of nothing else."""
    return Path(shutil.copy(site.home / "keys" / "registry-salt", site.folder / "salt"))


def _lie(asked: Path) -> None:
    """The same fields, with a text about a toy's sandbox that hashes as they say."""
    true = SignedStatement.from_text(asked.read_text()).document
    assert isinstance(true, ProposalDocument)
    toy = replace(true.names.model, name="toy")
    names = replace(
        true.names, model=toy, target=Target.parse("@sandbox"), digest=Digest(b"\x01" * 32)
    )
    lie = complete_proposal(true.domain, true.fields, names, true.terms, new_salt_line())
    asked.write_text(request_approval(lie).to_text())


def test_with_the_salt_alone_an_approver_signs_what_the_text_says(
    site: Site, sign: Sign, salt: Path
) -> None:
    code, out, err = sign("--salt", salt, "--yes")
    assert code == 0
    assert 'Promote version 1 of model "fraud" to alias:champion' in out
    assert "NOT CHECKED" not in err
    assert "compared with chain and log only" in err
    assert site.submit()["approvals"] == 1


@pytest.mark.parametrize("is_a_lie", [True, False], ids=["lie", "truth"])
def test_without_the_salt_nothing_is_signed_whatever_was_agreed_to(
    site: Site, sign: Sign, asked: Path, is_a_lie: bool
) -> None:
    if is_a_lie:
        _lie(asked)
    code, out, err = sign("--yes")
    assert (code, out) == (2, "")
    assert "the deployment's salt is not here" in err
    assert "give --salt FILE" in err
    assert not (site.folder / "signed.json").exists()


def test_the_salt_shows_that_a_text_lies(site: Site, sign: Sign, asked: Path, salt: Path) -> None:
    _lie(asked)
    for words in (("--salt", salt), ("--salt", salt, "--names-unchecked")):
        code, out, err = sign(*words, "--yes")
        assert (code, out) == (2, "")
        assert "the model that is named is not what would be signed" in err
    assert not (site.folder / "signed.json").exists()


def test_names_stay_unchecked_only_where_that_was_said_and_it_is_told(
    site: Site, sign: Sign
) -> None:
    code, _, err = sign("--names-unchecked", "--yes", "--json")
    assert code == 0
    assert "NOT CHECKED: whether model, target, group and files in the text" in err
    assert site.submit()["approvals"] == 1


def test_who_signs_with_names_unchecked_is_asked_so(
    sign: Sign, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def refuse(text: str, **_: object) -> None:
        import click

        said.append(text)
        raise click.Abort

    monkeypatch.setattr("click.confirm", refuse)
    assert sign("--names-unchecked")[0] == 2
    assert said[0].startswith("Sign this approval, with its names unchecked, as 0x")


def test_another_deployments_salt_signs_nothing(site: Site, sign: Sign, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("11" * 32)
    code, _, err = sign("--salt", other, "--yes")
    assert code == 2
    assert "is another deployment's salt" in err
    assert "there is no " in sign("--salt", tmp_path / "no", "--yes")[2]


def test_a_salt_that_is_not_the_homes_is_named(site: Site, asked: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("11" * 32)
    key = ("--key", site.key, "--offline", "--out", "signed.json", "--yes")
    said = site.chain("model", "approve", "--in", asked, *key, "--salt", other, code=2)
    assert "not the one that the ModelRegistry was deployed with" in said


def test_where_the_home_is_its_salt_is_taken(site: Site, asked: Path) -> None:
    key = ("--key", site.key, "--offline", "--yes")
    words = ("model", "approve", "--in", asked, *key)
    site.chain(*words, "--out", "signed.json")
    _lie(asked)
    said = site.chain(*words, "--out", "never.json", code=2)
    assert "the model that is named is not what would be signed" in said
    (site.home / "keys" / "registry-salt").unlink()
    said = site.chain(*words, "--out", "never.json", code=2)
    assert "the deployment's salt is not here" in said


def test_a_text_that_does_not_fit_its_fields_is_never_signed(
    site: Site, sign: Sign, asked: Path
) -> None:
    forged = json.loads(asked.read_text())
    forged["proposal"]["summary"] = forged["proposal"]["summary"].replace("version 1", "version 9")
    asked.write_text(json.dumps(forged))
    assert sign("--names-unchecked", "--yes")[0] == 2
    assert not (site.folder / "signed.json").exists()


@pytest.mark.parametrize("words", [("--salt", "x"), ("--names-unchecked",)])
def test_both_belong_to_signing_offline(site: Site, words: tuple[str, ...]) -> None:
    said = site.chain("model", "approve", "3f9a", "--key", "x", *words, code=2)
    assert "--salt and --names-unchecked are for --offline" in said
